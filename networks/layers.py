"""Small pointwise layers that the model builders share."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    r"""Per-channel affine map :math:`(x_c - \mu_c) / \sigma_c`, the first layer of every model here.

    Models take RGB in [0, 1] and normalise inside, so that whoever feeds them cannot forget it and a
    converted network can treat it as the pointwise layer it is.

    Parameters
    ----------
    mean, std : sequence of float
        One value a channel, in units of the input ([0, 1]).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Non-persistent: constants of the architecture, not weights, so state dicts equal those of other code.
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` of shape (B, C, H, W)."""
        return (x - self.mean) / self.std


class Scale(nn.Module):
    """Multiply by a fixed number.

    Parameters
    ----------
    factor : float
        The number.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x * factor``."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Show the factor in ``print(model)``."""
        return f"{self.factor:g}"


def luma() -> nn.Conv2d:
    """Return the fixed 1x1 convolution from sRGB to grey, weights of ITU-R BT.709.

    >>> luma()(torch.ones(1, 3, 2, 2)).round(decimals=6).unique().tolist()
    [1.0]
    """
    convolution = nn.Conv2d(3, 1, 1, bias=False).requires_grad_(False)
    convolution.weight.copy_(torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1))
    return convolution


CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

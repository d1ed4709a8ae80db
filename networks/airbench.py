"""The fast CIFAR networks: 94 % and 96 % in minutes, and a half-width one for quick training.

Architectures after K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024, arXiv 2404.00498), as
specified in its text: a frozen 2x2 whitening convolution, three groups of 3x3 convolutions, and a linear
head whose logits are scaled by 1/9. The maps are 32, 31, 15, 7, 3 and 1 pixels wide, so every pooling layer
meets an odd size: a good test of keyed operators.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize, Scale

_WHITENED = 24  # 2x2x3 = 12 directions, each with both signs


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm without a scale, and with a fast running average, as in the paper."""
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


def _convolution(channels_in: int, channels_out: int) -> nn.Conv2d:
    """3x3 convolution that starts as the identity on its first ``channels_in`` filters."""
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    nn.init.dirac_(convolution.weight.data[:channels_in])
    return convolution


def _group(channels_in: int, channels_out: int) -> nn.Sequential:
    """Two convolutions, pooled after the first."""
    return nn.Sequential(
        _convolution(channels_in, channels_out),
        nn.MaxPool2d(2),
        _batch_norm(channels_out),
        nn.GELU(),
        _convolution(channels_out, channels_out),
        _batch_norm(channels_out),
        nn.GELU(),
    )


class _ResidualGroup(nn.Module):
    """Three convolutions, pooled after the first; what the pool leaves is added to the third's result."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            _convolution(channels_in, channels_out), nn.MaxPool2d(2), _batch_norm(channels_out), nn.GELU()
        )
        self.body = nn.Sequential(
            _convolution(channels_out, channels_out),
            _batch_norm(channels_out),
            nn.GELU(),
            _convolution(channels_out, channels_out),
            _batch_norm(channels_out),
        )
        self.act = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        out: Tensor = self.act(self.body(x) + x)
        return out


class AirBench(nn.Module):
    """What the fast CIFAR networks share: whitening stem, groups, pooled linear head; for 32x32 RGB in [0, 1].

    Parameters
    ----------
    groups : sequence of torch.nn.Module
        The first one reads 24 channels; each halves the map.
    width : int
        Channels that the last one gives.
    num_classes : int
        Size of the output.
    """

    def __init__(self, groups: Sequence[nn.Module], width: int, num_classes: int) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        self.whiten = nn.Conv2d(3, _WHITENED, 2)
        self.whiten.weight.requires_grad_(False)
        self.stem_act = nn.GELU()
        self.groups = nn.Sequential(*groups)
        self.pool = nn.MaxPool2d(3)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(width, num_classes, bias=False)
        self.scale = Scale(1 / 9)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for RGB images (B, 3, 32, 32) in [0, 1]."""
        x = self.stem_act(self.whiten(self.normalize(x)))
        x = self.flatten(self.pool(self.groups(x)))
        logits: Tensor = self.scale(self.head(x))
        return logits


class AirBench94(AirBench):
    """The 94 % network: 1.97 M parameters and 118 M multiply-adds at the published widths.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    widths : tuple of int
        Channels of the three groups; (32, 128, 128) is the half-width network, 0.5 M parameters and 33 M
        multiply-adds, for quick training.
    """

    def __init__(self, num_classes: int = 10, *, widths: tuple[int, int, int] = (64, 256, 256)) -> None:
        groups = [_group(i, o) for i, o in zip((_WHITENED, *widths), widths, strict=False)]
        super().__init__(groups, widths[-1], num_classes)


class AirBench96(AirBench):
    """The 96 % network: widths 128, 384 and 512, a third convolution and a residual sum a group.

    Recipe: as for the 94 % one, with 37 epochs, translation by 4 pixels, cutout of 12, learning rate 9 and weight
    decay 0.012 per 1,024 examples (docs: recipes).

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        widths = (128, 384, 512)
        groups = [_ResidualGroup(i, o) for i, o in zip((_WHITENED, *widths), widths, strict=False)]
        super().__init__(groups, widths[-1], num_classes)


@torch.no_grad()
def whiten_from_images(model: AirBench, images: Tensor, eps: float = 5e-4) -> None:
    r"""Set the frozen first layer from training images.

    The filters are the eigenvectors :math:`v` of the covariance of normalised 2x2x3 patches, each scaled to
    :math:`v / \sqrt{\lambda + \epsilon}`, followed by their negatives: 24 filters.

    Parameters
    ----------
    model : AirBench
        Changed in place.
    images : Tensor of float32, shape (B, 3, H, W)
        RGB in [0, 1]; a few thousand are enough.
    eps : float
        Regularises the small eigenvalues; in units of the normalised signal's variance.
    """
    patches = nn.functional.unfold(model.normalize(images), 2).transpose(1, 2).reshape(-1, 12).double()
    covariance = patches.T @ patches / len(patches)
    eigenvalues, eigenvectors = torch.linalg.eigh(covariance)
    filters = (eigenvectors / (eigenvalues + eps).sqrt()).T.flip(0).reshape(12, 3, 2, 2)
    model.whiten.weight.copy_(torch.cat([filters, -filters]).to(model.whiten.weight))

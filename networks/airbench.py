"""The fast CIFAR network: 1.97 M parameters, 118 M multiply-adds, 94 % in minutes.

Architecture after K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (2024, arXiv 2404.00498), as
specified in its text: a frozen 2x2 whitening convolution, three groups of two 3x3 convolutions, and a linear
head whose logits are scaled by 1/9. The maps are 32, 31, 15, 7, 3 and 1 pixels wide, so every pooling layer
meets an odd size: a good test of keyed operators.
"""

import torch
from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize, Scale

_WIDTHS = (64, 256, 256)


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


class AirBench94(nn.Module):
    """Fast CIFAR network for 32x32 RGB in [0, 1].

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        self.stem_act = nn.GELU()
        self.groups = nn.Sequential(*(_group(i, o) for i, o in zip((24, *_WIDTHS), _WIDTHS, strict=False)))
        self.pool = nn.MaxPool2d(3)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(_WIDTHS[-1], num_classes, bias=False)
        self.scale = Scale(1 / 9)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for RGB images (B, 3, 32, 32) in [0, 1]."""
        x = self.stem_act(self.whiten(self.normalize(x)))
        x = self.flatten(self.pool(self.groups(x)))
        logits: Tensor = self.scale(self.head(x))
        return logits


@torch.no_grad()
def whiten_from_images(model: AirBench94, images: Tensor, eps: float = 5e-4) -> None:
    r"""Set the frozen first layer from training images.

    The filters are the eigenvectors :math:`v` of the covariance of normalised 2x2x3 patches, each scaled to
    :math:`v / \sqrt{\lambda + \epsilon}`, followed by their negatives: 24 filters.

    Parameters
    ----------
    model : AirBench94
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

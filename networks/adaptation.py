r"""Adaptation networks: what stands between an encrypted image and an ordinary classifier.

M. Tanaka, "Learnable Image Encryption" (ICCE-TW 2018), for `le`: one 4x4 convolution over all blocks. K. Madono and
others, "Block-wise Scrambled Image Recognition Using Adaptation Network" (AAAI Workshop 2020, arXiv 2001.07761), for
`ele` and `etc`: a convolution of its own for each block position, and a learned matrix over the positions. Behind both
stands ShakePyramidNet-110 with 16 channels in; that of `ele` has 29,310,661 parameters, the 29.31 M of PrivDL's table
(83.06 % for `ele`, 89.09 % for `etc`), and 4.7 G multiply-adds, out of reach without a GPU. The small trunk is
PreResNet-20, a stand-in of this project: say so beside its numbers.

W. Sirichotedumrong and others (ICIP 2019, arXiv 1905.01827), for `negative-positive`: two 1x1 convolutions, 8 and 32
wide, before a ResNet-18.

Recipe of the first two: Nesterov SGD, rate 0.1, weight decay 5e-4, batch 512, 305 epochs, shift and mirror before
encryption. Of the last: SGD, 300 epochs, rate 0.1 divided by ten at 150 and 225, weight decay 5e-4, batch 128.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize
from networks.resnet import ResNet18

_BLOCK_PX = 4
_FEATURES = 256  # of a block: 16 channels at each of its 16 pixels


def permutation_penalty(matrix: Tensor) -> Tensor:
    r"""Return how far a square matrix is from a permutation: :math:`\sum |m|_1 - |m|_2` over its rows and columns.

    Zero where every row and every column has at most one entry (Madono and others, 2020).

    Parameters
    ----------
    matrix : Tensor, shape (n, n)

    Returns
    -------
    Tensor
        Scalar, 0 or more.

    Examples
    --------
    >>> permutation_penalty(torch.tensor([[0.0, 2.0], [1.0, 0.0]])).item()
    0.0
    >>> permutation_penalty(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).item()
    2.0
    """
    rows, columns = (matrix.square().sum(dim).sqrt() for dim in (1, 0))
    return 2 * matrix.abs().sum() - rows.sum() - columns.sum()


class LeAdaptation(nn.Module):
    """One convolution over all blocks, then a trunk.

    Parameters
    ----------
    trunk : torch.nn.Module
        Takes features (B, 16, H, W) and returns logits.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        self.adapt = nn.Sequential(
            nn.Conv2d(3, _FEATURES, _BLOCK_PX, stride=_BLOCK_PX),
            nn.BatchNorm2d(_FEATURES),
            nn.LeakyReLU(0.1),
            nn.PixelShuffle(_BLOCK_PX),
        )
        self.trunk = trunk

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for encrypted RGB images (B, 3, H, W) in [0, 1], whole 4x4 blocks."""
        logits: Tensor = self.trunk(self.adapt(self.normalize(x)))
        return logits


class BlockConvolutions(nn.Module):
    r"""A convolution for each block position, divided by its largest singular value.

    With :math:`x_p` the 48 values of the block at position p, :math:`y_p = W_p x_p / \sigma(W_p)`. The value
    :math:`\sigma` follows the weights by one step of power iteration for each training batch (T. Miyato and others,
    "Spectral Normalization", ICLR 2018, arXiv 1802.05957).

    Parameters
    ----------
    blocks : int
        Number of block positions P.
    """

    left: Tensor

    def __init__(self, blocks: int) -> None:
        super().__init__()
        values = 3 * _BLOCK_PX**2
        bound = values**-0.5
        self.weight = nn.Parameter(torch.empty(blocks, _FEATURES, values).uniform_(-bound, bound))
        self.register_buffer("left", nn.functional.normalize(torch.randn(blocks, _FEATURES), dim=1))
        for _ in range(15):
            self._iterate()
        self.split = nn.PixelUnshuffle(_BLOCK_PX)

    @torch.no_grad()
    def _right(self) -> Tensor:
        return nn.functional.normalize(torch.einsum("po,pov->pv", self.left, self.weight), dim=1)

    @torch.no_grad()
    def _iterate(self) -> None:
        self.left.copy_(nn.functional.normalize(torch.einsum("pov,pv->po", self.weight, self._right()), dim=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, 256, P) of images (B, 3, H, W) with P blocks."""
        if self.training:
            self._iterate()
        largest = torch.einsum("po,pov,pv->p", self.left, self.weight, self._right())
        return torch.einsum("pov,bvp->bop", self.weight / largest.view(-1, 1, 1), self.split(x).flatten(2))


class EleAdaptation(nn.Module):
    """A convolution for each block position, a learned matrix over the positions, then a trunk.

    Parameters
    ----------
    trunk : torch.nn.Module
        Takes features (B, 16, H, W) and returns logits.
    size : tuple of int
        Height and width of the images in pixels, whole 4x4 blocks: no other size fits.
    """

    def __init__(self, trunk: nn.Module, *, size: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        self.blocks = (size[0] // _BLOCK_PX, size[1] // _BLOCK_PX)
        count = self.blocks[0] * self.blocks[1]
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        self.convolutions = BlockConvolutions(count)
        # Every position has statistics of its own, as its convolution has.
        self.norm = nn.BatchNorm1d(_FEATURES * count)
        self.act = nn.LeakyReLU(0.2)
        self.matrix = nn.Parameter(torch.eye(count) + 0.01 * torch.randn(count, count))
        self.spread = nn.PixelShuffle(_BLOCK_PX)
        self.trunk = trunk

    def adapt(self, x: Tensor) -> Tensor:
        """Return features (B, 16, H, W) of encrypted images; the trunk reads them."""
        features = self.convolutions(self.normalize(x))
        features = self.act(self.norm(features.flatten(1)).view_as(features)) @ self.matrix
        spread: Tensor = self.spread(features.unflatten(2, self.blocks))
        return spread

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for encrypted RGB images (B, 3, H, W) in [0, 1]."""
        logits: Tensor = self.trunk(self.adapt(x))
        return logits

    def training_loss(self, x: Tensor, cross_entropy: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the cross-entropy of the logits plus :meth:`penalty`, means over a batch; training minimises it."""
        features = self.adapt(x)
        return cross_entropy(self.trunk(features)) + self.penalty(features.float())

    def penalty(self, features: Tensor) -> Tensor:
        r"""Return what the paper adds to the cross-entropy, :math:`10^{-3} D / P^2 + 0.1\, T / B`.

        :math:`D` is :func:`permutation_penalty` of the matrix over the P positions; :math:`T` the total variation of
        the first three channels of `features`, what :meth:`adapt` returned for B images, divided by (H - 1) W C.
        """
        shown = features[:, :3]
        variation = shown.diff(dim=2).abs().sum() + shown.diff(dim=3).abs().sum()
        batch, channels, height, width = features.shape
        variation = variation / ((height - 1) * width * channels)
        return 1e-3 * permutation_penalty(self.matrix) / self.matrix.numel() + 0.1 * variation / batch


class PixelwiseAdaptation(nn.Module):
    """Two 1x1 convolutions, each followed by a ReLU (the paper leaves that open), then ResNet-18.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        self.adapt = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 32, 1), nn.ReLU())
        self.trunk = ResNet18(num_classes, channels=32)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for encrypted RGB images (B, 3, H, W) in [0, 1]."""
        logits: Tensor = self.trunk(self.adapt(self.normalize(x)))
        return logits

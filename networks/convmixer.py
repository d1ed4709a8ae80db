"""ConvMixer, and the one with an adaptive permutation matrix that reads block-scrambled images.

A. Trockman and J. Z. Kolter, "Patches Are All You Need?" (TMLR 2023, arXiv 2201.09792). The matrix is that of Z. Qi, M.
AprilPyone and H. Kiya (J. Imaging 9(4):85, 2023, arXiv 2208.02556; "PrivConv" in PrivDL's table): the tokens
:math:`Z` of a patch embedding become :math:`A Z` with a learned square matrix over the tokens, which can undo a fixed
order of the blocks. That configuration is reconstructed from its number of parameters: 224x224 images, patches of 16,
width 512, depth 16, kernel 9, and 196x196 for the matrix make 5,345,306, the 5.35 M of the table.

Recipe of the small one (width 256, depth 8): AdamW, weight decay 0.005, batch 512, rate up to 0.05 at 40 % and down, 25
epochs, random crops, mirror and RandAugment: 92.6 %; above 94 % in 100 epochs. The large one: recipe not known, 92.65 %
on scrambled images.
"""

from typing import cast

import torch
from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize


class _MixTokens(nn.Module):
    r"""Multiply the tokens by a learned matrix, :math:`Z' = A Z`: what `weight` holds is A, (tokens, tokens)."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        # A linear layer over the last axis: out[..., i] = sum over j of A[i, j] x[..., j].
        self.matrix = nn.Linear(tokens, tokens, bias=False)
        with torch.no_grad():
            self.matrix.weight.mul_(0.1).add_(torch.eye(tokens))

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.matrix(x.flatten(2))).view_as(x)


class _Mix(nn.Module):
    """A depthwise convolution with a residual sum, then a 1x1 convolution."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width), nn.GELU(), nn.BatchNorm2d(width)
        )
        self.pointwise = nn.Sequential(nn.Conv2d(width, width, 1), nn.GELU(), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(x + self.depthwise(x))
        return out


class ConvMixer(nn.Module):
    r"""Patch embedding, then layers that mix pixels and channels in turn.

    With d the width, h the depth, k the kernel, p the patch and n classes it has
    :math:`d(h(k^2 + d + 6) + 3p^2 + n + 3) + n` parameters, and the matrix :math:`A` its own.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    width, depth : int
        Channels, and number of layers.
    kernel : int
        Side of the depthwise convolutions, odd.
    patch : int
        Side of a patch, in pixels.
    tokens : int, optional
        Number of patches of an image: puts a learned matrix over them behind the embedding, so that only images
        of one size fit. It starts as the identity with a little noise.
    """

    def __init__(
        self,
        num_classes: int = 10,
        *,
        width: int = 256,
        depth: int = 8,
        kernel: int = 5,
        patch: int = 2,
        tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.tokens = nn.Identity() if tokens is None else _MixTokens(tokens)
        self.embedded = nn.Sequential(nn.GELU(), nn.BatchNorm2d(width))
        self.layers = nn.Sequential(*(_Mix(width, kernel) for _ in range(depth)))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for RGB images (B, 3, H, W) in [0, 1], whole patches."""
        x = self.embedded(self.tokens(self.embed(self.normalize(x))))
        logits: Tensor = self.head(self.flatten(self.pool(self.layers(x))))
        return logits

"""A light network for segmentation in the manner of DeepLab.

L.-C. Chen and others, "Encoder-Decoder with Atrous Separable Convolution" (DeepLabv3+, ECCV 2018, arXiv 1802.02611): a
residual encoder whose last stage is dilated instead of strided, parallel dilated convolutions and a pooled branch
over its result, and a decoder that joins them with an early map. Small and shallow here, for frames of a few hundred
pixels: 1.2 M parameters and 1.7 G multiply-adds for CamVid's 240x180.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers import IMAGENET_MEAN, IMAGENET_STD, Normalize

_DILATIONS = (2, 4, 8)


def _convolution(channels_in: int, width: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(channels_in, width, kernel, stride, padding, dilation, bias=False), nn.BatchNorm2d(width)
    )


class _Block(nn.Module):
    """Two 3x3 convolutions with a residual sum."""

    def __init__(self, channels_in: int, width: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.one = _convolution(channels_in, width, 3, stride, dilation)
        self.two = _convolution(width, width, 3, 1, dilation)
        same = stride == 1 and channels_in == width
        self.shortcut = nn.Identity() if same else _convolution(channels_in, width, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        summed: Tensor = self.relu(self.two(self.relu(self.one(x))) + self.shortcut(x))
        return summed


class _Pyramid(nn.Module):
    """A 1x1 convolution, dilated 3x3 ones and the mean over all pixels, side by side."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [_convolution(channels_in, width, 1), *(_convolution(channels_in, width, 3, 1, d) for d in _DILATIONS)]
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        # No batch norm: a batch of one image has one pooled pixel, and no variance.
        self.pooled = nn.Conv2d(channels_in, width, 1)
        self.project = nn.Conv2d(width * 5, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.relu(branch(x)) for branch in self.branches]
        everywhere = self.relu(self.pooled(self.pool(x))).expand_as(seen[0])
        out: Tensor = self.relu(self.norm(self.project(torch.cat([*seen, everywhere], dim=1))))
        return out


class LightDeepLab(nn.Module):
    """Encoder to an eighth of the size, dilated pyramid, decoder at half the size.

    Parameters
    ----------
    num_classes : int
        Channels of the output.
    """

    def __init__(self, num_classes: int = 11) -> None:
        super().__init__()
        self.normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
        self.relu = nn.ReLU(inplace=True)
        self.stem = nn.Sequential(_convolution(3, 24, stride=2), nn.ReLU(inplace=True), _Block(24, 24))
        self.encoder = nn.Sequential(
            _Block(24, 48, 2), _Block(48, 48),
            _Block(48, 96, 2), _Block(96, 96),
            _Block(96, 128, dilation=2), _Block(128, 128, dilation=2),
            _Pyramid(128, 48),
        )  # fmt: skip
        self.early = _convolution(24, 16, 1)
        self.decoder = nn.Sequential(_convolution(48 + 16, 64), nn.ReLU(inplace=True), nn.Dropout2d(0.1))
        # Four logits a class and place, laid out as 2x2 pixels: poles and signs are thinner than a decoder pixel.
        self.head = nn.Sequential(nn.Conv2d(64, 4 * num_classes, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) for RGB images (B, 3, H, W) in [0, 1], of any size."""
        size = x.shape[2:]
        early = self.stem(self.normalize(x))
        deep = F.interpolate(self.encoder(early), size=early.shape[2:], mode="bilinear", align_corners=False)
        out: Tensor = self.head(self.decoder(torch.cat([deep, self.relu(self.early(early))], dim=1)))
        # An odd side has half a decoder pixel too many.
        return out[:, :, : size[0], : size[1]]

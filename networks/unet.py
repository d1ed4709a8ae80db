"""U-Net, for segmentation.

O. Ronneberger, P. Fischer and T. Brox, "U-Net" (MICCAI 2015, arXiv 1505.04597), a quarter as wide, with padding, batch
norm and bilinear steps up, so that any size works: 2.0 M parameters and 2.3 G multiply-adds for CamVid's 240x180.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.layers import IMAGENET_MEAN, IMAGENET_STD, Normalize


class UNet(nn.Module):
    """Contracting and expanding levels, joined by concatenation.

    Parameters
    ----------
    num_classes : int
        Channels of the output.
    widths : sequence of int
        Channels of each level, from the finest.
    convolutions : int
        3x3 convolutions at a level, each way.
    """

    def __init__(
        self, num_classes: int = 11, *, widths: Sequence[int] = (16, 32, 64, 128, 256), convolutions: int = 2
    ) -> None:
        super().__init__()
        self.normalize = Normalize(IMAGENET_MEAN, IMAGENET_STD)
        self.down = nn.ModuleList(_level(i, o, convolutions) for i, o in zip((3, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(
            _level(i + o, o, convolutions) for i, o in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        # Rounding up keeps something of maps that are one pixel wide.
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.head = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) for RGB images (B, 3, H, W) in [0, 1], of any size."""
        x = self.normalize(x)
        kept: list[Tensor] = []
        for level in self.down:
            x = level(self.pool(x) if kept else x)
            kept.append(x)
        for level, fine in zip(self.up, kept[-2::-1], strict=True):
            x = F.interpolate(x, size=fine.shape[2:], mode="bilinear", align_corners=False)
            x = level(torch.cat([x, fine], dim=1))
        logits: Tensor = self.head(x)
        return logits


def _level(channels_in: int, width: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (channels_in, *(width,) * (convolutions - 1)):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)

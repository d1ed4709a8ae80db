"""The U-Net that turns pictures into protected ones, for the learned schemes `transform-net` and `gan`.

H. Ito, Y. Kinoshita and H. Kiya (arXiv 2008.03143) train such a network together with a classifier;
W. Sirichotedumrong and H. Kiya (EUSIPCO 2020, arXiv 2006.01342) as the generator of a CycleGAN. Neither gives the
layers in what could be read: levels of 32, 64 and 128 channels with skips and a tanh at the end are this project's, one
convolution a level, 232,003 parameters.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.unet import UNet

# Sides that this divides pass through the two poolings and back without rounding.
STRIDE = 4


class TransformationNetwork(nn.Module):
    """Pictures to pictures of the same size, RGB in [0, 1] both."""

    def __init__(self) -> None:
        super().__init__()
        self.unet = UNet(3, widths=(32, 64, 128), convolutions=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return protected pictures (B, 3, H, W) for pictures (B, 3, H, W) of any size."""
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        return (torch.tanh(self.unet(x)[:, :, :height, :width]) + 1) / 2

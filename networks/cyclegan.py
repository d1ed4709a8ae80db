"""The CycleGAN of the learned scheme `gan`: generator, way back and discriminator.

J.-Y. Zhu and others, "Unpaired Image-to-Image Translation" (ICCV 2017, arXiv 1703.10593), one direction of it, as
W. Sirichotedumrong and H. Kiya use it (EUSIPCO 2020, arXiv 2006.01342). Generator and way back are
:class:`networks.transformation_network.TransformationNetwork`; the discriminator judges patches.
"""

from torch import Tensor, nn

from networks.layers import Normalize
from networks.transformation_network import TransformationNetwork


class PatchDiscriminator(nn.Module):
    """Tells for every 4x4 pixels whether their surroundings look like encrypted ones; for 8x8 pixels and more."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Normalize((0.5,) * 3, (0.5,) * 3),
            nn.Conv2d(3, 32, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 64, 3, 1, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 1, 3, 1, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """Return scores (B, 1, H // 4, W // 4), near 1 for what looks real, near 0 for what looks made."""
        scores: Tensor = self.layers(x)
        return scores


class CycleGAN(nn.Module):
    """The three networks under one name; called, it protects."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = TransformationNetwork()
        self.back = TransformationNetwork()
        self.discriminator = PatchDiscriminator()

    def forward(self, x: Tensor) -> Tensor:
        """Return protected pictures (B, 3, H, W) for pictures (B, 3, H, W) in [0, 1]."""
        protected: Tensor = self.generator(x)
        return protected

r"""The classification-compliant autoencoder that goes with the scheme `sit`.

Ma, Yao and others (GLOBECOM 2022): an encoder of four 3x3 convolutions with batch norm and two poolings, a decoder of
two transposed convolutions (4x4, stride 2) with batch norm, and ResNet-18 on what it rebuilds; trained with

.. math:: L = \tfrac12 \|\hat x - x\|^2 + \tfrac12 \mathrm{CE}.

Widths are not stated in what could be read; 32, 32, 64, 64 and back are this project's. As published, under federated
averaging over ten clients: MNIST 97.63 %, CIFAR-10 80.36 %.
"""

from collections.abc import Callable

from torch import Tensor, nn

from networks.resnet import ResNet18


def _encode(channels_in: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels_in, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


class SitAutoencoder(nn.Module):
    """Autoencoder and classifier for RGB images in [0, 1] whose sides four divides.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *_encode(3, 32), *_encode(32, 32), nn.MaxPool2d(2), *_encode(32, 64), *_encode(64, 64), nn.MaxPool2d(2)
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.BatchNorm2d(3), nn.Sigmoid(),
        )  # fmt: skip
        self.classifier = ResNet18(num_classes)

    def rebuild(self, x: Tensor) -> Tensor:
        """Return what the autoencoder makes of images (B, 3, H, W): as many, of that shape, in [0, 1]."""
        rebuilt: Tensor = self.decoder(self.encoder(x))
        return rebuilt

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for protected images (B, 3, H, W) in [0, 1]."""
        logits: Tensor = self.classifier(self.rebuild(x))
        return logits

    def training_loss(self, x: Tensor, cross_entropy: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the paper's loss of protected images, the mean over a batch; `cross_entropy` takes the logits."""
        rebuilt = self.rebuild(x)
        squares = (rebuilt.float() - x).square().flatten(1).sum(1).mean()
        return (squares + cross_entropy(self.classifier(rebuilt))) / 2

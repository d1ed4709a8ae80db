"""VGG16 with batch normalisation, in the CIFAR form that the PrivDL paper uses.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015),
configuration D; head 512-4096-4096-classes with dropout, 33,646,666 parameters for ten classes.
"""

from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize

# Output channels of the 3x3 convolutions; "M" halves the map.
_VGG16 = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


class VGG16BN(nn.Module):
    """VGG16-BN for RGB in [0, 1], 32x32 and larger.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        layers: list[nn.Module] = []
        channels = 3
        for entry in _VGG16:
            if isinstance(entry, str):
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, entry, 3, padding=1), nn.BatchNorm2d(entry), nn.ReLU(inplace=True)]
            channels = entry
        self.features = nn.Sequential(*layers)
        # One pixel is left of a 32x32 image; larger inputs are averaged down to it.
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(512, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
            nn.Linear(4096, num_classes),
        )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for RGB images (B, 3, H, W) in [0, 1]."""
        logits: Tensor = self.classifier(self.flatten(self.pool(self.features(self.normalize(x)))))
        return logits

"""VGG networks with batch normalisation, in the CIFAR form that the PrivDL paper uses.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2015, arXiv
1409.1556), configurations A, B, D and E; head 512-4096-4096-classes with dropout: 33,646,666 parameters for VGG16 and
ten classes (34,015,396 with the hundred logits that PrivDL's code leaves in).

Recipe of the PrivDL paper's code: SGD, rate 0.1, momentum 0.9, weight decay 5e-4, batch 128, 200 epochs, rate times 0.2
at 60, 120 and 160, one epoch of warm-up, shift by 4, mirror and rotation by 15 degrees; 94.1 % for VGG16.
"""

from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize

# How many 3x3 convolutions come before each of the five poolings.
_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """VGG-BN for RGB in [0, 1], 32x32 and larger.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    depth : {11, 13, 16, 19}
        Layers with weights.
    """

    def __init__(self, num_classes: int = 10, *, depth: int = 16) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD)
        layers: list[nn.Module] = []
        channels = 3
        for count, width in zip(_DEPTHS[depth], _WIDTHS, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
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

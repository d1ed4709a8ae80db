"""Networks for handwritten digits.

LeNet-5 after Y. LeCun and others, "Gradient-Based Learning Applied to Document Recognition" (Proc. IEEE 86(11), 1998),
in today's form: every map of the second layer reads all of the first, ReLU, max pooling; 61,706 parameters. Reaches
about 99 % on MNIST in five epochs of Adam.

DLMT names "five convolutions" for MNIST (99.440 % on plain digits) and no more: :class:`FiveConvolutions` is this
project's reading, small enough to ship.
"""

from torch import Tensor, nn

from networks.layers import Normalize

MNIST_MEAN, MNIST_STD = (0.1307,), (0.3081,)


class LeNet5(nn.Module):
    """LeNet-5 for grey 28x28 images in [0, 1].

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.normalize = Normalize(MNIST_MEAN, MNIST_STD)
        self.features = nn.Sequential(
            # The border makes 32x32 pixels of 28x28, as the paper does.
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.flatten = nn.Flatten()
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for grey images (B, 1, 28, 28) in [0, 1]."""
        logits: Tensor = self.classifier(self.flatten(self.features(self.normalize(x))))
        return logits


class FiveConvolutions(nn.Module):
    """Five 3x3 convolutions with batch norm, 24 to 96 wide, for grey images in [0, 1], 28x28 or near it.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.normalize = Normalize(MNIST_MEAN, MNIST_STD)
        layers: list[nn.Module] = []
        for channels, width, pooled in (
            (1, 24, True),
            (24, 32, False),
            (32, 48, True),
            (48, 64, False),
            (64, 96, False),
        ):
            layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=False))
            if pooled:
                layers.append(nn.MaxPool2d(2))
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.flatten = nn.Flatten()
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(96, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for grey images (B, 1, H, W) in [0, 1]."""
        logits: Tensor = self.head(self.flatten(self.pool(self.features(self.normalize(x)))))
        return logits

"""Networks that only benchmarks need: the field's ImageNet network, and VGG16 without its wide head."""

from torch import Tensor, nn

from networks import build


class Bottleneck(nn.Module):
    """A 3x3 convolution between two pointwise ones, beside a shortcut."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels_in != 4 * width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map for maps (B, C, H, W)."""
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.relu(self.norm2(self.conv2(y)))
        result: Tensor = self.relu(self.norm3(self.conv3(y)) + self.shortcut(x))
        return result


def resnet50() -> nn.Module:
    """Return ResNet-50 for 224x224 RGB (K. He and others, CVPR 2016, stride in the 3x3 convolutions)."""
    layers = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(count):
            layers.append(Bottleneck(channels, width, stride if block == 0 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))


def vgg16_bn_small_head() -> nn.Module:
    """Return VGG16-BN with one linear layer behind the convolutions: its 4096-wide head is 19 M of 34 M weights."""
    model = build("vgg16_bn", seed=0)
    model.classifier = nn.Linear(512, 10)
    return model

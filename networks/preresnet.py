"""Pre-activation residual networks for small images.

K. He and others, "Identity Mappings in Deep Residual Networks" (ECCV 2016, arXiv 1603.05027): batch norm and ReLU come
before each convolution, and a bare 1x1 convolution carries the shortcut where the shape changes.

"PreResNet-110" of the PrivDL paper can be read in two ways, and both are here. With basic blocks it has 109 3x3
convolutions and 1,730,522 parameters. The 1.70 M of the paper's table are those of 54 bottleneck blocks, 163
convolutions and the linear layer: 1,703,258 parameters, 164 layers.

Recipe (of the bottleneck network with 95.06 %): SGD, rate 0.1, momentum 0.9, weight decay 1e-4, batch 128, 164 epochs,
rate times 0.1 at 81 and 122, shift by 4 and mirror.
"""

import math

from torch import Tensor, nn

from networks.layers import CIFAR10_MEAN, CIFAR10_STD, Normalize

_WIDTHS = (16, 32, 64)


class _Basic(nn.Module):
    """Two 3x3 convolutions."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        summed: Tensor = out + self.downsample(x)
        return summed


class _Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, the last of them four times as wide."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(self.relu(self.bn1(x)))
        out = self.conv2(self.relu(self.bn2(out)))
        out = self.conv3(self.relu(self.bn3(out)))
        summed: Tensor = out + self.downsample(x)
        return summed


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    """Return the identity, or a strided 1x1 convolution where the shape changes."""
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False))


class PreResNet(nn.Module):
    """Three stages of pre-activation blocks, 16, 32 and 64 wide, then the mean over all pixels and a linear layer.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    blocks : int
        Blocks in each stage: 3 for PreResNet-20, 18 for both PreResNet-110.
    bottleneck : bool
        Bottleneck blocks, four times as wide outside, instead of basic ones.
    channels : int
        Of the input; three are RGB in [0, 1] and are normalised, others are features and are not.
    """

    def __init__(self, num_classes: int = 10, *, blocks: int = 3, bottleneck: bool = False, channels: int = 3) -> None:
        super().__init__()
        self.normalize = Normalize(CIFAR10_MEAN, CIFAR10_STD) if channels == 3 else nn.Identity()
        self.conv1 = nn.Conv2d(channels, _WIDTHS[0], 3, padding=1, bias=False)
        reached, expansion = _WIDTHS[0], 4 if bottleneck else 1
        stages: list[nn.Module] = []
        for number, width in enumerate(_WIDTHS):
            stage: list[nn.Module] = []
            for block in range(blocks):
                stride = 2 if number > 0 and block == 0 else 1
                stage.append((_Bottleneck if bottleneck else _Basic)(reached, width, stride))
                reached = width * expansion
            stages.append(nn.Sequential(*stage))
        self.layer1, self.layer2, self.layer3 = stages
        self.bn = nn.BatchNorm2d(reached)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(reached, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for images (B, channels, H, W), 32x32 and larger."""
        x = self.conv1(self.normalize(x))
        x = self.relu(self.bn(self.layer3(self.layer2(self.layer1(x)))))
        logits: Tensor = self.fc(self.flatten(self.pool(x)))
        return logits

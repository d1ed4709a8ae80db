r"""ShakePyramidNet-110: the trunk of the published adaptation networks.

D. Han and others, "Deep Pyramidal Residual Networks" (CVPR 2017, arXiv 1610.02915), depth 110 and widening 270: 54
basic blocks whose width grows by five each, from 16 to 286. Y. Yamada and others, "ShakeDrop Regularization for Deep
Residual Learning" (IEEE Access 7, 2019, arXiv 1802.02375): with :math:`F` a block's branch,

.. math:: y = x + (b + a - ba) F(x), \quad b \sim \mathrm{Bernoulli}(p_l), \ a \sim U(-1, 1),

with a fresh :math:`U(0, 1)` in place of a on the way back, :math:`p_l = 1 - l / 2L` for block l of L, and the
factor :math:`p_l` in evaluation.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_FIRST_WIDTH = 16


class ShakeDrop(nn.Module):
    """Scale a residual branch by a random factor for each image, and its gradient by another.

    The factors come from torch's global generator, as dropout's do.

    Parameters
    ----------
    keep : float
        Probability that an image's branch is left as it is; in evaluation every branch is multiplied by it.
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, branch: Tensor) -> Tensor:
        """Return the scaled branch, shape (B, C, H, W)."""
        if not self.training:
            return branch * self.keep
        kept, forward, backward = torch.rand(3, len(branch), 1, 1, 1, device=branch.device, dtype=branch.dtype)
        forward = torch.where(kept < self.keep, 1.0, 2 * forward - 1)
        backward = torch.where(kept < self.keep, 1.0, backward)
        # Its value is branch times the first factor, its gradient the second one.
        return branch * backward + (branch * (forward - backward)).detach()

    def extra_repr(self) -> str:
        """Show the probability in ``print(model)``."""
        return f"keep={self.keep:g}"


class _Block(nn.Module):
    """Two convolutions; the shortcut is averaged down and filled up with empty channels."""

    def __init__(self, channels_in: int, width: int, stride: int, keep: float) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shake = ShakeDrop(keep)
        self.shortcut = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.more = width - channels_in

    def forward(self, x: Tensor) -> Tensor:
        short = F.pad(self.shortcut(x), (0, 0, 0, 0, 0, self.more))
        summed: Tensor = short + self.shake(self.branch(x))
        return summed


class ShakePyramid(nn.Module):
    """Three stages of widening blocks for feature maps whose sides four divides.

    Parameters
    ----------
    num_classes : int
        Size of the output.
    channels : int
        Of the input.
    blocks : int
        In each stage; 18 for depth 110.
    widening : int
        What the width grows by in all.
    """

    def __init__(self, num_classes: int = 10, *, channels: int = 16, blocks: int = 18, widening: int = 270) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, _FIRST_WIDTH, 3, padding=1), nn.BatchNorm2d(_FIRST_WIDTH))
        count = 3 * blocks
        widths = [_FIRST_WIDTH + round(widening * n / count) for n in range(count + 1)]
        self.blocks = nn.Sequential(
            *(
                _Block(widths[n], widths[n + 1], 2 if n in (blocks, 2 * blocks) else 1, 1 - (n + 1) / (2 * count))
                for n in range(count)
            )
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(widths[-1], num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for features (B, channels, H, W)."""
        x = self.relu(self.norm(self.blocks(self.stem(x))))
        logits: Tensor = self.fc(self.flatten(self.pool(x)))
        return logits

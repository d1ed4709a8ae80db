"""How the field's first paper runs a network on shuffled frames, rebuilt from its description for comparison.

J. Perez, R. Lopez and H. Arguello (ICASSP 2024): every convolution is a deformable one whose offsets follow the keys.
No faster or slower on purpose; what the paper leaves open is done as in the code that its authors published
(github.com/Factral/PrivDL, ``operators/deformable_pooling.py`` and ``operators/offset.py``):

* Each layer has an offset tensor of 2 k k channels at full resolution, repeated for every sample of the batch.
* The convolution is torchvision's operator. On the CPU it samples one value after another from (C, H, W) memory, its
  four neighbours with their bounds looked at and weighed anew for every channel, into columns; then one matrix product
  an image. :func:`convolve` does just that, and was measured to take 0.6 to 0.9 of the time of torchvision 0.28's own.
* Pooling derives its indices in Python at every call: for every output the row and column of every pixel of the key,
  among which each tap's is then searched.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn

from operators import GatherTable, Window, deform_conv2d, deformable_offsets
from scrambler import Key, Permutation, keyed_permutation

SIDE = 32

Convolve = Callable[[Tensor, Tensor, nn.Conv2d], Tensor]


@njit(cache=True, nogil=True)
def sample_columns(frame: NDArray[Any], offset: NDArray[Any], columns: NDArray[Any]) -> None:
    """Sample what a 3x3 convolution reads: frame (C, H, W), offset (18, H, W), columns (C * 9, H * W)."""
    channels, height, width = frame.shape
    for c in range(channels):
        for oy in range(height):
            for ox in range(width):
                for k in range(9):
                    y = oy - 1 + k // 3 + offset[2 * k, oy, ox]
                    x = ox - 1 + k % 3 + offset[2 * k + 1, oy, ox]
                    value = frame.dtype.type(0)
                    if y > -1 and x > -1 and y < height and x < width:
                        top, left = math.floor(y), math.floor(x)
                        down, right = y - top, x - left
                        if top >= 0 and left >= 0:
                            value += (1 - down) * (1 - right) * frame[c, top, left]
                        if top >= 0 and left + 1 < width:
                            value += (1 - down) * right * frame[c, top, left + 1]
                        if top + 1 < height and left >= 0:
                            value += down * (1 - right) * frame[c, top + 1, left]
                        if top + 1 < height and left + 1 < width:
                            value += down * right * frame[c, top + 1, left + 1]
                    columns[c * 9 + k, oy * width + ox] = value


def convolve(x: Tensor, offset: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return the 3x3 convolution of frames (B, C, H, W) through offsets (B, 18, H, W)."""
    B, C, H, W = x.shape
    x, weight = x.contiguous(), layer.weight.flatten(1)
    out = x.new_empty((B, len(weight), H * W))
    columns = x.new_empty((C * 9, H * W))
    for b in range(B):
        sample_columns(x[b].numpy(), offset[b].numpy(), columns.numpy())
        torch.mm(weight, columns, out=out[b])
    assert layer.bias is not None
    return (out + layer.bias[:, None]).view(B, -1, H, W)


def convolve_quickly(x: Tensor, offset: Tensor, layer: nn.Conv2d) -> Tensor:
    """Return the same from this project's own deformable kernel."""
    return deform_conv2d(x, offset, layer.weight, layer.bias, padding=1)


def torchvision_convolution() -> Convolve | None:
    """Return the same from torchvision's operator; None where that can't be imported, as beside a PyTorch for CPUs."""
    try:
        from torchvision import ops  # type: ignore[import-not-found]  # no dependency of this project
    except (ImportError, OSError, RuntimeError):
        return None
    return lambda x, offset, layer: ops.deform_conv2d(x, offset, layer.weight, layer.bias, padding=1)


def places(pixels: NDArray[Any], width: int) -> NDArray[Any]:
    """Return the row and column of each pixel, (N, 2), one after another."""
    return np.array([np.array([pixel // width, pixel % width]) for pixel in pixels])


def pool_by_search(x: Tensor, source_in: NDArray[Any], source_out: NDArray[Any]) -> Tensor:
    """Return the 2x2 maxima of frames (B, C, H, W) in the order ``source_in``, in the order ``source_out``."""
    B, C, H, W = x.shape
    out = x.new_empty((B, C, H // 2, W // 2))
    for slot, (row, column) in enumerate(places(source_out, W // 2)):
        taps = x.new_empty((B, C, 4))
        known = places(source_in, W)
        for tap in range(4):
            wanted = (2 * row + tap // 2, 2 * column + tap % 2)
            found = int(np.flatnonzero((known == wanted).all(axis=1))[0])
            taps[:, :, tap] = x[:, :, found // W, found % W]
        out[:, :, slot // (W // 2), slot % (W // 2)] = taps.amax(2)
    return out


def pool_by_table(x: Tensor, table: Tensor) -> Tensor:
    """Return the same through a table (H * W / 4, 4) made beforehand."""
    B, C, H, W = x.shape
    return x.flatten(2)[:, :, table].amax(-1).reshape(B, C, H // 2, W // 2)


class OlderWay(nn.Module):
    """VGG16-BN for shuffled 32x32 frames, for batches of one size.

    Parameters
    ----------
    plain : nn.Module
        From ``networks.build("vgg16_bn")``.
    key : Key
    nonce : bytes
        Of all frames.
    batch : int
    convolve : callable
        One of this module's; takes frames, offsets and the plain layer.
    searches : bool
        Pool as published; otherwise by a table made beforehand.
    """

    def __init__(
        self, plain: nn.Module, key: Key, nonce: bytes, batch: int, *, convolve: Convolve, searches: bool
    ) -> None:
        super().__init__()
        self.plain, self.convolve, self.searches = plain, convolve, searches
        self.steps: list[tuple[nn.Module, Any]] = []
        order: Permutation = keyed_permutation(key, (SIDE, SIDE), nonce=nonce)
        side = SIDE
        for layer in plain.get_submodule("features").children():
            if isinstance(layer, nn.Conv2d):
                out = keyed_permutation(key, (side, side), label=f"layer/{len(self.steps)}")
                offsets = deformable_offsets(GatherTable.keyed(Window.of((side, side), 3, 1, 1), order, out))
                self.steps.append((layer, offsets.expand(batch, *offsets.shape).contiguous()))
                order = out
            elif isinstance(layer, nn.MaxPool2d):
                out = keyed_permutation(key, (side // 2, side // 2), label=f"layer/{len(self.steps)}")
                if searches:
                    self.steps.append((layer, (order.source.astype(np.int64), out.source.astype(np.int64))))
                else:
                    table = GatherTable.keyed(Window.of((side, side), 2, 2), order, out)
                    self.steps.append((layer, table.index.long()))
                order, side = out, side // 2
            else:
                self.steps.append((layer, None))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) for shuffled frames."""
        x = self.plain.get_submodule("normalize")(x)
        for layer, table in self.steps:
            if table is None:
                x = layer(x)
            elif isinstance(layer, nn.Conv2d):
                x = self.convolve(x, table, layer)
            else:
                x = pool_by_search(x, *table) if self.searches else pool_by_table(x, table)
        logits: Tensor = self.plain.get_submodule("classifier")(x.flatten(1))
        return logits

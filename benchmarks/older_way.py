"""How the field's first paper runs a network on shuffled frames, rebuilt from its description for comparison.

J. Perez, R. Lopez and H. Arguello (ICASSP 2024): every convolution is a deformable one whose offsets follow the keys.
As described in docs/theory.md's sources, and no faster or slower on purpose:

* Each layer has an offset tensor of 2 k k channels at full resolution, repeated for every sample of the batch.
* The convolution is torchvision's operator on the CPU: one value after another is sampled from (C, H, W) memory, its
  four neighbours with their bounds looked at and weighed anew for every channel, into columns; then one matrix product
  an image.
* Pooling derives its indices in Python at every call: each tap of each output searches the key for its pixel.
"""

import math
from typing import Any

import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, nn

from operators import GatherTable, Window, deform_conv2d, deformable_offsets
from scrambler import Key, Permutation, keyed_permutation

SIDE = 32


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


def pool(x: Tensor, source_in: list[int], source_out: list[int]) -> Tensor:
    """Return the 2x2 maxima of frames (B, C, H, W) in the order ``source_in``, in the order ``source_out``."""
    B, C, H, W = x.shape
    out = x.new_empty((B, C, H // 2, W // 2))
    for slot, place in enumerate(source_out):
        y, column = divmod(place, W // 2)
        taps = []
        for down in (0, 1):
            for right in (0, 1):
                wanted = (2 * y + down) * W + 2 * column + right
                for found, pixel in enumerate(source_in):
                    if pixel == wanted:
                        taps.append(x[:, :, found // W, found % W])
                        break
        out[:, :, slot // (W // 2), slot % (W // 2)] = torch.stack(taps).amax(0)
    return out


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
    as_described : bool
        Otherwise the same idea on this project's deformable kernel, and pooling by a table made beforehand.
    """

    def __init__(self, plain: nn.Module, key: Key, nonce: bytes, batch: int, *, as_described: bool) -> None:
        super().__init__()
        self.plain, self.as_described = plain, as_described
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
                if as_described:
                    self.steps.append((layer, (order.source.tolist(), out.source.tolist())))
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
                if self.as_described:
                    x = convolve(x, table, layer)
                else:
                    x = deform_conv2d(x, table, layer.weight, layer.bias, padding=1)
            elif self.as_described:
                x = pool(x, *table)
            else:
                side = x.shape[2] // 2
                x = x.flatten(2)[:, :, table].amax(-1).reshape(*x.shape[:2], side, side)
        logits: Tensor = self.plain.get_submodule("classifier")(x.flatten(1))
        return logits

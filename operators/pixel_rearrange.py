"""Pixel shuffle and unshuffle: channels become pixels and pixels channels, by one gather."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from operators.errors import OperatorError
from operators.geometry import IntOrPair, Window, natural_index, pair
from operators.modules import KeyedModule
from operators.rows import check_slot, frame_size, from_rows, permute_rows, to_rows
from operators.tables import PixelOrder, compose, slot_table, source_table


def _shuffle_table(input_size: tuple[int, int], factor: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which natural input pixel each output pixel comes from, and which of its factor**2 parts; both (M,)."""
    H, W = input_size
    y, x = np.divmod(np.arange(H * W * factor**2), W * factor)
    pixel = y // factor * W + x // factor
    return pixel.astype(np.int32), (y % factor * factor + x % factor).astype(np.int32)


def _unshuffle_table(input_size: tuple[int, int], factor: int) -> NDArray[Any]:
    """Return the natural input pixels that become the channels of each output pixel; (M, factor**2)."""
    H, W = input_size
    if H % factor or W % factor:
        raise OperatorError(f"pixel unshuffle by {factor} needs sides that it divides; got {input_size}")
    return natural_index(Window.of(input_size, factor, stride=factor))


def _spread(frames: Tensor, index: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Split every pixel into factor**2 and read these through ``index``, (M,) or (B, M)."""
    rows = to_rows(frames)
    B, N, C = rows.shape
    # Channel c * r**2 + part of pixel n is channel c of the new row n * r**2 + part.
    parts = rows.reshape(B, N, C // factor**2, factor**2).transpose(2, 3).reshape(B, N * factor**2, C // factor**2)
    return from_rows(permute_rows(parts, index), size)


def _collect(frames: Tensor, index: Tensor, factor: int, size: tuple[int, int]) -> Tensor:
    """Read pixels through ``index``, (M * factor**2,) or (B, M * factor**2), and join each factor**2 into one."""
    rows = permute_rows(to_rows(frames), index)
    B, N, C = rows.shape
    joined = rows.reshape(B, N // factor**2, factor**2, C).transpose(2, 3)
    return from_rows(joined.reshape(B, N // factor**2, C * factor**2), size)


class _KeyedRearrange(KeyedModule):
    """Pixel shuffle and unshuffle between two pixel orders."""

    pixel: Tensor
    part: Tensor | None
    index: Tensor

    def __init__(
        self, input_size: tuple[int, int], output_size: tuple[int, int], factor: int, pixel: Tensor, part: Tensor | None
    ) -> None:
        super().__init__(input_size, output_size)
        self.factor = factor
        self.register_table("pixel", pixel)
        self.register_table("part", part)

    def _index(self, slot: Tensor | None) -> Tensor:
        """Return the rows to read, given the input's slots."""
        index = compose(slot, self.pixel)
        return index if self.part is None else index * self.factor**2 + self.part

    def extra_repr(self) -> str:
        """Return factor and sizes; never a table."""
        return f"{self.factor}, {super().extra_repr()}"


class KeyedPixelShuffle(_KeyedRearrange):
    """``nn.PixelShuffle`` between two pixel orders.

    With r the factor, ``out[c, y * r + i, x * r + j] = in[c * r**2 + i * r + j, y, x]``: r² short rows are read from
    every long one, by one gather.

    Parameters
    ----------
    plain : nn.PixelShuffle
    input_size : int or (int, int)
        Map height and width, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.

    Raises
    ------
    OperatorError
        When a permutation has the wrong length.
    """

    def __init__(
        self,
        plain: nn.PixelShuffle,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        H, W = pair(input_size, "input_size", 1)
        r = plain.upscale_factor
        pixel, part = (torch.from_numpy(table) for table in _shuffle_table((H, W), r))
        source = source_table(permutation_out, H * W * r * r)
        if source is not None:
            pixel, part = pixel[source], part[source]
        super().__init__((H, W), (H * r, W * r), r, pixel, part)
        self.register_table("index", self._index(slot_table(permutation_in, H * W)))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Rearrange (B, C * r**2, H, W) to (B, C, r * H, r * W); ``slot`` replaces the input's order for this call."""
        own = self.accept(x, slot)
        if x.shape[1] % self.factor**2:
            raise OperatorError(f"pixel shuffle by {self.factor} needs a multiple of {self.factor**2} channels")
        return _spread(x, self.index if own is None else self._index(own), self.factor, self.output_size)


class KeyedPixelUnshuffle(_KeyedRearrange):
    """``nn.PixelUnshuffle`` between two pixel orders, the inverse of :class:`KeyedPixelShuffle`.

    Parameters and errors are those of the inverse; also raised when the factor does not divide both sides.
    """

    def __init__(
        self,
        plain: nn.PixelUnshuffle,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        H, W = pair(input_size, "input_size", 1)
        r = plain.downscale_factor
        reads = torch.from_numpy(_unshuffle_table((H, W), r).copy())
        source = source_table(permutation_out, H * W // r**2)
        pixel = reads if source is None else reads[source]
        super().__init__((H, W), (H // r, W // r), r, pixel.flatten(), None)
        self.register_table("index", self._index(slot_table(permutation_in, H * W)))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Rearrange (B, C, r * H, r * W) to (B, C * r**2, H, W); ``slot`` replaces the input's order for this call."""
        own = self.accept(x, slot)
        return _collect(x, self.index if own is None else self._index(own), self.factor, self.output_size)


def keyed_pixel_shuffle(
    input: Tensor,
    upscale_factor: int,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
) -> Tensor:
    """Return ``pixel_shuffle(x)`` of natural x, read from shuffled maps, in the output's order.

    Parameters
    ----------
    input : Tensor, shape (B, C * r**2, H, W)
        In the order of ``permutation_in``.
    upscale_factor : int
        r.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of the input's order for this call, or one for each map; replaces ``permutation_in``.

    Returns
    -------
    Tensor, shape (B, C, r * H, r * W)

    Raises
    ------
    OperatorError
        When shapes and permutations do not fit together.
    """
    layer = KeyedPixelShuffle(nn.PixelShuffle(upscale_factor), frame_size(input), permutation_in, permutation_out)
    shuffled: Tensor = layer.to(input.device)(input, None if slot is None else check_slot(slot, input))
    return shuffled


def keyed_pixel_unshuffle(
    input: Tensor,
    downscale_factor: int,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
) -> Tensor:
    """Return ``pixel_unshuffle(x)`` of natural x, read from shuffled maps; as :func:`keyed_pixel_shuffle`."""
    layer = KeyedPixelUnshuffle(nn.PixelUnshuffle(downscale_factor), frame_size(input), permutation_in, permutation_out)
    joined: Tensor = layer.to(input.device)(input, None if slot is None else check_slot(slot, input))
    return joined

"""Flips, shifts, crops and borders as index maps: every output pixel is one input pixel, or a fixed value.

On shuffled frames an index map costs one gather, and it may change the pixel order in the same step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import PADDING_MODES, IntOrPair, Window, check_borders, pair
from operators.modules import KeyedModule
from operators.rows import check_slot, from_rows, gather_rows, permute_rows, to_rows
from operators.tables import PixelOrder, compose, past_the_end, slot_table, source_table


@dataclass(frozen=True, eq=False, repr=False)
class IndexMap:
    """Which natural input pixel every natural output pixel is; holds no secret.

    Attributes
    ----------
    input_size, output_size : (int, int)
        Height and width, in pixels.
    natural : ndarray of int32, shape (Ho * Wo,)
        Natural input position y * W + x, or -1 where the output is a fixed value.
    """

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    natural: NDArray[Any]

    @classmethod
    def of_axes(cls, input_size: IntOrPair, rows: Any, columns: Any) -> Self:
        """Return the map that reads input row ``rows[y]`` and column ``columns[x]`` for output (y, x).

        Parameters
        ----------
        input_size : int or (int, int)
            Height and width, in pixels.
        rows, columns : array-like of integers
            -1 where the output is a fixed value.

        Raises
        ------
        OperatorError
            When a row or column does not exist, or there is none.

        Examples
        --------
        >>> IndexMap.of_axes((2, 3), [1, 0], [2, -1]).natural.tolist()
        [5, -1, 2, -1]
        """
        H, W = pair(input_size, "input_size", 1)
        y, x = np.asarray(rows), np.asarray(columns)
        for name, places, length in (("rows", y, H), ("columns", x, W)):
            if places.ndim != 1 or places.size == 0 or places.min() < -1 or places.max() >= length:
                raise OperatorError(f"{name} must be at least one number from -1 to {length - 1}")
        natural = np.where((y[:, None] < 0) | (x < 0), -1, y[:, None] * W + x).ravel().astype(np.int32)
        return cls((H, W), (len(y), len(x)), natural)

    @cached_property
    def is_permutation(self) -> bool:
        """Whether every input pixel is read exactly once."""
        return np.array_equal(np.sort(self.natural), np.arange(self.input_size[0] * self.input_size[1]))

    def places(self, source: Tensor | None) -> Tensor:
        """Return the map in the order of the outputs' slots; int32, (M,), with N = H * W instead of -1."""
        natural = torch.from_numpy(self.natural if source is None else self.natural[source.numpy()])
        return past_the_end(natural, self.input_size[0] * self.input_size[1])

    def __repr__(self) -> str:
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        return f"IndexMap({H}x{W} -> {Ho}x{Wo})"


def flip_map(size: IntOrPair, *, vertical: bool = False, horizontal: bool = False) -> IndexMap:
    """Return the map of ``torch.flip`` over rows (``vertical``), columns (``horizontal``) or both."""
    H, W = pair(size, "size", 1)
    return IndexMap.of_axes((H, W), np.arange(H)[:: -1 if vertical else 1], np.arange(W)[:: -1 if horizontal else 1])


def shift_map(size: IntOrPair, down: int, right: int, *, circular: bool = False) -> IndexMap:
    """Return the map that moves the picture ``down`` and ``right`` by so many pixels, which may be negative.

    What comes in from outside is a fixed value, or with ``circular`` what left on the other side (``torch.roll``).
    """
    axes = []
    for length, step in zip(pair(size, "size", 1), (down, right), strict=True):
        place = np.arange(length) - step
        axes.append(place % length if circular else np.where((place < 0) | (place >= length), -1, place))
    return IndexMap.of_axes(size, *axes)


def crop_map(size: IntOrPair, rows: slice, columns: slice) -> IndexMap:
    """Return the map of ``frame[rows, columns]``; slices as Python's, so steps make it a subsampling.

    Raises
    ------
    OperatorError
        When nothing is left.
    """
    H, W = pair(size, "size", 1)
    return IndexMap.of_axes((H, W), np.arange(H)[rows], np.arange(W)[columns])


def pad_map(size: IntOrPair, padding: Sequence[int], mode: str = "constant") -> IndexMap:
    """Return the map of ``torch.nn.functional.pad`` over height and width.

    Parameters
    ----------
    size : int or (int, int)
        Height and width, in pixels.
    padding : sequence of 2 or 4 integers
        Left, right, top, bottom, in pixels; negative ones crop.
    mode : {"constant", "reflect", "replicate", "circular"}

    Raises
    ------
    OperatorError
        When the mode does not exist, needs more pixels than there are, or nothing is left.
    """
    H, W = pair(size, "size", 1)
    rule = "zeros" if mode == "constant" else mode
    if rule not in PADDING_MODES or len(padding) not in (2, 4):
        raise OperatorError(f"padding must be 2 or 4 integers with a known mode; got {tuple(padding)} and {mode!r}")
    left, right, top, bottom = (*padding, 0, 0)[:4]
    borders = ((top, bottom), (left, right))
    check_borders((H, W), borders, rule)
    if H + top + bottom < 1 or W + left + right < 1:
        raise OperatorError(f"padding {tuple(padding)} leaves nothing of a frame of {(H, W)}")
    # A border is what a 1x1 window with this padding reads.
    one = (1, 1)
    window = Window(input_size=(H, W), kernel_size=one, stride=one, dilation=one, padding=borders, padding_mode=rule)
    Ho, Wo = window.output_size
    return IndexMap((H, W), (Ho, Wo), window.reads(np.arange(Ho * Wo))[:, 0])


def read_map(frames: Tensor, index_map: IndexMap, index: Tensor, value: float) -> Tensor:
    """Return frames read through ``index``, (M,) or (B, M), where N means ``value``."""
    rows = to_rows(frames)
    if index_map.is_permutation:
        return from_rows(permute_rows(rows, index), index_map.output_size)
    if np.min(index_map.natural) < 0:
        rows = F.pad(rows, (0, 0, 0, 1), value=value)
    return from_rows(gather_rows(rows, index), index_map.output_size)


def keyed_index_map(
    input: Tensor,
    index_map: IndexMap,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    value: float = 0.0,
) -> Tensor:
    r"""Flip, shift, crop or pad shuffled frames: with map m and orders σ, τ, ``out[j] = in[slot_σ[m[source_τ[j]]]]``.

    Parameters
    ----------
    input : Tensor, shape (B, C, H, W)
        In the order of ``permutation_in``; any type.
    index_map : IndexMap
        From :func:`flip_map`, :func:`shift_map`, :func:`crop_map` or :func:`pad_map`.
    permutation_in, permutation_out : permutation, optional
        σ and τ; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of σ for this call, or one for each frame; replaces ``permutation_in``.
    value : float
        Of outputs that read no input.

    Returns
    -------
    Tensor, shape (B, C, Ho, Wo)

    Raises
    ------
    OperatorError
        When map, permutations and frames do not fit together.

    Examples
    --------
    >>> x = torch.tensor([[[[3, 1, 2]]]])  # 1 2 3, shuffled
    >>> keyed_index_map(x, flip_map((1, 3), horizontal=True), slot=torch.tensor([1, 2, 0])).tolist()
    [[[[3, 2, 1]]]]
    """
    (H, W), (Ho, Wo) = index_map.input_size, index_map.output_size
    if input.ndim != 4 or tuple(input.shape[2:]) != (H, W):
        raise OperatorError(f"the map is for frames (B, C, {H}, {W}); got {tuple(input.shape)}")
    own = slot_table(permutation_in, H * W) if slot is None else check_slot(slot, input)
    places = index_map.places(source_table(permutation_out, Ho * Wo)).to(input.device)
    own = None if own is None else own.to(input.device)
    return read_map(input, index_map, compose(own, places, outside=H * W), value)


class KeyedIndexMap(KeyedModule):
    """A fixed index map between two pixel orders; see :func:`keyed_index_map`.

    Parameters
    ----------
    index_map : IndexMap
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    value : float
        Of outputs that read no input.

    Raises
    ------
    OperatorError
        When a permutation has the wrong length.
    """

    places: Tensor
    index: Tensor

    def __init__(
        self,
        index_map: IndexMap,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        value: float = 0.0,
    ) -> None:
        super().__init__(index_map.input_size, index_map.output_size)
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        self.index_map = index_map
        self.value = value
        self.register_table("places", index_map.places(source_table(permutation_out, Ho * Wo)))
        self.register_table("index", compose(slot_table(permutation_in, H * W), self.places, outside=H * W))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Read frames (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        index = self.index if own is None else compose(own, self.places, outside=own.shape[-1])
        return read_map(x, self.index_map, index, self.value)

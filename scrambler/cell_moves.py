"""`CellMoves`: a permutation that moves whole cells, such as quads, without a table of every photosite."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.cells import Cells, move_cells
from scrambler.permutation import Permutation
from scrambler.threads import share

_TASKS = 16
_SMALL = 1 << 18
"""Frames below this stay in the cache: one pass moves their cells where they belong. The kernel's division by
multiplication is right as long as cell number times columns is below 2**40, which this keeps it far from."""

_WORDS = {size: np.dtype(f"u{size}") for size in (2, 4, 8)}


class CellMoves:
    """Kinds of cells that cover a frame, each kind with the permutation of its own cells.

    Parameters
    ----------
    shape : (int, int)
        Frame size (H, W).
    kinds : sequence of (Cells, Permutation)
        Every photosite lies in exactly one cell.
    """

    __slots__ = ("_kinds", "_shape", "size")

    def __init__(self, shape: tuple[int, int], kinds: Sequence[tuple[Cells, Permutation]]) -> None:
        self._shape = shape
        self._kinds = tuple(kinds)
        self.size = prod(shape)

    def source(self) -> NDArray[Any]:
        """Return the gather table, uint32, shape (N,)."""
        table = np.empty(self.size, np.uint32)
        for cells, permutation in self._kinds:
            move_cells(cells, permutation.source, self._shape[1], table)
        return table

    def slot(self) -> NDArray[Any]:
        """Return its inverse."""
        table = np.empty(self.size, np.uint32)
        for cells, permutation in self._kinds:
            move_cells(cells, permutation.slot, self._shape[1], table)
        return table

    def move(self, rows: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> bool:
        """Move the cells of frames given as (batch, N, channels)."""
        channels = rows.shape[2]
        for row, target in zip(rows, out, strict=True):
            if self.size < _SMALL:
                for cells, permutation in self._kinds:
                    _move_small(cells, permutation, row, target, self._shape[1], inverse=inverse)
                continue
            frame, moved = (part.reshape(*self._shape, channels) for part in (row, target))
            for cells, permutation in self._kinds:
                _move_kind(cells, permutation, frame, moved, inverse=inverse)
        return True


def _move_small(
    cells: Cells, permutation: Permutation, frame: NDArray[Any], moved: NDArray[Any], width: int, *, inverse: bool
) -> None:
    """Move one kind of cells from one frame, given as (N, C), to another."""
    channels = frame.shape[1]
    frame, moved = frame.reshape(-1), moved.reshape(-1)
    # All in items from here on: a photosite's channels lie side by side.
    row, first = width * channels, (cells.top * width + cells.left) * channels
    across, step = cells.size[1] * channels, cells.step[1] * channels
    word = _WORDS.get(across * frame.itemsize)
    if across == step and word is not None and row % across == 0 == first % across:
        as_words = frame.view(word), moved.view(word)
        if all(part.flags.aligned for part in as_words):
            # The photosites of a cell's row fill one machine word: move them as one.
            frame, moved = as_words
            row, first, across, step = row // across, first // across, 1, 1
    layout = (cells.grid[1], cells.size[0], across, cells.step[0] * row, step, row)
    _move_lines(frame[first:], permutation.source, layout, moved[first:], inverse)


@njit(cache=True, nogil=True)
def _move_lines(
    frame: NDArray[Any],
    source: NDArray[Any],
    layout: tuple[int, int, int, int, int, int],
    moved: NDArray[Any],
    inverse: bool,
) -> None:
    """Copy cell ``source[k]`` of a flat frame to cell k, or back; a line of cells at a time, which is vector code."""
    columns, height, width, down, right, row = layout
    reciprocal = np.uint64((1 << 40) // columns + 1)
    per_line, below, beside = np.uint64(columns), np.uint64(down), np.uint64(right)
    far = np.empty(columns, np.uint64)
    for line in range(source.size // columns):
        cell = source[line * columns : (line + 1) * columns]
        for c in range(columns):
            k = np.uint64(cell[c])
            r = (k * reciprocal) >> np.uint64(40)  # k // columns
            far[c] = r * below + (k - r * per_line) * beside
        for y in range(height):
            for x in range(width):
                inside = np.uint64(y * row + x)
                near = np.uint64(line * down) + inside
                if inverse:
                    for c in range(columns):
                        moved[far[c] + inside] = frame[near + np.uint64(c) * beside]
                else:
                    for c in range(columns):
                        moved[near + np.uint64(c) * beside] = frame[far[c] + inside]


def _move_kind(
    cells: Cells, permutation: Permutation, frame: NDArray[Any], moved: NDArray[Any], *, inverse: bool
) -> None:
    """Move one kind of cells from one frame (H, W, C) to another."""
    frame, moved = frame[cells.top :, cells.left :], moved[cells.top :, cells.left :]
    size, step = cells.size, cells.step
    word = size[1] * frame.shape[2] * frame.itemsize
    aligned = all(part.strides[0] % word == 0 and part.ctypes.data % word == 0 for part in (frame, moved))
    if size[1] == step[1] and word in (2, 4, 8) and aligned:
        # The photosites of a cell's row fill one machine word: move them as one.
        frame, moved = (_words(part[:, : cells.grid[1] * size[1]], word) for part in (frame, moved))
        size, step = (size[0], 1), (step[0], 1)
    items = np.empty((*cells.grid, *size, frame.shape[2]), frame.dtype)

    def take(task: int) -> None:
        for place, of_items in _places(frame, items, step, task):
            of_items[...] = place

    def put(task: int) -> None:
        for place, of_items in _places(moved, after, step, task):
            place[...] = of_items

    share(_TASKS, take)
    apply = permutation.unshuffle if inverse else permutation.shuffle
    after = apply(items.reshape(cells.count, -1), channels_last=True).reshape(items.shape)
    share(_TASKS, put)


def _words(frame: NDArray[Any], word: int) -> NDArray[Any]:
    """Return a view (H, W, C) of a frame as words of so many octets, shape (H, words, 1)."""
    return frame.reshape(len(frame), -1).view(f"u{word}")[:, :, None]


def _places(
    frame: NDArray[Any], items: NDArray[Any], step: tuple[int, int], task: int
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield, for a task's rows of cells, views of each place of the cell in the frame and in the items."""
    rows, columns, height, width, _ = items.shape
    begin, end = rows * task // _TASKS, rows * (task + 1) // _TASKS
    if begin == end:
        return
    for y in range(height):
        for x in range(width):
            down = slice(begin * step[0] + y, (end - 1) * step[0] + y + 1, step[0])
            right = slice(x, (columns - 1) * step[1] + x + 1, step[1])
            yield frame[down, right], items[begin:end, :, y, x]

"""`CellMoves`: a large permutation that moves whole cells, such as quads, without a table of every photosite."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler.cells import Cells, move_cells
from scrambler.permutation import Permutation
from scrambler.threads import share

_TASKS = 16


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
            frame, moved = (part.reshape(*self._shape, channels) for part in (row, target))
            for cells, permutation in self._kinds:
                _move_kind(cells, permutation, frame, moved, inverse=inverse)
        return True


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

"""The cells that a multiplexer moves: photosites, whole periods of the colour filter, colour planes, and the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

UNITS = ("pixel", "quad", "plane")


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A grid of equal cells in a frame: cell (r, c) starts at photosite (top + r * step[0], left + c * step[1]).

    Attributes
    ----------
    name : str
        Kind of cell; decides its part of the seed.
    grid : (int, int)
        Number of rows and columns of cells.
    size : (int, int)
        Photosites of one cell, down and right.
    step : (int, int)
        Photosites from one cell to the next, down and right.
    top, left : int
        First photosite of the first cell.
    """

    name: str
    grid: tuple[int, int]
    size: tuple[int, int]
    step: tuple[int, int]
    top: int = 0
    left: int = 0

    @property
    def count(self) -> int:
        """Number of cells."""
        return self.grid[0] * self.grid[1]

    def corners(self, frame_width: int) -> NDArray[Any]:
        """Return the raster position of each cell's first photosite, row by row, uint32."""
        rows = (self.top + np.arange(self.grid[0]) * self.step[0]) * frame_width
        columns = self.left + np.arange(self.grid[1]) * self.step[1]
        # Added as what they become: a table of 64-bit sums would be the largest of all.
        return (rows.astype(np.uint32)[:, None] + columns.astype(np.uint32)).ravel()

    def members(self, frame_width: int) -> NDArray[Any]:
        """Return the raster positions of the photosites of each cell, uint32, shape (cells, photosites of one cell)."""
        inside = np.arange(self.size[0])[:, None] * frame_width + np.arange(self.size[1])
        return self.corners(frame_width)[:, None] + inside.ravel().astype(np.uint32)


def blocks(shape: tuple[int, int], size: tuple[int, int]) -> Iterator[Cells]:
    """Cut a frame into blocks: the whole ones, then what is left at the right, at the bottom and in the corner.

    Examples
    --------
    >>> [(cells.name, cells.grid, cells.size) for cells in blocks((5, 4), (2, 2))]
    [('whole', (2, 2), (2, 2)), ('bottom', (1, 2), (1, 2))]
    """
    (height, width), (down, right) = shape, size
    rows, columns = height // down, width // right
    rest_down, rest_right = height % down, width % right
    kinds = (
        Cells(name="whole", grid=(rows, columns), size=size, step=size),
        Cells(name="right", grid=(rows, 1), size=(down, rest_right), step=size, left=columns * right),
        Cells(name="bottom", grid=(1, columns), size=(rest_down, right), step=size, top=rows * down),
        Cells(
            name="corner", grid=(1, 1), size=(rest_down, rest_right), step=size, top=rows * down, left=columns * right
        ),
    )
    return (kind for kind in kinds if kind.count and kind.size[0] and kind.size[1])


def planes(shape: tuple[int, int], period: tuple[int, int]) -> Iterator[Cells]:
    """Cut a mosaic into one grid of photosites for each position in its colour filter's period; nothing is left over.

    Examples
    --------
    >>> [(cells.name, cells.grid) for cells in planes((3, 4), (2, 2))]
    [('plane 0 0', (2, 2)), ('plane 0 1', (2, 2)), ('plane 1 0', (1, 2)), ('plane 1 1', (1, 2))]
    """
    (height, width), (down, right) = shape, period
    for y in range(min(down, height)):
        for x in range(min(right, width)):
            grid = (-((y - height) // down), -((x - width) // right))
            yield Cells(name=f"plane {y} {x}", grid=grid, size=(1, 1), step=period, top=y, left=x)


def cells_of(shape: tuple[int, int], unit: str, period: tuple[int, int]) -> Iterator[Cells]:
    """Cut a frame into the cells of a unit; every photosite lies in exactly one cell.

    Parameters
    ----------
    shape : (int, int)
        Frame size (H, W).
    unit : {"pixel", "quad", "plane"}
        Single photosites, whole periods, or each plane's photosites.
    period : (int, int)
        Period of the colour filter, down and right.
    """
    if unit == "plane":
        return planes(shape, period)
    return blocks(shape, period if unit == "quad" else (1, 1))


@njit(cache=True, nogil=True, parallel=True)
def _move_cells(
    corners: NDArray[Any], cell_source: NDArray[Any], height: int, width: int, frame_width: int, source: NDArray[Any]
) -> None:
    """Let each cell's photosites be read from the same places of the cell that moves there."""
    for k in prange(corners.size):
        to, whence = np.int64(corners[k]), np.int64(corners[cell_source[k]])
        for y in range(height):
            for x in range(width):
                source[to + y * frame_width + x] = whence + y * frame_width + x


def move_cells(cells: Cells, cell_source: NDArray[Any], frame_width: int, source: NDArray[Any]) -> None:
    """Write into a frame's gather table that cell k is read from cell ``cell_source[k]``, their insides kept.

    Parameters
    ----------
    cells : Cells
        The grid of cells.
    cell_source : array of uint32, shape (cells.count,)
        Permutation of the cells, numbered row by row.
    frame_width : int
        W, in photosites.
    source : array of uint32, shape (H * W,)
        Changed in place, at the photosites of the cells only.
    """
    _move_cells(cells.corners(frame_width), cell_source, cells.size[0], cells.size[1], frame_width, source)

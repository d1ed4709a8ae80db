"""Readout patterns: which rearrangements of a grid of cells a sensor's readout can do, and what each one gives away.

Each pattern is a function of the grid's rows and columns, its size parameter, a seed and an address generator, and
returns the permutation of the cells, numbered row by row, in gather form. All draws come from the generator, see
`scrambler.generators`; parts of one pattern have seeds of their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler.cells import blocks, move_cells
from scrambler.errors import PatternError
from scrambler.generators import grid_table, order_segments
from scrambler.key import part_seed

_PIECE = 1 << 18  # cells


def frame(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Move any cell anywhere."""
    return grid_table(generator, seed, rows, columns)


def row_order(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Read whole rows of cells in a drawn order."""
    order = grid_table(generator, part_seed(seed, "rows"), 1, rows)
    cells: NDArray[Any] = order[:, None] * np.uint32(columns) + np.arange(columns, dtype=np.uint32)
    return cells.ravel()


def column_order(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Read the cells of each row in an order drawn anew for that row."""
    return lines(rows, columns, 1, seed, generator)


def rows_and_columns(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Read rows in a drawn order, and the cells of each row in an order drawn anew for it."""
    if rows * columns == 0:
        return np.empty(0, np.uint32)
    # Whole rows are taken: indices for every cell would be three more tables.
    order = row_order(rows, columns, size, seed, generator)[::columns] // columns
    cells = column_order(rows, columns, size, seed, generator).reshape(rows, columns)
    source: NDArray[Any] = np.take(cells, order, axis=0).ravel()
    return source


def lines(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Shuffle inside buffers of `size` rows; the last buffer takes the rows that are left."""
    order = np.arange(rows * columns, dtype=np.uint32)
    order_segments(generator, order, _lengths(rows, size) * columns, part_seed(seed, "lines"))
    return order


def tiles(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Shuffle inside tiles of size x size that stay in place; what is left at the edges forms smaller tiles."""
    lengths = [np.full(kind.count, kind.size[0] * kind.size[1]) for kind in blocks((rows, columns), (size, size))]
    if not lengths:
        return np.empty(0, np.uint32)
    shuffled, source = np.empty(rows * columns, np.uint32), np.empty(rows * columns, np.uint32)
    for places, begin in _tile_members(rows, columns, size):
        shuffled[begin : begin + places.size] = places
    order_segments(generator, shuffled, np.concatenate(lengths), part_seed(seed, "tiles"))
    # Where each goes is found again, a piece at a time: kept for the whole frame it would be a third table.
    for places, begin in _tile_members(rows, columns, size):
        source[places] = shuffled[begin : begin + places.size]
    return source


def _tile_members(rows: int, columns: int, size: int) -> Iterator[tuple[NDArray[Any], int]]:
    """Yield the places of the tiles' cells, tile after tile, some tiles at a time, and how many came before."""
    begin = 0
    for kind in blocks((rows, columns), (size, size)):
        step = max(1, _PIECE // (kind.grid[1] * kind.size[0] * kind.size[1]))
        for first in range(0, kind.grid[0], step):
            part = replace(
                kind,
                grid=(min(step, kind.grid[0] - first), kind.grid[1]),
                top=kind.top + first * kind.step[0],
            )
            places = part.members(columns).ravel()
            yield places, begin
            begin += places.size


def block_order(rows: int, columns: int, size: int, seed: bytes, generator: str) -> NDArray[Any]:
    """Move blocks of size x size, insides kept; smaller blocks at an edge move along that edge."""
    source = np.empty(rows * columns, np.uint32)
    for kind in blocks((rows, columns), (size, size)):
        move_cells(kind, grid_table(generator, part_seed(seed, kind.name), *kind.grid), columns, source)
    return source


def _lengths(total: int, size: int) -> NDArray[Any]:
    """Return the lengths of consecutive pieces of `size`, the last one with what is left."""
    return np.diff(np.append(np.arange(0, total, size), total))


@dataclass(frozen=True, kw_only=True)
class PatternCard:
    """What there is to know about a pattern before using it.

    Attributes
    ----------
    name : str
        As users write it; "T" and "L" stand for a number.
    smallest : int or None
        Least number after the colon; None for patterns without one.
    summary : str
        What moves where.
    leak : str
        How much of one frame an attacker gets back without the key: SSIM at 256 x 256 (docs/security.md, attack 8; 0.33
        is a frame of the mean colour, 1 is the picture).
    draw : callable
        The pattern's function.
    """

    name: str
    smallest: int | None = None
    summary: str
    leak: str
    draw: Callable[[int, int, int, bytes, str], NDArray[Any]]


CARDS = {
    card.name.partition(":")[0]: card
    for card in (
        PatternCard(name="frame", summary="any cell to any slot", leak="SSIM 0.33, the mean colour", draw=frame),
        PatternCard(
            name="rows",
            summary="rows in a drawn order",
            leak="SSIM 0.90: most frames are rebuilt exactly",
            draw=row_order,
        ),
        PatternCard(
            name="columns",
            summary="columns in an order drawn anew for every row",
            leak="SSIM 0.36: each row's colours stay",
            draw=column_order,
        ),
        PatternCard(
            name="rows+columns",
            summary="rows in a drawn order, and columns in an order drawn anew for every row",
            leak="at most that of columns, SSIM 0.36; not measured on its own",
            draw=rows_and_columns,
        ),
        PatternCard(
            name="lines:L",
            smallest=1,
            summary="within buffers of L rows",
            leak="SSIM 0.35 for 4, 8 and 16 rows: each buffer's colours stay",
            draw=lines,
        ),
        PatternCard(
            name="tiles:T",
            smallest=2,
            summary="within T x T tiles that stay in place",
            leak="SSIM 0.87, 0.67, 0.50, 0.41, 0.36 for T = 2, 4, 8, 16, 32: a thumbnail stays",
            draw=tiles,
        ),
        PatternCard(
            name="blocks:T",
            smallest=2,
            summary="T x T blocks moved, their insides kept",
            leak="not measured; whoever solves jigsaws solves it",
            draw=block_order,
        ),
    )
}


def list_patterns() -> list[str]:
    """Return the names of all readout patterns, "T" and "L" standing for numbers.

    >>> list_patterns()
    ['frame', 'rows', 'columns', 'rows+columns', 'lines:L', 'tiles:T', 'blocks:T']
    """
    return [card.name for card in CARDS.values()]


LARGEST_NUMBER = 65535
"""Of tiles, blocks and lines: no sensor is larger."""


def parse_pattern(pattern: str) -> tuple[PatternCard, int]:
    """Return the card of a pattern and its number, 0 for patterns without one.

    Raises
    ------
    PatternError
        If there is no such pattern, or its number is missing or too small.

    Examples
    --------
    >>> card, size = parse_pattern("tiles:8")
    >>> card.name, size
    ('tiles:T', 8)
    """
    word, colon, number = str(pattern).partition(":")
    card = CARDS.get(word)
    if card is None:
        raise PatternError(f"there is no pattern {pattern!r}: choose one of {', '.join(list_patterns())}.")
    if card.smallest is None:
        if colon:
            raise PatternError(f"pattern {word!r} takes no number, got {pattern!r}.")
        return card, 0
    legal = number.isascii() and number.isdigit() and len(number) <= 5
    if not (legal and card.smallest <= int(number) <= LARGEST_NUMBER):
        raise PatternError(
            f"pattern {card.name!r} needs a whole number from {card.smallest} to {LARGEST_NUMBER} after the colon, "
            f"got {pattern!r}."
        )
    return card, int(number)

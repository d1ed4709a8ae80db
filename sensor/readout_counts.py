"""What can be counted about a keyed readout: its orders and its switches."""

import math

from scrambler.cells import Cells, blocks, cells_of
from scrambler.patterns import parse_pattern


def order_bits(pattern: str, shape: tuple[int, int], unit: str = "quad", period: tuple[int, int] = (2, 2)) -> float:
    r"""Return log2 of the number of orders that a pattern can read a frame in.

    For a grid of h x w cells: frame :math:`\log_2 (hw)!`, rows :math:`\log_2 h!`, columns :math:`h \log_2 w!`, lines
    :math:`\sum \log_2 (Lw)!` over the buffers, tiles :math:`\sum \log_2 (T^2)!` over the tiles, blocks
    :math:`\log_2 n!` of their number; kinds of cells at the edges add their own.

    Examples
    --------
    >>> order_bits("columns", (3, 4), unit="pixel") == 3 * math.log2(24)
    True
    """
    card, size = parse_pattern(pattern)
    kind = card.name.partition(":")[0]
    return sum(_grid_bits(kind, size, cells) for cells in cells_of(shape, unit, period))


def _grid_bits(kind: str, size: int, cells: Cells) -> float:
    rows, columns = cells.grid
    if kind == "frame":
        return _log2_factorial(rows * columns)
    if kind == "lines":
        full, rest = divmod(rows, size)
        return full * _log2_factorial(size * columns) + _log2_factorial(rest * columns)
    if kind == "tiles":
        return sum(
            tile.count * _log2_factorial(tile.size[0] * tile.size[1]) for tile in blocks((rows, columns), (size, size))
        )
    if kind == "blocks":
        return sum(_log2_factorial(block.count) for block in blocks((rows, columns), (size, size)))
    row_bits = _log2_factorial(rows) if "rows" in kind else 0.0
    return row_bits + (rows * _log2_factorial(columns) if "columns" in kind else 0.0)


def _log2_factorial(n: int) -> float:
    # Exact integers while they are small, so that hand examples come out to the last digit.
    return math.log2(math.factorial(n)) if n <= 20 else math.lgamma(n + 1) / math.log(2)


def benes_switches(ports: int) -> int:
    """Return the number of 2 x 2 switches of a Benes network for any number of ports.

    For powers of two this is N (log2 N - 1/2). Source: C. Chang, R. Melhem, "Arbitrary size Benes networks", Parallel
    Processing Letters 7 (1997).

    Examples
    --------
    >>> [benes_switches(n) for n in (2, 3, 4, 64, 4096)]
    [1, 3, 6, 352, 47104]
    """
    if ports < 2:
        return 0
    if ports == 2:
        return 1
    half = ports // 2
    return benes_switches(half) + benes_switches(ports - half) + 2 * half

"""The matrix unit's way through the ``indirect`` engine: which layers take it, and what a step of it needs."""

from functools import lru_cache

from operators.halves_kernels import IS_THERE, TABLE_ROWS
from operators.halves_weights import CHUNK
from operators.indirect_kernels import COLUMNS, ROWS

# Rows of a panel, whose operands and sums are in the second cache; fewer where there are very many output channels.
_PANEL = 512
_MOST_SUMS = 1 << 18
# Measured: below these the splitting costs more than the products save.
_FEWEST_PRODUCTS = 1 << 20
_FEWEST_CHANNELS = 32
# Of maps that are split together: larger ones would keep as much scratch memory again.
_MOST_VALUES = 1 << 22
# Zeros and the description of the tiles, at the start of scratch memory.
_HEAD = 1024


def suits_halves(inputs: int, outputs: int, taps: int, channels: int, maps: int, groups: int) -> bool:
    """Whether a layer takes this way: whole vectors of channels, enough of them, and a processor that has the unit.

    Parameters
    ----------
    inputs, outputs : int
        Pixels of an input and of an output map.
    taps, channels, maps, groups : int
        Of the kernel.
    """
    return (
        IS_THERE
        and (ROWS, COLUMNS) == (TABLE_ROWS, 32)  # tables and weights are packed for these
        and groups == 1
        and channels % 16 == maps % 16 == 0
        and min(channels, maps) >= _FEWEST_CHANNELS
        and outputs * taps * channels * maps >= _FEWEST_PRODUCTS
        and (taps == 1 or inputs * channels <= _MOST_VALUES)
    )


@lru_cache(maxsize=4096)
def halves_numbers(
    images: int, size: int, outputs: int, taps: int, channels: int, maps: int, three_bytes: bool
) -> tuple[tuple[int, ...], int]:
    """Return bytes of scratch memory for each thread and what comes after it in a step; and the number of jobs.

    That is: steps of 32 values that are done at a time, rows of a panel, images that are split at a time, where in the
    scratch memory rows' addresses, operands, sums and split maps begin, bytes of a step's weights for 32 outputs, and
    where they are unpacked.
    """
    blocks = -(-maps // 32)
    panel = min(_PANEL, max(32, _MOST_SUMS // (32 * blocks) // 32 * 32))
    at_once = min(images, _PANEL // outputs)
    if taps > 1:
        at_once = min(at_once, _MOST_VALUES // (size * channels))
    at_once = max(1, at_once)
    where = _HEAD
    unpacked = -(-(where + 20 * panel + 4 * at_once) // 64) * 64
    operands = unpacked + three_bytes * CHUNK * 4096
    sums = operands + panel * CHUNK * 128
    split = sums + panel * blocks * 128
    total = split + (-(-at_once * size * channels * 4 // 64) * 64 if taps > 1 else 0)
    jobs = max(-(-images // at_once), min(at_once, images) * outputs // 64, blocks)
    weights = 3072 if three_bytes else 4096
    return (total, CHUNK, panel, at_once, where, operands, sums, split, weights, unpacked), jobs

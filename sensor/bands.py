"""Work on a frame in bands of rows: small enough for the processor's cache, one thread a band."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from numba import get_num_threads

BAND_PX = 1 << 17
PARALLEL_PX = 100_000
LEAST_SHARE_PX = 1 << 20
SHARES = 4
"""Large bands for each thread: rows differ in light, and with it in the time they take."""


def for_each_band(
    height: int, width: int, row_step: int, work: Callable[[int, int], None], band_px: int | None = BAND_PX
) -> None:
    """Call ``work(first_row, end_row)`` for bands that cover ``range(height)``.

    Parameters
    ----------
    height, width : int
        Frame size.
    row_step : int
        Every band starts at a multiple of this: one period of the colour filter.
    work : callable
        Must write its own rows only; called from several threads (``numba.get_num_threads()``) for large frames.
    band_px : int
        About how much a band holds. None, for work that goes strip by strip itself, makes bands as large as keep all
        threads busy to the end: each call costs a tenth of a millisecond, because the interpreter has left the cache.
    """
    if band_px is None:
        shares = 1 if get_num_threads() == 1 else SHARES * get_num_threads()
        band_px = max(LEAST_SHARE_PX, math.ceil(height / shares / row_step) * row_step * width)
    bands = row_bands(height, width, band_px, row_step)
    threads = min(get_num_threads(), len(bands))
    if threads == 1 or height * width < PARALLEL_PX:
        for first, end in bands:
            work(first, end)
        return
    with ThreadPoolExecutor(threads) as pool:
        # list() waits for all bands and raises what any of them raised.
        list(pool.map(lambda band: work(*band), bands))


def row_bands(height: int, width: int, band_px: int, row_step: int = 1) -> list[tuple[int, int]]:
    """Return first and end row of bands of about ``band_px`` that cover ``range(height)``, in whole ``row_step``.

    Examples
    --------
    >>> row_bands(10, 100, 450, row_step=2)
    [(0, 4), (4, 8), (8, 10)]
    """
    rows = max(1, band_px // max(1, width * row_step)) * row_step
    return [(first, min(first + rows, height)) for first in range(0, height, rows)]

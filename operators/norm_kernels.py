"""Batch norm and clamp in one pass over rows, in Numba."""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def scale_rows(
    rows: NDArray[Any], scale: NDArray[Any], shift: NDArray[Any], clamp: NDArray[Any], out: NDArray[Any],
    first: int, last: int,
) -> None:  # fmt: skip
    """Set ``out[r, c] = clamp(rows[r, c] * scale[c] + shift[c])`` for rows ``first`` to ``last``; NaN stays NaN."""
    low, high = clamp[0], clamp[1]
    for row in range(first, last):
        for c in range(rows.shape[1]):
            value = rows[row, c] * scale[c] + shift[c]
            value = np.float32(low) if value < low else value
            out[row, c] = np.float32(high) if value > high else value


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def scale_in_parallel(
    rows: NDArray[Any], scale: NDArray[Any], shift: NDArray[Any], clamp: NDArray[Any], out: NDArray[Any], parts: int
) -> None:
    """Do :func:`scale_rows` for all rows in so many parts, one a thread."""
    count = rows.shape[0]
    for part in prange(parts):
        scale_rows(rows, scale, shift, clamp, out, count * part // parts, count * (part + 1) // parts)

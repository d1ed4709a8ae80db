"""Numba kernels of pooling through a gather table: rows in, rows out, nothing in natural order between."""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from numpy.typing import NDArray
from torch import Tensor

from operators.engine_threads import limited_to, threads_for

# Below this many values read, starting threads costs more than it saves.
_PARALLEL_VALUES = 100_000


@njit(cache=True, nogil=True, error_model="numpy")
def _max_of_taps(pixels: NDArray[Any], taps: NDArray[Any], best: NDArray[Any]) -> None:
    """Set best[c] to the largest pixels[tap, c]; N, padding, is skipped; NaN wins; no tap gives -inf."""
    empty = True
    for k in range(taps.size):
        tap = taps[k]
        if tap == pixels.shape[0]:
            continue
        if empty:
            empty = False
            for c in range(best.size):
                best[c] = pixels[tap, c]
        else:
            for c in range(best.size):
                value, kept = pixels[tap, c], best[c]
                best[c] = value if value > kept or value != value else kept
    if empty:
        for c in range(best.size):
            best[c] = -np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_of_taps(pixels: NDArray[Any], taps: NDArray[Any], divisor: float, mean: NDArray[Any]) -> None:
    """Set mean[c] to the sum of pixels[tap, c] over ``divisor``; tap N, padding, is skipped."""
    for c in range(mean.size):
        mean[c] = 0
    for k in range(taps.size):
        tap = taps[k]
        if tap < pixels.shape[0]:
            for c in range(mean.size):
                mean[c] += pixels[tap, c]
    for c in range(mean.size):
        mean[c] /= divisor


@njit(cache=True, nogil=True, error_model="numpy")
def _max_serial(rows: NDArray[Any], index: NDArray[Any], out: NDArray[Any], first: int, last: int) -> None:
    """Pool rows (B, N, C) through index (1 or B, M, K) into outputs ``first`` to ``last`` of out (B, M, C)."""
    outputs = out.shape[1]
    for job in range(first, last):
        b, i = job // outputs, job % outputs
        _max_of_taps(rows[b], index[b % index.shape[0], i], out[b, i])


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _max_parallel(rows: NDArray[Any], index: NDArray[Any], out: NDArray[Any], parts: int) -> None:
    """Do :func:`_max_serial` in so many parts, one a thread; every output is one part's, so the result is the same."""
    jobs = out.shape[0] * out.shape[1]
    for part in prange(parts):
        _max_serial(rows, index, out, jobs * part // parts, jobs * (part + 1) // parts)


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_serial(
    rows: NDArray[Any], index: NDArray[Any], divisor: NDArray[Any], out: NDArray[Any], first: int, last: int
) -> None:
    """Average rows (B, N, C) through index (1 or B, M, K) and divisor (M,), as :func:`_max_serial`."""
    outputs = out.shape[1]
    for job in range(first, last):
        b, i = job // outputs, job % outputs
        _mean_of_taps(rows[b], index[b % index.shape[0], i], divisor[i], out[b, i])


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def _mean_parallel(
    rows: NDArray[Any], index: NDArray[Any], divisor: NDArray[Any], out: NDArray[Any], parts: int
) -> None:
    """Do :func:`_mean_serial` in so many parts, one a thread; every output is one part's, so the result is the same."""
    jobs = out.shape[0] * out.shape[1]
    for part in prange(parts):
        _mean_serial(rows, index, divisor, out, jobs * part // parts, jobs * (part + 1) // parts)


def pool_rows(rows: Tensor, index: Tensor, divisor: Tensor | None) -> Tensor:
    """Return the maximum, or with a divisor the average, of the rows that a gather table names.

    Parameters
    ----------
    rows : Tensor of float32 or float64 on the CPU, shape (B, N, C)
    index : Tensor of integers, shape (M, K) or (B, M, K)
        Already known to lie in 0..N; N is padding and skipped.
    divisor : Tensor, shape (M,), or None
        What the sum of each window is divided by; None pools the maximum.

    Returns
    -------
    Tensor, shape (B, M, C)
    """
    B, _, C = rows.shape
    M, K = index.shape[-2:]
    out = torch.empty((B, M, C), dtype=rows.dtype)
    pixels = rows.detach().contiguous().numpy()
    taps = index.int().reshape(-1, M, K).contiguous().numpy()
    parts = threads_for(B * M) if B * M * K * C >= _PARALLEL_VALUES else 1
    serial: Any = _max_serial if divisor is None else _mean_serial
    parallel: Any = _max_parallel if divisor is None else _mean_parallel
    arrays = (pixels, taps) if divisor is None else (pixels, taps, divisor.to(rows.dtype).numpy())
    if parts == 1:
        serial(*arrays, out.numpy(), 0, B * M)
    else:
        with limited_to(parts):
            parallel(*arrays, out.numpy(), parts)
    return out

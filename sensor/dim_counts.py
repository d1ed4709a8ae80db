"""Photon counts of dim photosites, by exact search through the Poisson distribution, many at a time."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DIM_E = np.float32(16)


def search_dim_counts(mean_e: NDArray[np.float32], words: NDArray[np.uint32], counts: NDArray[np.float32]) -> None:
    """Set the counts of photosites below 16 e- to the Poisson quantile of their word.

    The distribution is that of :func:`sensor.shot_noise.poisson_quantile`, added up in single precision; the last
    thousandth of the words, whose digits end there, in double precision.

    Parameters
    ----------
    mean_e : ndarray of float32
        Expected electrons; below zero counts as zero.
    words : ndarray of uint32, same shape
        Uniform words.
    counts : ndarray of float32, same shape
        Changed in place, where ``mean_e`` is below 16.
    """
    _search(mean_e.reshape(-1), words.reshape(-1), _DIM_E, counts.reshape(-1))


@njit(cache=True, nogil=True, error_model="numpy")
def _search(mean: NDArray[Any], words: NDArray[Any], threshold: np.float32, counts: NDArray[Any]) -> None:
    """Set ``counts`` of the photosites below ``threshold`` to the exact Poisson quantile of their word; 1-D."""
    strip = 256
    # The last of 2**32 words needs 46 steps at a mean of 16.
    inverse = np.empty(64, np.float32)
    inverse[0] = 0
    for n in range(1, 64):
        inverse[n] = np.float32(1 / n)
    uniform, rate, term, total, found = (
        np.empty(strip, np.float32),
        np.empty(strip, np.float32),
        np.empty(strip, np.float32),
        np.empty(strip, np.float32),
        np.empty(strip, np.float32),
    )
    place = np.empty(strip, np.int64)
    # Single precision ends before the last thousandth of the words does; those few go one by one.
    far = np.uint32(0xFFC00000)
    at = 0
    while at < mean.size:
        # Collect the next dim photosites, so that no lane works for a bright one.
        filled = 0
        while at < mean.size and filled < strip:
            place[filled] = at
            if mean[at] < threshold:
                if words[at] < far:
                    filled += 1
                else:
                    counts[at] = _far_tail(np.float64(mean[at]), words[at])
            at += 1
        for k in range(filled):
            rate[k] = max(mean[place[k]], np.float32(0))
            uniform[k] = (np.float32(words[place[k]] >> np.uint32(1)) + np.float32(0.5)) * np.float32(2.0**-31)
            found[k] = 0
        _no_events(rate[:filled], term[:filled], total[:filled])
        n = 1
        while n < 60 and _open(uniform[:filled], total[:filled]) > 0:
            for _ in range(4):
                _step(uniform[:filled], rate[:filled], inverse[n], term[:filled], total[:filled], found[:filled])
                n += 1
        for k in range(filled):
            counts[place[k]] = found[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _no_events(rate: NDArray[Any], term: NDArray[Any], total: NDArray[Any]) -> None:
    """Set ``term`` and ``total`` to exp(-rate), for rates from 0 to 16."""
    bits = term.view(np.int32)
    for k in range(rate.size):
        # exp(-r) = 2**-n exp(f) with f within ln 2 / 2 of 0.
        whole = np.floor(rate[k] * np.float32(1.442695041) + np.float32(0.5))
        f = (whole * np.float32(0.693359375) - rate[k]) - whole * np.float32(2.12194440e-4)
        series = np.float32(1 / 24) + f * (np.float32(1 / 120) + f * np.float32(1 / 720))
        total[k] = np.float32(1) + f * (np.float32(1) + f * (np.float32(0.5) + f * (np.float32(1 / 6) + f * series)))
        bits[k] = np.int32(np.int32(127) - np.int32(whole)) << np.int32(23)
    for k in range(rate.size):
        total[k] *= term[k]
    for k in range(rate.size):
        term[k] = total[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _open(uniform: NDArray[Any], total: NDArray[Any]) -> int:
    """Return how many lanes have not reached their quantile."""
    left = 0
    for k in range(uniform.size):
        left += uniform[k] >= total[k]
    return left


@njit(cache=True, nogil=True, error_model="numpy")
def _step(
    uniform: NDArray[Any],
    rate: NDArray[Any],
    inverse: np.float32,
    term: NDArray[Any],
    total: NDArray[Any],
    found: NDArray[Any],
) -> None:
    """Move every open lane up by one count."""
    for k in range(uniform.size):
        found[k] += np.float32(1) if uniform[k] >= total[k] else np.float32(0)
        term[k] *= rate[k] * inverse
        total[k] += term[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _far_tail(mean: float, word: np.uint32) -> float:
    """Return the Poisson quantile of one word, in double precision."""
    u = (np.float64(word) + 0.5) * 2.0**-32
    mu = max(mean, 0.0)
    term = np.exp(-mu)
    total = term
    n = 0
    while u >= total and n < 200:
        n += 1
        term *= mu / n
        total += term
    return float(n)

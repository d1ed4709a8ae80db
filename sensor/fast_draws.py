"""Faster random numbers for a whole exposure: photon counts and read noise from one pair of words a photosite.

The exact draws of :mod:`sensor.counter_rng` turn one word into one normal number with twice the digits that a
photosite can use. Here a pair of words gives a pair of independent normal numbers in single precision (G. E. P. Box,
M. E. Muller, Annals of Mathematical Statistics 29, 1958): one drives the photon count, the other the read noise. The
counter-based generator, and with it the independence of threads and tiling, is the same; the bits are others. It runs
seven rounds instead of ten, the least that pass all known tests (Salmon and others, SC 2011, table 2).
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream
from sensor.dim_counts import search_dim_counts


def fast_shot_and_read(
    mean_e: NDArray[np.float32], noise: NoiseSource
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    r"""Draw electrons and a standard normal number for each photosite.

    From 16 electrons up by the asymptotic inverse of :func:`sensor.shot_noise.poisson_quantile`, in single precision;
    below by the exact search, over the same words as there.

    Parameters
    ----------
    mean_e : ndarray of float32, shape (H, W)
        Expected electrons; below zero counts as zero, above 2**23 as 2**23.
    noise : NoiseSource
        Random numbers of whole rows: its origin must lie in column 0.

    Returns
    -------
    counts, normals : ndarray of float32, shape (H, W)
    """
    height, width = mean_e.shape
    counts, normals = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
    mean_e = np.ascontiguousarray(mean_e, np.float32)
    low, high = np.uint64(noise.seed & 0xFFFFFFFF), np.uint64(noise.seed >> 32)
    dim = _draw(
        mean_e, np.uint64(noise.origin[0]), np.uint64(noise.frame), np.uint64(Stream.PAIR), low, high, counts, normals
    )
    if dim:
        search_dim_counts(mean_e, noise.words(Stream.SHOT, (height, width)), counts)
    return counts, normals


_STRIP = 512
"""Photosites handled at a time: all their numbers stay in the first cache."""


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(
    mean: NDArray[Any],
    row: np.uint64,
    frame: np.uint64,
    stream: np.uint64,
    key_low: np.uint64,
    key_high: np.uint64,
    counts: NDArray[Any],
    normals: NDArray[Any],
) -> int:
    """Fill ``counts`` and ``normals``; return the number of photosites below 16 e-. Scalars are uint64."""
    # Stage by stage over short strips: each stage is a small loop over plain rows, which becomes vector code.
    radius_words, angle_words = np.empty(_STRIP, np.uint32), np.empty(_STRIP, np.uint32)
    radius, exponent = np.empty(_STRIP, np.float32), np.empty(_STRIP, np.float32)
    first_normal = np.empty(_STRIP, np.float32)
    height, width = mean.shape
    dim = 0
    for i in range(height):
        for start in range(0, width, _STRIP):
            end = min(start + _STRIP, width)
            length = end - start
            _pair_words(
                np.uint64(start // 2), row + np.uint64(i), frame, stream, key_low, key_high, radius_words, angle_words
            )
            _radius(radius_words[:length], radius[:length], exponent[:length])
            _turn(angle_words[:length], radius[:length], first_normal[:length], normals[i, start:end])
            dim += _count(mean[i, start:end], first_normal[:length], counts[i, start:end])
    return dim


@njit(cache=True, nogil=True, error_model="numpy")
def _pair_words(
    first: np.uint64,
    row: np.uint64,
    frame: np.uint64,
    stream: np.uint64,
    key_low: np.uint64,
    key_high: np.uint64,
    radius_words: NDArray[Any],
    angle_words: NDArray[Any],
) -> None:
    """Fill a strip with words: of 64 photosites, counter l gives two to photosite l and two to 32 + l."""
    low_half, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    for block in range(_STRIP // 64):
        at = 64 * block
        near_radius, far_radius = radius_words[at : at + 32], radius_words[at + 32 : at + 64]
        near_angle, far_angle = angle_words[at : at + 32], angle_words[at + 32 : at + 64]
        for lane in range(32):
            a = first + np.uint64(32 * block + lane)
            b = row
            c = frame
            d = stream
            k0 = key_low
            k1 = key_high
            for _ in range(7):
                p = np.uint64(0xD2511F53) * a
                q = np.uint64(0xCD9E8D57) * c
                a = (q >> shift) ^ b ^ k0
                c = (p >> shift) ^ d ^ k1
                b = q & low_half
                d = p & low_half
                k0 = (k0 + np.uint64(0x9E3779B9)) & low_half
                k1 = (k1 + np.uint64(0xBB67AE85)) & low_half
            near_radius[lane] = np.uint32(a)
            near_angle[lane] = np.uint32(b)
            far_radius[lane] = np.uint32(c)
            far_angle[lane] = np.uint32(d)


@njit(cache=True, nogil=True, error_model="numpy")
def _radius(words: NDArray[Any], radius: NDArray[Any], exponent: NDArray[Any]) -> None:
    r"""Set ``radius`` to :math:`\sqrt{-2 \ln u}` of the words' uniform numbers u."""
    one = np.float32(1)
    bits = radius.view(np.int32)
    for x in range(words.size):
        radius[x] = (np.float32(words[x]) + np.float32(0.5)) * np.float32(2.0**-32)
    for x in range(words.size):
        # Exponent, and a mantissa between 0.707 and 1.414: the logarithm without a call.
        power = np.int32(np.int32(bits[x] - np.int32(0x3F3504F3)) >> np.int32(23))
        bits[x] = np.int32(bits[x] - np.int32(power << np.int32(23)))
        exponent[x] = np.float32(power)
    for x in range(words.size):
        m = radius[x]
        s = (m - one) / (m + one)
        t = s * s
        series = one + t * (np.float32(1 / 3) + t * (np.float32(1 / 5) + t * np.float32(1 / 7)))
        log = exponent[x] * np.float32(0.6931472) + (s + s) * series
        radius[x] = np.sqrt(max(np.float32(-2) * log, np.float32(0)))


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(words: NDArray[Any], radius: NDArray[Any], along: NDArray[Any], across: NDArray[Any]) -> None:
    """Set ``along`` and ``across`` to the radius times cosine and sine of the words' uniform angle."""
    one, half = np.float32(1), np.float32(0.5)
    for x in range(words.size):
        # An eighth of a turn to either side of one of the four axes, which two bits choose.
        axis = words[x] >> np.uint32(30)
        f = np.float32(np.int32(words[x] & np.uint32(0x3FFFFFFF)) - np.int32(1 << 29))
        f *= np.float32(1.4629180792671596e-09)  # pi / 2**31
        f2 = f * f
        sine = f + f * f2 * (np.float32(-1 / 6) + f2 * (np.float32(1 / 120) + f2 * np.float32(-1 / 5040)))
        series = np.float32(1 / 24) + f2 * (np.float32(-1 / 720) + f2 * np.float32(1 / 40320))
        cosine = one + f2 * (-half + f2 * series)
        odd = (axis & np.uint32(1)) != 0
        length = -radius[x] if axis >= np.uint32(2) else radius[x]
        along[x] = length * (-sine if odd else cosine)
        across[x] = length * (cosine if odd else sine)


@njit(cache=True, nogil=True, error_model="numpy")
def _count(mean: NDArray[Any], normal: NDArray[Any], counts: NDArray[Any]) -> int:
    """Set ``counts`` to the asymptotic Poisson quantile; return how many means are below 16."""
    dim = 0
    for x in range(mean.size):
        w = normal[x]
        mu = min(max(mean[x], np.float32(16)), np.float32(8388608))
        root = np.sqrt(mu)
        inverse = np.float32(1) / root
        w2 = w * w
        third = (np.float32(-8 / 405) + w2 * (np.float32(7 / 810) + w2 * np.float32(1 / 270))) * inverse
        second = (np.float32(1 / 36) + w2 * np.float32(1 / 72)) * w
        bend = np.float32(1 / 3) + w2 * np.float32(1 / 6)
        counts[x] = max(np.floor(mu + (root * w + (bend + (third - second) * inverse))), np.float32(0))
    for x in range(mean.size):
        dim += mean[x] < np.float32(16)
    return dim

r"""The usual exposure in one pass: light to charge with shot noise and read noise, strip by strip in the first cache.

A pair of words gives each photosite a pair of independent normal numbers in single precision (G. E. P. Box, M. E.
Muller, Annals of Mathematical Statistics 29, 1958): one drives the photon count, the other is the read noise. The
words come from the counter-based generator of :mod:`sensor.counter_rng` at seven rounds, the least that pass all known
tests (Salmon and others, SC 2011, table 2), so here too a number depends on seed, frame, row and column alone.

From 6 electrons up a count is the asymptotic Poisson quantile of its normal number w,

.. math:: n = \big\lfloor \mu + \sqrt\mu\,w + w^2 R(s) + C(s) + D(s)/\mu \big\rfloor, \qquad s = w/\sqrt\mu

the first three orders in 1/mu of M. Giles, "Algorithm 955: approximation of the inverse Poisson cumulative
distribution function", ACM TOMS 42 (2016), with polynomials R, C and D fitted to the inverse of the incomplete gamma
function. What it makes is within 3e-5 of Poisson in total variation (worst at 6 e-; 1e-5 from 12 e-). Below 6
electrons the count is found by search, from a word of its own.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.counter_rng import FIXED_STEP, NoiseSource, Stream


class LinearConverter(NamedTuple):
    """A converter without faults of its own, see :func:`sensor.adc.convert`.

    Attributes
    ----------
    gain_dn_per_e, black_level_dn : float
        System gain and offset.
    bit_depth : int
        Resolution, 8 to 16 bits.
    """

    gain_dn_per_e: float
    black_level_dn: float
    bit_depth: int


def fast_shot_and_read(
    mean_e: NDArray[np.float32], noise: NoiseSource
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw electrons and a standard normal number for each photosite.

    Parameters
    ----------
    mean_e : ndarray of float32, shape (H, W)
        Expected electrons; below zero counts as zero. Above 2**24 counts are the mean itself, as float32 can hold it.
    noise : NoiseSource
        Random numbers of whole rows: its origin must lie in column 0.

    Returns
    -------
    counts, normals : ndarray of float32, shape (H, W)
    """
    mean_e = np.ascontiguousarray(mean_e, np.float32)
    counts, normals = np.empty_like(mean_e), np.empty_like(mean_e)
    _draw(mean_e, _place(noise), counts, normals)
    return counts, normals


def expose(
    light: NDArray[np.float32],
    tile: NDArray[np.uint8],
    response: NDArray[np.float64],
    noise: NoiseSource,
    *,
    electrons: float,
    prnu_share: float,
    dark_e: float,
    full_well_e: float,
    dsnu_e: float,
    read_noise_e: float,
    out: NDArray[Any],
    converter: LinearConverter | None = None,
) -> None:
    r"""Turn light into the charge that is read, or into its codes.

    .. math:: v = \min(N, F) + d\,z_d + r\,z, \qquad N \sim \mathrm{Poisson}\big(e\,x\,(1 + p\,z_p) + \mu_d\big)

    with x what the photosite sees through its filter. The same bits as :func:`sensor.cfa.sample_mosaic`,
    :func:`sensor.common_chain.expected_electrons`, :func:`fast_shot_and_read` and
    :func:`sensor.common_chain.charge_with_noise` one after the other.

    Parameters
    ----------
    light, tile, response
        As for :func:`sensor.cfa.sample_mosaic`.
    noise : NoiseSource
        Random numbers of whole rows: its origin must lie in column 0.
    electrons : float
        Electrons e of light 1.0.
    prnu_share, dark_e, full_well_e, dsnu_e, read_noise_e : float
        Spread p of sensitivity, mean dark signal, full well F (``inf`` is off), spreads d and r; 0 is off.
    out : ndarray of float32 or uint16, shape (H, W)
        Filled with the charge v, in electrons; with a converter, with its codes.
    converter : LinearConverter, optional
        The same bits as :func:`sensor.adc.convert` of the charge.
    """
    height, width = out.shape
    none = np.empty((0, width), np.int16)
    sensitivity = noise.fixed_codes(Stream.PRNU, (height, width)) if prnu_share != 0 else none
    offsets = noise.fixed_codes(Stream.DSNU, (height, width)) if dsnu_e != 0 else none
    figures = np.array([electrons, prnu_share, dark_e, full_well_e, dsnu_e, read_noise_e], np.float32)
    # Spreads of one step of a map: the step is a power of two, so this rounds nothing.
    figures[[1, 4]] *= np.float32(FIXED_STEP)
    # Red, green and blue weights of a strip's photosites; a strip is whole periods of every colour filter.
    columns = np.arange(_STRIP) % tile.shape[1]
    weights = np.ascontiguousarray(response[tile[:, columns]].transpose(0, 2, 1), np.float32)
    light = np.ascontiguousarray(light, np.float32)
    charge, codes = (
        (out, np.empty((0, width), np.uint16)) if converter is None else (np.empty((0, width), np.float32), out)
    )
    gain, black, bits = (0.0, 0.0, 8) if converter is None else converter
    levels = np.array([gain, black + 0.5, (1 << bits) - 1], np.float64)
    _expose(light, weights, sensitivity, offsets, figures, levels, _place(noise), charge, codes)


def _place(noise: NoiseSource) -> NDArray[np.uint64]:
    """Return first row, frame and the two halves of the seed, which the kernels count from."""
    row, frame, seed = noise.origin[0], noise.frame, noise.seed
    return np.array([row, frame, seed & 0xFFFFFFFF, seed >> 32, Stream.PAIR, Stream.DIM], np.uint64)


_STRIP = 576
"""Photosites handled at a time, whole vectors and colour-filter periods: all their numbers stay in the first cache."""
_DIM_E = np.float32(6)
"""Means below this are searched."""


@njit(cache=True, nogil=True, error_model="numpy")
def _expose(
    light: NDArray[Any],
    weights: NDArray[Any],
    sensitivity: NDArray[Any],
    offsets: NDArray[Any],
    figures: NDArray[Any],
    levels: NDArray[Any],
    place: NDArray[Any],
    charge: NDArray[Any],
    codes: NDArray[Any],
) -> None:
    """Do what :func:`expose` says; a map that is off has no rows, nor has the output that is not wanted."""
    electrons, share, dark, capacity, offset, read = figures
    one, none = np.float32(1), np.float32(0)
    mean, counts, normals = np.zeros(_STRIP, np.float32), np.empty(_STRIP, np.float32), np.empty(_STRIP, np.float32)
    words, scratch = np.empty(2 * _STRIP, np.uint32), np.empty((6, _STRIP), np.float32)
    zeros, strip = np.zeros(_STRIP, np.int16), np.empty(_STRIP, np.float32)
    gain, half_above_black, top = levels
    height, width = light.shape[0], light.shape[1]
    for y in range(height):
        colour = y % weights.shape[0]
        red, green, blue = weights[colour, 0], weights[colour, 1], weights[colour, 2]
        for start in range(0, width, _STRIP):
            seen = light[y, start : start + _STRIP]
            row = charge[y, start : start + _STRIP] if charge.shape[0] else strip[: seen.shape[0]]
            # What is off is multiplied by 1 or added as 0 to what is not negative: no bit changes.
            z = sensitivity[y, start : start + _STRIP] if sensitivity.shape[0] else zeros
            if light.ndim == 2:
                for x in range(row.size):
                    light_e = max(red[x] * seen[x] + green[x] * seen[x] + blue[x] * seen[x], none) * electrons
                    mean[x] = light_e * (one + share * np.float32(z[x])) + dark
            else:
                for x in range(row.size):
                    light_e = max(red[x] * seen[x, 0] + green[x] * seen[x, 1] + blue[x] * seen[x, 2], none) * electrons
                    mean[x] = light_e * (one + share * np.float32(z[x])) + dark
            _draw_strip(mean, row.size, start, y, place, words, scratch, counts, normals)
            z = offsets[y, start : start + _STRIP] if offsets.shape[0] else zeros
            for x in range(row.size):
                row[x] = min(counts[x], capacity) + offset * np.float32(z[x]) + read * normals[x]
            if codes.shape[0]:
                code = codes[y, start : start + _STRIP]
                for x in range(row.size):
                    # In double precision, so that the one rounding is the right one.
                    level = min(max(np.float64(row[x]) * gain + half_above_black, 0.0), top)
                    code[x] = np.uint16(np.int32(level))


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(mean: NDArray[Any], place: NDArray[Any], counts: NDArray[Any], normals: NDArray[Any]) -> None:
    """Fill ``counts`` and ``normals`` of whole rows."""
    mean_e, found, z = np.zeros(_STRIP, np.float32), np.empty(_STRIP, np.float32), np.empty(_STRIP, np.float32)
    words, scratch = np.empty(2 * _STRIP, np.uint32), np.empty((6, _STRIP), np.float32)
    height, width = mean.shape
    for y in range(height):
        for start in range(0, width, _STRIP):
            end = min(start + _STRIP, width)
            mean_e[: end - start] = mean[y, start:end]
            _draw_strip(mean_e, end - start, start, y, place, words, scratch, found, z)
            counts[y, start:end] = found[: end - start]
            normals[y, start:end] = z[: end - start]


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_strip(
    mean: NDArray[Any],
    length: int,
    start: int,
    y: int,
    place: NDArray[Any],
    words: NDArray[Any],
    scratch: NDArray[Any],
    counts: NDArray[Any],
    normals: NDArray[Any],
) -> None:
    """Draw for the first ``length`` photosites of a strip, which begins at column ``start``."""
    # Stage by stage: each is a small loop over plain rows, which becomes vector code. Whole vectors always, so that
    # no photosite meets the scalar code of a loop's end, whose last bit might differ.
    whole = (length + 63) // 64 * 64
    radius, normal = scratch[0, :whole], scratch[1, :whole]
    _fill_words(np.uint64(start // 2), y, place, place[4], words)
    _radius(words[:whole], radius)
    _turn(words[_STRIP : _STRIP + whole], radius, normal, normals[:whole])
    _count(mean[:whole], normal, counts[:whole])
    if _is_dim(mean[:length]):
        _fill_words(np.uint64(start // 4), y, place, place[5], words[:_STRIP])
        _search(mean[:length], words, scratch, counts)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_dim(mean: NDArray[Any]) -> bool:
    """Return whether any photosite is to be searched."""
    dim = np.int32(0)
    for x in range(mean.size):
        dim = np.int32(dim | np.int32(mean[x] < _DIM_E))
    return bool(dim != 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_words(first: np.uint64, y: int, place: NDArray[Any], stream: np.uint64, words: NDArray[Any]) -> None:
    """Fill ``words`` from counter ``first`` on: of each 576 words, counter l gives l, 144 + l, 288 + l and 432 + l."""
    low_half, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    row, frame, key_low, key_high = place[0] + np.uint64(y), place[1], place[2], place[3]
    for block in range(words.size // 576):
        for lane in range(144):
            # Masked, so that a multiplication of two halves is all it takes.
            a = (first + np.uint64(144 * block + lane)) & low_half
            b = row
            c = frame & low_half
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
            words[576 * block + lane] = np.uint32(a)
            words[576 * block + 144 + lane] = np.uint32(b)
            words[576 * block + 288 + lane] = np.uint32(c)
            words[576 * block + 432 + lane] = np.uint32(d)


# "contract" lets a multiplication and the addition behind it round once: measured, a third of these stages' time.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _radius(words: NDArray[Any], radius: NDArray[Any]) -> None:
    r"""Set ``radius`` to :math:`\sqrt{-2 \ln u}` of the words' uniform numbers u."""
    for x in range(words.size):
        u = (np.float32(words[x]) + np.float32(0.5)) * np.float32(2.0**-32)
        # Exponent, and a mantissa between 0.707 and 1.414, whose logarithm is a polynomial in f = m - 1.
        bits = np.float32(u).view(np.int32)
        power = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
        f = np.int32(bits - np.int32(power << np.int32(23))).view(np.float32) - np.float32(1)
        log = np.float32(-0.10134057)
        log = log * f + np.float32(0.16234189)
        log = log * f + np.float32(-0.17247014)
        log = log * f + np.float32(0.19898565)
        log = log * f + np.float32(-0.24970071)
        log = log * f + np.float32(0.33335114)
        log = log * f + np.float32(-0.5000036)
        log = log * f + np.float32(1)
        square = np.float32(power) * np.float32(-2 * 0.6931472) - np.float32(2) * (f * log)
        radius[x] = np.sqrt(max(square, np.float32(0)))


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _turn(words: NDArray[Any], radius: NDArray[Any], along: NDArray[Any], across: NDArray[Any]) -> None:
    """Set ``along`` and ``across`` to the radius times cosine and sine of the words' uniform angle."""
    for x in range(words.size):
        # Sine s and cosine c of half the angle, both times sqrt(2): then r (1 - s^2) and r s c are those of all of it.
        half = np.float32(np.int32(words[x])) * np.float32(2.0**-31)
        t = half * half
        s = np.float32(0.00021450102)
        s = s * t + np.float32(-0.0066102464)
        s = s * t + np.float32(0.11269857)
        s = s * t + np.float32(-0.91353077)
        s = s * t + np.float32(2.2214415)
        s = s * half
        c = np.float32(0.0012136251)
        c = c * t + np.float32(-0.029430592)
        c = c * t + np.float32(0.35871625)
        c = c * t + np.float32(-1.7447128)
        c = c * t + np.float32(1.4142135)
        r = radius[x]
        along[x] = r - r * s * s
        across[x] = r * s * c


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _count(mean: NDArray[Any], normal: NDArray[Any], counts: NDArray[Any]) -> None:
    """Set ``counts`` to the asymptotic Poisson quantiles; means below 6 count as 6."""
    one = np.float32(1)
    for x in range(mean.size):
        mu = max(mean[x], np.float32(6))
        root = np.sqrt(mu)
        inverse = one / root
        # Below s = -1.3 the count is 0 at all means where it may be, and the polynomials end there.
        s = max(normal[x] * inverse, np.float32(-1.3))
        w = s * root
        first = np.float32(-0.0002820972)
        first = first * s + np.float32(0.001085073)
        first = first * s + np.float32(-0.0015972189)
        first = first * s + np.float32(0.0037801972)
        first = first * s + np.float32(-0.013937055)
        first = first * s + np.float32(0.16668227)
        second = np.float32(-0.003409165)
        second = second * s + np.float32(-0.00042761787)
        second = second * s + np.float32(0.0076627252)
        second = second * s + np.float32(-0.027886525)
        second = second * s + np.float32(0.33335665)
        third = np.float32(0.016896972) * s + np.float32(-0.020214837)
        counts[x] = np.floor(mu + (w * (root + w * first) + (second + third * (inverse * inverse))))


@njit(cache=True, nogil=True, error_model="numpy")
def _search(mean: NDArray[Any], words: NDArray[Any], scratch: NDArray[Any], counts: NDArray[Any]) -> None:
    """Set ``counts`` of the dim photosites of a strip to the exact Poisson quantile of their word."""
    # Collect them first, so that no lane works for a bright one.
    place = words[_STRIP:]
    dim = 0
    for x in range(mean.size):
        place[dim] = x
        dim += mean[x] < _DIM_E
    uniform, rate, term, total, found = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    for k in range(dim):
        rate[k] = max(mean[place[k]], np.float32(0))
        uniform[k] = (np.float32(words[place[k]] >> np.uint32(1)) + np.float32(0.5)) * np.float32(2.0**-31)
    _no_events(rate[:dim], term[:dim])
    for k in range(dim):
        total[k] = term[k]
        found[k] = 0
    n = 0
    # 32 counts are more than any word in single precision reaches at a mean of 6.
    while n < 32 and _open(uniform[:dim], total[:dim]):
        _climb(n, uniform[:dim], rate[:dim], term[:dim], total[:dim], found[:dim])
        n += 4
    for k in range(dim):
        word = words[place[k]]
        # Single precision ends before the last thousandth of the words does; those few go one by one.
        counts[place[k]] = found[k] if word < np.uint32(0xFFC00000) else _far_tail(np.float64(rate[k]), word)


@njit(cache=True, nogil=True, error_model="numpy")
def _no_events(rate: NDArray[Any], chance: NDArray[Any]) -> None:
    """Set ``chance`` to exp(-rate), for rates from 0 to 6."""
    for k in range(rate.size):
        # exp(-r) = 2**-n exp(f) with f within ln 2 / 2 of 0.
        whole = np.floor(rate[k] * np.float32(1.442695041) + np.float32(0.5))
        f = (whole * np.float32(0.693359375) - rate[k]) - whole * np.float32(2.12194440e-4)
        series = np.float32(1 / 24) + f * (np.float32(1 / 120) + f * np.float32(1 / 720))
        series = np.float32(1) + f * (np.float32(1) + f * (np.float32(0.5) + f * (np.float32(1 / 6) + f * series)))
        chance[k] = series * np.int32(np.int32(np.int32(127) - np.int32(whole)) << np.int32(23)).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _open(uniform: NDArray[Any], total: NDArray[Any]) -> bool:
    """Return whether a lane has not reached its quantile."""
    left = 0
    for k in range(uniform.size):
        left += uniform[k] >= total[k]
    return left > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(
    n: int, uniform: NDArray[Any], rate: NDArray[Any], term: NDArray[Any], total: NDArray[Any], found: NDArray[Any]
) -> None:
    """Move every open lane up from ``n`` by as many of the next four counts as its word asks for."""
    one, none = np.float32(1), np.float32(0)
    first, second = np.float32(1 / (n + 1)), np.float32(1 / (n + 2))
    third, fourth = np.float32(1 / (n + 3)), np.float32(1 / (n + 4))
    for k in range(uniform.size):
        u, r, t, below, count = uniform[k], rate[k], term[k], total[k], found[k]
        count += one if u >= below else none
        t *= r * first
        below += t
        count += one if u >= below else none
        t *= r * second
        below += t
        count += one if u >= below else none
        t *= r * third
        below += t
        count += one if u >= below else none
        t *= r * fourth
        below += t
        term[k], total[k], found[k] = t, below, count


@njit(cache=True, nogil=True, error_model="numpy")
def _far_tail(mean: float, word: np.uint32) -> np.float32:
    """Return the Poisson quantile of one word, in double precision."""
    u = (np.float64(word) + 0.5) * 2.0**-32
    term = np.exp(-mean)
    total = term
    n = 0
    while u >= total and n < 200:
        n += 1
        term *= mean / n
        total += term
    return np.float32(n)

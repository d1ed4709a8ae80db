r"""The usual exposure in one pass: light to charge with shot noise and read noise, strip by strip in the first cache.

A word for the radius and half a word for the angle give each photosite a pair of independent normal numbers (G. E. P.
Box, M. E. Muller, Annals of Mathematical Statistics 29, 1958): one drives the photon count, the other is the read
noise. Logarithm, sine and cosine are polynomials within 1e-5, which leaves their variance within 1e-5 too. The words
come from the counter-based generator of :mod:`sensor.counter_rng` at seven rounds, the least that pass all known tests
(Salmon and others, SC 2011, table 2), so here too a number depends on seed, frame, row and column alone.

From 6 electrons up a count is the asymptotic Poisson quantile of its normal number w,

.. math:: n = \big\lfloor \mu + \sqrt\mu\,w + w^2 R(s) + C(s) + D(s)/\mu \big\rfloor, \qquad s = w/\sqrt\mu

the first three orders in 1/mu of M. Giles, "Algorithm 955: approximation of the inverse Poisson cumulative
distribution function", ACM TOMS 42 (2016), with polynomials R, C and D fitted to the inverse of the incomplete gamma
function. What it makes is within 3e-5 of Poisson in total variation (worst at 6 e-; 1e-5 from 12 e-). Below 6
electrons the count is found by search, from a word of its own.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import FIXED_STEP, NoiseSource, Stream
from sensor.fast_kernels import STRIP_PX, draw_rows, expose_rows

_NO_PIXELS, _NO_LIGHT = np.empty(0, np.uint8), np.empty(0, np.float32)


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
    draw_rows(mean_e, _place(noise), counts, normals)
    return counts, normals


def expose(
    light: NDArray[Any],
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
    decode: NDArray[np.float32] | None = None,
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
    decode : ndarray of float32, shape (256,) or (65536,), optional
        The light of each code, when ``light`` holds codes: uint8 or uint16.
    """
    height, width = out.shape
    none = np.empty((0, width), np.int16)
    sensitivity = noise.fixed_codes(Stream.PRNU, (height, width)) if prnu_share != 0 else none
    offsets = noise.fixed_codes(Stream.DSNU, (height, width)) if dsnu_e != 0 else none
    figures = np.array([electrons, prnu_share, dark_e, full_well_e, dsnu_e, read_noise_e], np.float32)
    # Spreads of one step of a map: the step is a power of two, so this rounds nothing.
    figures[[1, 4]] *= np.float32(FIXED_STEP)
    weights = _strip_weights(tile.tobytes(), tile.shape[1], response.tobytes())
    kept = np.ascontiguousarray(light, np.float32 if decode is None else None).reshape(-1)
    values, pixels = (kept, _NO_PIXELS) if decode is None else (_NO_LIGHT, kept)
    table = (_NO_LIGHT if decode is None else decode).view()
    # Always, because the kernel is compiled anew for arrays that differ in this.
    table.flags.writeable = False
    charge, codes = (
        (out, np.empty((0, width), np.uint16)) if converter is None else (np.empty((0, width), np.float32), out)
    )
    gain, black, bits = (0.0, 0.0, 8) if converter is None else converter
    levels = np.array([gain, black + 0.5, (1 << bits) - 1], np.float64)
    expose_rows(
        values, pixels, table, light.size // (height * width), weights, sensitivity, offsets, figures, levels,
        _place(noise), charge, codes,
    )  # fmt: skip


@lru_cache(maxsize=64)  # all frames of a camera ask for the same
def _strip_weights(tile: bytes, side: int, response: bytes) -> NDArray[np.float32]:
    """Return the red, green and blue weights of a strip's photosites for each row of a tile, (rows, 3, STRIP_PX)."""
    # A strip is whole periods of every colour filter.
    colours = np.frombuffer(tile, np.uint8).reshape(-1, side)[:, np.arange(STRIP_PX) % side]
    weights = np.frombuffer(response).reshape(-1, 3)[colours]
    return np.ascontiguousarray(weights.transpose(0, 2, 1), np.float32)


def _place(noise: NoiseSource) -> NDArray[np.uint64]:
    """Return first row, frame and the two halves of the seed, which the kernels count from."""
    row, frame, seed = noise.origin[0], noise.frame, noise.seed
    return np.array([row, frame, seed & 0xFFFFFFFF, seed >> 32, Stream.PAIR, Stream.DIM], np.uint64)

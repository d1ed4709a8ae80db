"""The SAR converter: one comparison a bit, against capacitors that are not quite powers of two."""

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


@lru_cache(maxsize=4)
def capacitor_weights(columns: int, bit_depth: int, mismatch_percent: float, seed: int) -> NDArray[np.float64]:
    r"""Return what each bit of each column's converter is worth, in codes.

    .. math:: w_{x,k} = s_x\,\big(2^k + \sqrt{2^k}\,m\,z_{x,k} / 100\big), \qquad \sum_k w_{x,k} = 2^N - 1

    A capacitor of bit k is :math:`2^k` unit capacitors side by side, whose deviations add up like a random walk. The
    scale s takes gain error out (the column pattern holds that), so 0 and the top code lie where they should.

    Parameters
    ----------
    columns : int
        Number of converters.
    bit_depth : int
        Resolution N.
    mismatch_percent : float
        Standard deviation m of a unit capacitor; 0 gives powers of two.
    seed : int
        Seed of the camera.

    Returns
    -------
    ndarray of float64, shape (columns, N)
        Least bit first; read-only.
    """
    nominal = 2.0 ** np.arange(bit_depth)
    draws = NoiseSource(seed=seed).normals(Stream.CAPACITORS, (bit_depth, columns), fixed=True).T
    # A capacitor cannot be negative, however unlucky the draw.
    weights = np.maximum(nominal + np.sqrt(nominal) * (mismatch_percent / 100) * draws.astype(np.float64), 0.0)
    weights *= nominal.sum() / weights.sum(1, keepdims=True)
    weights.flags.writeable = False
    return np.asarray(weights, np.float64)


def convert_sar(
    charge_e: NDArray[np.float32], weights: NDArray[np.float64], *, gain_dn_per_e: float, black_level_dn: float
) -> NDArray[np.uint16]:
    r"""Return the codes of one successive-approximation converter a column.

    From the highest bit down, a bit is set when the input :math:`K v + b + \tfrac12` is at least the sum of the
    weights set so far and its own. With powers of two this is :func:`sensor.adc.convert`, bit for bit; otherwise codes
    come out too wide or are missed, differently in each column.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal at the converters, in electrons.
    weights : ndarray of float64, shape (W, N)
        See :func:`capacitor_weights`.
    gain_dn_per_e, black_level_dn : float
        Gain K and offset b.

    Returns
    -------
    ndarray of uint16, shape (H, W)

    Examples
    --------
    >>> three_bits = np.array([[1.0, 2.0, 4.0]])
    >>> convert_sar(np.array([[-1], [2.4], [2.5], [99]], np.float32), three_bits, gain_dn_per_e=1, black_level_dn=0)
    array([[0],
           [2],
           [3],
           [7]], dtype=uint16)
    """
    codes = np.empty(charge_e.shape, np.uint16)
    _approximate(np.ascontiguousarray(charge_e), weights, gain_dn_per_e, black_level_dn, codes)
    return codes


@njit(cache=True, nogil=True)
def _approximate(charge: NDArray[Any], weights: NDArray[Any], gain: float, black: float, codes: NDArray[Any]) -> None:
    """Fill ``codes``."""
    height, width = charge.shape
    bits = weights.shape[1]
    for y in range(height):
        for x in range(width):
            level = np.float64(charge[y, x]) * gain + black + 0.5
            reached = 0.0
            code = 0
            for k in range(bits - 1, -1, -1):
                if level >= reached + weights[x, k]:
                    reached += weights[x, k]
                    code |= 1 << k
            codes[y, x] = code

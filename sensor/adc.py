"""The converter: electrons become codes, with exactly one rounding."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def convert(
    charge_e: NDArray[np.float32],
    *,
    gain_dn_per_e: float,
    black_level_dn: float,
    bit_depth: int,
    ramp_curvature_dn: float = 0.0,
    out: NDArray[np.uint16] | None = None,
) -> NDArray[np.uint16]:
    r"""Return the codes of an N-bit converter behind a linear amplifier.

    .. math:: c = \mathrm{clip}\big(\lfloor x + 4\,i\,u\,(1 - u) + \tfrac12 \rfloor,\; 0,\; 2^N - 1\big), \qquad
              x = K v + b, \quad u = \mathrm{clip}\big(x / (2^N - 1),\; 0,\; 1\big)

    The bend i is the integral non-linearity of a single-slope converter whose ramp is a parabola; one ramp serves all
    columns, so it is the same everywhere.

    Parameters
    ----------
    charge_e : ndarray of float32
        Signal v, in electrons; below zero is allowed, black level keeps it visible.
    gain_dn_per_e : float
        System gain K, in codes an electron.
    black_level_dn : float
        Offset b, in codes.
    bit_depth : int
        Resolution N, 8 to 16 bits.
    ramp_curvature_dn : float
        Largest integral non-linearity i, in mid-range, in codes; 0 turns the effect off.
    out : ndarray of uint16, same shape, optional
        Where to put the codes; C-contiguous.

    Returns
    -------
    ndarray of uint16, same shape

    Examples
    --------
    >>> convert(np.array([-9, 0, 1, 2, 999], np.float32), gain_dn_per_e=0.5, black_level_dn=4, bit_depth=8).tolist()
    [0, 4, 5, 5, 255]
    """
    charge_e = np.ascontiguousarray(charge_e, np.float32)
    codes = np.empty(charge_e.shape, np.uint16) if out is None else out
    top = (1 << bit_depth) - 1
    if ramp_curvature_dn == 0:
        _quantise(charge_e.reshape(-1), gain_dn_per_e, black_level_dn + 0.5, top, codes.reshape(-1))
        return codes
    exact = charge_e.astype(np.float64) * gain_dn_per_e + black_level_dn
    exact += ramp_error_dn(exact, ramp_curvature_dn, bit_depth)
    codes[...] = np.clip(np.floor(exact + 0.5), 0, top)
    return codes


@njit(cache=True, nogil=True, error_model="numpy")
def _quantise(charge: NDArray[Any], gain: float, offset: float, top: int, codes: NDArray[Any]) -> None:
    """Set ``codes``; 1-D, contiguous. In double precision, so that the one rounding is the right one."""
    highest = np.float64(top)
    for i in range(charge.size):
        # Never below zero, so cutting the fraction off is the floor.
        codes[i] = np.uint16(np.int32(min(max(np.float64(charge[i]) * gain + offset, 0.0), highest)))


def ramp_error_dn(codes: NDArray[np.float64], curvature_dn: float, bit_depth: int) -> NDArray[np.float64]:
    """Return the integral non-linearity of a bent ramp at exact codes; the equation is in :func:`convert`."""
    place = np.clip(codes / ((1 << bit_depth) - 1), 0, 1)
    return np.asarray(4 * curvature_dn * place * (1 - place), np.float64)

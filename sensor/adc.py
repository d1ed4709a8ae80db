"""The converter: electrons become codes, with exactly one rounding."""

import numpy as np
from numpy.typing import NDArray


def convert(
    charge_e: NDArray[np.float32], *, gain_dn_per_e: float, black_level_dn: float, bit_depth: int
) -> NDArray[np.uint16]:
    r"""Return the codes of an ideal N-bit converter behind a linear amplifier.

    .. math:: c = \mathrm{clip}\big(\lfloor K v + b + \tfrac12 \rfloor,\; 0,\; 2^N - 1\big)

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

    Returns
    -------
    ndarray of uint16, same shape

    Examples
    --------
    >>> convert(np.array([-9, 0, 1, 2, 999], np.float32), gain_dn_per_e=0.5, black_level_dn=4, bit_depth=8).tolist()
    [0, 4, 5, 5, 255]
    """
    codes = charge_e.astype(np.float64)
    codes *= gain_dn_per_e
    codes += black_level_dn + 0.5
    np.floor(codes, out=codes)
    return np.clip(codes, 0, (1 << bit_depth) - 1, out=codes).astype(np.uint16)

"""The sRGB standard: tone curve both ways, and the way to CIE XYZ.

Source: IEC 61966-2-1:1999. The matrix follows from its primaries, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06), and the
white point D65 at (0.3127, 0.3290).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray


def _xyz_from_srgb() -> NDArray[np.float64]:
    primaries = np.array([[0.64, 0.30, 0.15], [0.33, 0.60, 0.06], [0.03, 0.10, 0.79]])
    white = np.array([0.3127, 0.3290, 0.3583]) / 0.3290
    return np.asarray(primaries * np.linalg.solve(primaries, white), np.float64)


XYZ_FROM_SRGB = _xyz_from_srgb()
"""Linear sRGB to CIE XYZ (Y of white is 1), shape (3, 3)."""

LUMINANCE = XYZ_FROM_SRGB[1]
"""Weights of linear red, green and blue in luminance."""


def srgb_decode(encoded: ArrayLike) -> NDArray[np.float64]:
    r"""Return linear light of sRGB values; inverse of :func:`srgb_encode`.

    .. math:: v = s / 12.92 \text{ for } s \le 0.04045, \text{ else } \big((s + 0.055) / 1.055\big)^{2.4}

    Examples
    --------
    >>> srgb_decode([0.0, 0.5, 1.0]).round(6).tolist()
    [0.0, 0.214041, 1.0]
    """
    s = np.asarray(encoded, np.float64)
    return np.where(s <= 0.04045, s / 12.92, ((np.maximum(s, 0.04045) + 0.055) / 1.055) ** 2.4)


@lru_cache(maxsize=2)
def srgb_table(top: int) -> NDArray[np.float32]:
    """Return the linear light of every code 0 to ``top``, which is white; shared, so it cannot be written to.

    >>> srgb_table(255)[[0, 255]].tolist()
    [0.0, 1.0]
    """
    table = srgb_decode(np.arange(top + 1) / top).astype(np.float32)
    table.flags.writeable = False
    return table


def srgb_encode(linear: ArrayLike) -> NDArray[np.float64]:
    r"""Return sRGB values of linear light; inverse of :func:`srgb_decode`.

    .. math:: s = 12.92\,v \text{ for } v \le 0.0031308, \text{ else } 1.055\,v^{1/2.4} - 0.055

    Examples
    --------
    >>> srgb_encode([0.0, 0.214041, 1.0]).round(6).tolist()
    [0.0, 0.5, 1.0]
    """
    v = np.asarray(linear, np.float64)
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.maximum(v, 0.0031308) ** (1 / 2.4) - 0.055)

"""Codes of 8 to 16 bits without gaps between them, as TIFF stores them."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def pack_rows(codes: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    """Return rows of codes as bytes, highest bit first, each row padded with zeros to a whole byte.

    Parameters
    ----------
    codes : ndarray of uint16, shape (H, W)
        Below ``2**bits``.
    bits : int
        1 to 16.

    Returns
    -------
    ndarray of uint8, shape (H, ceil(W * bits / 8))

    Examples
    --------
    >>> pack_rows(np.array([[0xABC, 0x123]], np.uint16), 12).tobytes().hex()
    'abc123'
    """
    height, width = codes.shape
    out = np.empty((height, -(-width * bits // 8)), np.uint8)
    _pack(codes, bits, out)
    return out


@njit(cache=True, nogil=True)
def _pack(codes: NDArray[Any], bits: int, out: NDArray[Any]) -> None:
    """Fill ``out``."""
    for y in range(codes.shape[0]):
        held = np.uint64(0)
        count = 0
        at = 0
        for x in range(codes.shape[1]):
            held = (held << np.uint64(bits)) | np.uint64(codes[y, x])
            count += bits
            while count >= 8:
                count -= 8
                out[y, at] = np.uint8((held >> np.uint64(count)) & np.uint64(255))
                at += 1
        if count > 0:
            out[y, at] = np.uint8((held << np.uint64(8 - count)) & np.uint64(255))

"""Codes of 1 to 16 bits without gaps: what a 12-bit frame takes on disk and on the wire.

Codes follow one another with their highest bit first, across octets; the last octet is filled up with zeros.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _pack(codes: NDArray[Any], bits: int, octets: NDArray[Any]) -> None:
    held, count, place = np.int64(0), 0, 0
    for code in codes:
        held = ((held << bits) | np.int64(code)) & 0xFFFFFF  # 7 bits are left over at most, and 16 come
        count += bits
        while count >= 8:
            count -= 8
            octets[place] = held >> count & 0xFF
            place += 1
    if count:
        octets[place] = held << (8 - count) & 0xFF


@njit(cache=True, nogil=True)
def _unpack(octets: NDArray[Any], bits: int, codes: NDArray[Any]) -> None:
    held, count, place = np.int64(0), 0, 0
    for k in range(codes.size):
        while count < bits:
            held = ((held << 8) | np.int64(octets[place])) & 0xFFFFFF
            count += 8
            place += 1
        count -= bits
        codes[k] = held >> count & ((1 << bits) - 1)


def packed_size(count: int, bits: int) -> int:
    """Return how many octets `count` codes take.

    >>> packed_size(3, 12)
    5
    """
    return (count * bits + 7) // 8


def pack_codes(codes: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return codes as octets; inverse of :func:`unpack_codes`.

    Parameters
    ----------
    codes : array of uint8 or uint16, shape (n,)
        Below ``2**bits``, checked by the caller.
    bits : int
        1 to 16.

    Examples
    --------
    >>> pack_codes(np.array([0xABC, 0xDEF, 0x123], np.uint16), 12).tobytes().hex()
    'abcdef1230'
    """
    octets = np.empty(packed_size(codes.size, bits), np.uint8)
    _pack(codes, bits, octets)
    return octets


def unpack_codes(octets: NDArray[Any], bits: int, codes: NDArray[Any]) -> None:
    """Fill `codes`, shape (n,), from at least ``packed_size(n, bits)`` octets; inverse of :func:`pack_codes`."""
    _unpack(octets, bits, codes)

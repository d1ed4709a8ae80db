"""Codes as cameras send and store them: MIPI CSI-2 bit order, plain 16-bit words, and codes without gaps.

MIPI CSI-2 sends the high octets of a group of pixels first, then one octet or more with their low bits, the first
pixel's in the lowest place (MIPI Alliance, "Camera Serial Interface 2", data formats RAW8, RAW10, RAW12, RAW14):

* RAW10: P1[9:2] P2[9:2] P3[9:2] P4[9:2] {P4[1:0] P3[1:0] P2[1:0] P1[1:0]};
* RAW12: P1[11:4] P2[11:4] {P2[3:0] P1[3:0]};
* RAW14: P1[13:6] P2[13:6] P3[13:6] P4[13:6], then the low six bits of P1 to P4 in three octets, P1 lowest.

A row that ends inside a group is filled up with pixels of 0, as the standard's line lengths want it.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.packing import unpack_codes
from sensor.bit_packing import pack_rows
from sensor.errors import RawFileError

PACKINGS = ("mipi", "words", "dense")
"""MIPI CSI-2 (8, 10, 12 or 14 bits); 16-bit little-endian words (any bits); highest bit first without gaps, as TIFF."""

_GROUPS = {8: 1, 10: 4, 12: 2, 14: 4}


def check_packing(packing: str, bits: int) -> str:
    """Return the packing.

    Raises
    ------
    RawFileError
        If there is no such packing, or not for so many bits.
    """
    if packing not in PACKINGS:
        raise RawFileError(f"there is no packing {packing!r}: choose one of {', '.join(PACKINGS)}")
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 8 <= bits <= 16:
        raise RawFileError(f"bits must be a whole number from 8 to 16, got {bits!r}")
    if packing == "mipi" and bits not in _GROUPS:
        raise RawFileError(f"MIPI packing has 8, 10, 12 or 14 bits, got {bits}: choose words or dense")
    return packing


def row_octets(width: int, bits: int, packing: str) -> int:
    """Return how many octets a row takes.

    Examples
    --------
    >>> row_octets(5, 10, "mipi"), row_octets(5, 10, "words"), row_octets(5, 10, "dense")
    (10, 10, 7)
    """
    check_packing(packing, bits)
    if packing == "words":
        return 2 * width
    group = _GROUPS[bits] if packing == "mipi" else 1
    return (-(-width // group) * group * bits + 7) // 8


def pack(codes: NDArray[np.uint16], bits: int, packing: str) -> NDArray[np.uint8]:
    """Return rows of codes as octets; inverse of :func:`unpack`.

    Parameters
    ----------
    codes : ndarray of uint16, shape (H, W)
        Below ``2**bits``.
    bits : int
        8 to 16.
    packing : {"mipi", "words", "dense"}
        See :data:`PACKINGS`.

    Returns
    -------
    ndarray of uint8, shape (H, row_octets(W, bits, packing))

    Raises
    ------
    RawFileError
        For a packing that there is not, or codes that do not fit.

    Examples
    --------
    >>> pack(np.array([[0x3FD, 2, 1, 0]], np.uint16), 10, "mipi").tobytes().hex()  # 11_1111_1101, 10, 01, 00
    'ff00000019'
    """
    octets = row_octets(codes.shape[1], bits, packing)
    if codes.size and int(codes.max()) >> bits:
        raise RawFileError(f"a code of {int(codes.max())} does not fit {bits} bits")
    if packing == "dense":
        return pack_rows(np.ascontiguousarray(codes), bits)
    if packing == "words":
        return np.ascontiguousarray(codes, "<u2").view(np.uint8).reshape(len(codes), octets)
    out = np.zeros((len(codes), octets), np.uint8)
    _pack_mipi(np.ascontiguousarray(codes), bits, _GROUPS[bits], out)
    return out


def unpack(octets: NDArray[np.uint8], width: int, bits: int, packing: str) -> NDArray[np.uint16]:
    """Return the codes of rows of octets; inverse of :func:`pack`.

    Parameters
    ----------
    octets : ndarray of uint8, shape (H, row_octets(width, bits, packing))
        Rows.
    width : int
        Codes a row.
    bits, packing
        As for :func:`pack`.

    Returns
    -------
    ndarray of uint16, shape (H, width)

    Raises
    ------
    RawFileError
        For a packing that there is not, or words with codes of more bits.
    """
    height, given = octets.shape
    if given != row_octets(width, bits, packing):
        raise RawFileError(f"a row of {width} codes takes {row_octets(width, bits, packing)} octets, got {given}")
    codes = np.empty((height, width), np.uint16)
    if packing == "mipi":
        _unpack_mipi(np.ascontiguousarray(octets), bits, _GROUPS[bits], codes)
    elif packing == "dense":
        for row, target in zip(np.ascontiguousarray(octets), codes, strict=True):
            unpack_codes(row, bits, target)
    else:
        codes[...] = np.ascontiguousarray(octets).view("<u2")
        if codes.size and int(codes.max()) >> bits:
            raise RawFileError(f"the words hold codes of more than {bits} bits: the packing or the bits are wrong")
    return codes


@njit(cache=True, nogil=True)
def _pack_mipi(codes: NDArray[Any], bits: int, group: int, out: NDArray[Any]) -> None:
    """Fill ``out``, which is zero."""
    low = bits - 8
    size = group * bits // 8
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            base, place = x // group * size, x % group
            code = np.int64(codes[y, x])
            out[y, base + place] = code >> low
            # The low bits of a group are one number, the first pixel's lowest, sent from its lowest octet.
            rest, bit = code & ((1 << low) - 1), place * low
            at = base + group + bit // 8
            if low > 0:
                out[y, at] |= (rest << (bit % 8)) & 0xFF
                if bit % 8 + low > 8:
                    out[y, at + 1] |= rest >> (8 - bit % 8)


@njit(cache=True, nogil=True)
def _unpack_mipi(octets: NDArray[Any], bits: int, group: int, codes: NDArray[Any]) -> None:
    """Fill ``codes``."""
    low = bits - 8
    size = group * bits // 8
    for y in range(codes.shape[0]):
        for x in range(codes.shape[1]):
            base, place = x // group * size, x % group
            code = np.int64(octets[y, base + place]) << low
            bit = place * low
            at = base + group + bit // 8
            if low > 0:
                rest = np.int64(octets[y, at]) >> (bit % 8)
                if bit % 8 + low > 8:
                    rest |= np.int64(octets[y, at + 1]) << (8 - bit % 8)
                code |= rest & ((1 << low) - 1)
            codes[y, x] = code

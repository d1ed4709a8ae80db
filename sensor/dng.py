"""Write a mosaic as DNG, and find our own words in one.

A DNG is a TIFF file with a few more tags. Sources: Adobe, "TIFF Revision 6.0" (1992); Adobe, "Digital Negative
Specification", version 1.4 (2012); tag numbers below are theirs.
"""

import struct
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensor.bit_packing import pack_rows
from sensor.errors import RawFileError

# TIFF field types: code, struct letter, bytes.
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SRATIONAL, DOUBLE = 1, 2, 3, 4, 5, 7, 10, 12
_LETTER = {SHORT: "H", LONG: "I", RATIONAL: "II", SRATIONAL: "ii", DOUBLE: "d"}

PRIVATE_DATA = 50740
_MAX_PRIVATE_BYTES = 1 << 20
_EXIF_POINTER = 34665
_STRIP_OFFSETS = 273

Tags = dict[int, tuple[int, Any]]
"""Tag number to field type and value: bytes for the byte types, else a sequence of numbers."""


def dng_header(shape: tuple[int, int], tags: Tags, exif: Tags, bits: int = 16) -> bytes:
    """Return what comes before the pixels in a little-endian DNG.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the mosaic, stored uncompressed, as one strip.
    tags, exif : Tags
        Fields of the main directory (what describes the strip is added here) and of the Exif directory.
    bits : int
        Of one code, as for :func:`dng_pixels`.
    """
    height, width = shape
    fields: Tags = {
        254: (LONG, [0]),  # a full-resolution image
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits]),
        259: (SHORT, [1]),  # not compressed
        _STRIP_OFFSETS: (LONG, [0]),
        277: (SHORT, [1]),
        278: (LONG, [height]),
        279: (LONG, [height * -(-width * bits // 8)]),
        284: (SHORT, [1]),
        _EXIF_POINTER: (LONG, [0]),
        **tags,
    }
    # Sizes do not depend on the two pointers, so lay out with zeros to learn where things fall.
    main, second = _encoded(fields), _encoded(exif)
    exif_at = 8 + _size(main)
    data_at = -(-(exif_at + _size(second)) // 16) * 16
    main |= _encoded({_EXIF_POINTER: (LONG, [exif_at]), _STRIP_OFFSETS: (LONG, [data_at])})
    header = struct.pack("<2sHI", b"II", 42, 8) + _directory(main, 8) + _directory(second, exif_at)
    return header.ljust(data_at, b"\0")


def dng_pixels(mosaic: NDArray[np.uint16], bits: int = 16) -> NDArray[np.uint16] | NDArray[np.uint8]:
    """Return a mosaic as a DNG stores it.

    Parameters
    ----------
    mosaic : ndarray of uint16, shape (H, W)
    bits : int
        16 for little-endian words; less for codes without gaps, see :func:`sensor.bit_packing.pack_rows`.
    """
    return mosaic.astype("<u2", copy=False) if bits == 16 else pack_rows(mosaic, bits)


def _encoded(fields: Tags) -> dict[int, tuple[int, int, bytes]]:
    """Return type, TIFF count and bytes of each field."""
    return {tag: (kind, *_packed(kind, value)) for tag, (kind, value) in fields.items()}


def _size(fields: dict[int, tuple[int, int, bytes]]) -> int:
    """Return the bytes of one image file directory and of its longer values, each padded to an even number."""
    return 2 + 12 * len(fields) + 4 + sum(len(data) + len(data) % 2 for _, _, data in fields.values() if len(data) > 4)


def _directory(fields: dict[int, tuple[int, int, bytes]], at: int) -> bytes:
    """Return one image file directory that starts at byte ``at``, with its longer values behind it."""
    entries, values = bytearray(), bytearray()
    values_at = at + 2 + 12 * len(fields) + 4
    for tag, (kind, count, data) in sorted(fields.items()):
        if len(data) > 4:
            offset = struct.pack("<I", values_at + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            offset = data.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, count) + offset
    return struct.pack("<H", len(fields)) + entries + struct.pack("<I", 0) + values


def _packed(kind: int, value: Any) -> tuple[int, bytes]:
    """Return the TIFF count of a value and its bytes."""
    if kind == ASCII:
        text = value.encode("ascii", "replace") + b"\0"
        return len(text), text
    if kind in (BYTE, UNDEFINED):
        return len(value), bytes(value)
    if kind in (RATIONAL, SRATIONAL):
        pairs = [number for item in value for number in _ratio(item)]
        return len(value), struct.pack("<" + _LETTER[kind] * len(value), *pairs)
    return len(value), struct.pack("<" + _LETTER[kind] * len(value), *value)


@lru_cache(maxsize=1024)  # the numbers of one camera repeat from frame to frame, and a fraction takes long to find
def _ratio(value: float) -> tuple[int, int]:
    """Return a fraction close to ``value`` whose parts fit 31 bits."""
    limit = 10**6
    fraction = Fraction(value).limit_denominator(limit)
    if fraction == 0 and value > 0:
        fraction = Fraction(1, min(round(1 / value), 2**31 - 1))
    return fraction.numerator, fraction.denominator


def private_data(path: Path, prefix: bytes) -> bytes | None:
    """Return the value of tag DNGPrivateData in a file's main directory, or None when it has none that is ours.

    Other software keeps its own data there, of any size, so only what begins with ``prefix`` is read. Every number in
    the file is checked before it is used.

    Raises
    ------
    RawFileError
        When data of ours are cut short or claim over a megabyte.
    """
    with path.open("rb") as file:
        header = file.read(8)
        order = {b"II": "<", b"MM": ">"}.get(header[:2])
        if order is None or len(header) < 8 or struct.unpack(order + "H", header[2:4])[0] != 42:
            return None
        file.seek(struct.unpack(order + "I", header[4:8])[0])
        count_bytes = file.read(2)
        if len(count_bytes) < 2:
            return None
        directory = file.read(12 * struct.unpack(order + "H", count_bytes)[0])
        for at in range(0, len(directory) - 11, 12):
            tag, _, count, offset = struct.unpack_from(order + "HHII", directory, at)
            if tag == PRIVATE_DATA:
                file.seek(offset)
                if count < len(prefix) or file.read(len(prefix)) != prefix:
                    return None
                rest = file.read(count - len(prefix)) if count <= _MAX_PRIVATE_BYTES else b""
                if len(rest) != count - len(prefix):
                    raise RawFileError(f"{path}: the private data of this DNG are cut short or damaged")
                return prefix + rest
    return None

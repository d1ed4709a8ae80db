"""The public header of a sealed file: 64 octets that say how large the frame is and whose key opens it."""

import struct
from dataclasses import dataclass
from math import prod
from typing import Self

import numpy as np

from scrambler.errors import SealedFileError
from scrambler.packing import packed_size

MAGIC = b"shufflecam-seal"
VERSION = 1
HEADER_BYTES = 64
CHUNK_BYTES = 1 << 16
TAG_BYTES = 16
MOST_METADATA_BYTES = 1 << 20
_LAYOUT = struct.Struct(">15sB8s16sBBBx4II")
_MOST_AXES = 4


@dataclass(frozen=True, kw_only=True)
class SealedHeader:
    """What a sealed file shows to everybody.

    Layout, big-endian: "shufflecam-seal", version (1 octet), key id (8), nonce (16), bits of a code (1), octets of a
    value (1), number of axes (1), a zero, four axis lengths of 4 octets (0 where unused), length of the metadata (4).

    Attributes
    ----------
    key_id : str
        Sixteen hexadecimal digits.
    nonce : bytes
        Sixteen octets, fresh for every file.
    bits : int
        Bits that each code takes, 1 to 8 * itemsize.
    itemsize : int
        1 for uint8, 2 for uint16.
    shape : tuple of int
        One to four axis lengths.
    metadata_bytes : int
        Length of the encrypted metadata.
    """

    key_id: str
    nonce: bytes
    bits: int
    itemsize: int
    shape: tuple[int, ...]
    metadata_bytes: int

    @property
    def count(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        """Type of the values."""
        return np.uint8 if self.itemsize == 1 else np.uint16

    @property
    def plain_bytes(self) -> int:
        """Octets of metadata and packed codes."""
        return self.metadata_bytes + packed_size(self.count, self.bits)

    @property
    def chunks(self) -> int:
        """Number of chunks; an empty file has one, so that its end is authenticated."""
        return max(1, -(-self.plain_bytes // CHUNK_BYTES))

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return HEADER_BYTES + self.plain_bytes + TAG_BYTES * self.chunks

    def to_bytes(self) -> bytes:
        """Return the 64 octets; inverse of :meth:`from_bytes`."""
        axes = (*self.shape, 0, 0, 0)[:_MOST_AXES]
        return _LAYOUT.pack(
            MAGIC, VERSION, bytes.fromhex(self.key_id), self.nonce,
            self.bits, self.itemsize, len(self.shape), *axes, self.metadata_bytes,
        )  # fmt: skip

    @classmethod
    def from_bytes(cls, octets: bytes, name: object) -> Self:
        """Read the 64 octets; inverse of :meth:`to_bytes`. `name` is the file's, for the error.

        Raises
        ------
        SealedFileError
            If they are too few, not a sealed file's, of another version, or impossible.
        """
        if not octets.startswith(MAGIC):
            raise SealedFileError(f"{name} is not a sealed file: give one that `shufflecam seal` wrote.")
        if len(octets) < HEADER_BYTES:
            raise SealedFileError(f"{name} is cut short inside its header: fetch or copy it again.")
        _, version, key_id, nonce, bits, itemsize, axes, *lengths, metadata_bytes = _LAYOUT.unpack(octets)
        if version != VERSION:
            raise SealedFileError(f"{name} is a sealed file of version {version}, and this program reads {VERSION}.")
        sensible = itemsize in (1, 2) and 1 <= bits <= 8 * itemsize and 1 <= axes <= _MOST_AXES
        if not sensible or any(lengths[axes:]) or metadata_bytes > MOST_METADATA_BYTES:
            raise SealedFileError(f"{name} has a damaged header: fetch or copy it again.")
        header = cls(
            key_id=key_id.hex(), nonce=nonce, bits=bits, itemsize=itemsize,
            shape=tuple(lengths[:axes]), metadata_bytes=metadata_bytes,
        )  # fmt: skip
        if header.to_bytes() != octets:  # the zero octet
            raise SealedFileError(f"{name} has a damaged header: fetch or copy it again.")
        return header

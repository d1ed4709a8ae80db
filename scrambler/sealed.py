"""Sealed files: a frame for storage and transport, encrypted and authenticated; only its size and key id show.

Format v1, which never changes (golden bytes hold it in the tests)

* The header of :class:`scrambler.sealed_header.SealedHeader`, 64 octets, public and authenticated.
* Metadata as JSON, then the codes packed to their bit depth, cut into chunks of 64 KiB, the last one shorter. Each
  chunk is ChaCha20-Poly1305 (RFC 8439) under the key ``derive("sealed", nonce, context="sealed/v1")`` with the header
  as associated data and, as nonce, its number (11 octets, big-endian) and 1 for the last chunk, 0 otherwise (STREAM:
  Hoang, Reyhanitabar, Rogaway, Vizar, CRYPTO 2015). So chunks cannot be cut off, swapped, repeated or appended.

The cipher's keystream is the mask: every bit of a shuffled frame's codes is hidden, and no constant bit shows.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from numpy.typing import NDArray

from scrambler.errors import FrameError, SealedFileError, WrongKeyError
from scrambler.files import atomic_file
from scrambler.key import Key, require_key
from scrambler.mask import check_masked_type
from scrambler.nonce import check_nonce, new_nonce
from scrambler.packing import pack_codes, unpack_codes
from scrambler.sealed_header import CHUNK_BYTES, HEADER_BYTES, MOST_METADATA_BYTES, TAG_BYTES, SealedHeader

_CODES_AT_A_TIME = 1 << 16  # a multiple of 8, so that they end with an octet


@dataclass(frozen=True, eq=False)
class Unsealed:
    """What a sealed file held.

    Attributes
    ----------
    values : array of uint8 or uint16
        The frame, as it was given to :func:`seal`.
    metadata : dict
        What was sealed with it.
    bits : int
        Bit depth of the codes.
    key_id : str
        Public id of the key.
    nonce : bytes
        The file's own nonce.
    """

    values: NDArray[Any] = field(repr=False)
    metadata: dict[str, Any] = field(repr=False)
    bits: int
    key_id: str
    nonce: bytes


def seal(
    path: str | os.PathLike[str],
    values: Any,
    key: Key | None,
    *,
    metadata: Mapping[str, Any] | None = None,
    bits: int | None = None,
    nonce: bytes | None = None,
) -> None:
    """Write a frame to a sealed file, replacing `path` in one step; inverse of :func:`open_sealed`.

    Parameters
    ----------
    path : path
        The file, by custom with the ending ``.sealed``.
    values : array of uint8 or uint16
        One to four axes: a mosaic, an image or a batch, best in shuffled order, so that whoever opens it holds no
        frame in natural order either.
    key : Key
        Whoever has it can open the file.
    metadata : mapping, optional
        JSON values, at most 1 MiB as text; encrypted.
    bits : int, optional
        Bit depth that the codes are packed to; all bits of the type by default. Public.
    nonce : bytes, 16 long, optional
        Drawn fresh when missing, as it should be.

    Raises
    ------
    MissingKeyError, NonceError
        If key or nonce is missing or malformed.
    FrameError
        If values, bits or metadata do not fit.
    SealedFileError
        If the file cannot be written.
    """
    secret = require_key(key, "sealing")
    given = np.asarray(values)
    itemsize = check_masked_type(given.dtype).itemsize
    if not 1 <= given.ndim <= 4 or max(given.shape) >= 2**32:
        raise FrameError(f"values to seal have one to four axes shorter than 2**32, got the shape {given.shape}.")
    depth = 8 * itemsize if bits is None else bits
    if isinstance(depth, bool) or not isinstance(depth, (int, np.integer)) or not 1 <= depth <= 8 * itemsize:
        raise FrameError(f"bits must be a whole number from 1 to {8 * itemsize} for {given.dtype}, got {bits!r}.")
    if given.size and int(given.max()) >> int(depth):
        raise FrameError(f"values hold {int(given.max())}, which takes more than {depth} bits: give a larger bits=.")
    about = _metadata_octets(metadata)
    header = SealedHeader(
        key_id=secret.id, nonce=new_nonce() if nonce is None else check_nonce(nonce),
        bits=int(depth), itemsize=itemsize, shape=given.shape, metadata_bytes=len(about),
    )  # fmt: skip
    try:
        with atomic_file(path) as file:
            file.write(header.to_bytes())
            file.writelines(_encrypted(header, secret, _plain(about, given, int(depth))))
    except OSError as error:
        raise SealedFileError(f"{path} cannot be written: {error.strerror}.") from None


def open_sealed(path: str | os.PathLike[str], key: Key | None) -> Unsealed:
    """Read a sealed file; inverse of :func:`seal`.

    Every chunk is authenticated before anything is returned: a file that was changed anywhere gives nothing at all.

    Raises
    ------
    MissingKeyError
        If there is no key.
    WrongKeyError
        If the file names another key; the sentence has both ids.
    SealedFileError
        If the file is missing, not a sealed file, of another version, cut short, or was changed in any other way.
    """
    secret = require_key(key, "opening a sealed file")
    try:
        with Path(path).open("rb") as file:
            header = SealedHeader.from_bytes(file.read(HEADER_BYTES), path)
            if header.key_id != secret.id:
                raise WrongKeyError(
                    f"{path} was sealed with key {header.key_id}, and the key given is {secret.id}: load that one."
                )
            size = os.fstat(file.fileno()).st_size
            if size != header.file_bytes:  # before any memory is taken for what a header may claim
                raise SealedFileError(
                    f"{path} has {size} bytes and should have {header.file_bytes}: it was cut or changed."
                )
            values, about = _decrypted(file, header, secret, path)
    except OSError as error:
        raise SealedFileError(f"{path} cannot be read: {error.strerror}.") from None
    return Unsealed(values, json.loads(about), header.bits, header.key_id, header.nonce)


def _metadata_octets(metadata: Mapping[str, Any] | None) -> bytes:
    try:
        octets = json.dumps(
            dict(metadata or {}), ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError) as error:
        raise FrameError(f"metadata must hold JSON values only ({error}).") from None
    if len(octets) > MOST_METADATA_BYTES:
        raise FrameError(f"metadata takes {len(octets)} bytes as text, more than the {MOST_METADATA_BYTES} allowed.")
    return octets


def _cipher(header: SealedHeader, key: Key) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(key.derive("sealed", header.nonce, context=b"sealed/v1"))


def _chunk_nonce(number: int, header: SealedHeader) -> bytes:
    return number.to_bytes(11, "big") + bytes([number == header.chunks - 1])


def _plain(about: bytes, values: NDArray[Any], bits: int) -> Iterator[bytes]:
    """Yield metadata and packed codes, piece by piece."""
    yield about
    codes = np.ascontiguousarray(values).reshape(-1)
    for first in range(0, codes.size, _CODES_AT_A_TIME):
        yield pack_codes(codes[first : first + _CODES_AT_A_TIME], bits).tobytes()


def _encrypted(header: SealedHeader, key: Key, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a file."""
    cipher, public = _cipher(header, key), header.to_bytes()
    pending, number = bytearray(), 0
    for piece in pieces:
        pending += piece
        while len(pending) >= CHUNK_BYTES and number < header.chunks - 1:
            yield cipher.encrypt(_chunk_nonce(number, header), bytes(pending[:CHUNK_BYTES]), public)
            del pending[:CHUNK_BYTES]
            number += 1
    yield cipher.encrypt(_chunk_nonce(number, header), bytes(pending), public)


def _decrypted(file: BinaryIO, header: SealedHeader, key: Key, name: object) -> tuple[NDArray[Any], bytes]:
    """Return the values and the metadata's text, all of it authenticated."""
    cipher, public = _cipher(header, key), header.to_bytes()
    codes = np.empty(header.count, header.dtype)
    pending, about, done = bytearray(), b"", 0
    missing = header.metadata_bytes  # which may reach into the second chunk and further
    for number in range(header.chunks):
        try:
            pending += cipher.decrypt(_chunk_nonce(number, header), file.read(CHUNK_BYTES + TAG_BYTES), public)
        except InvalidTag:
            raise SealedFileError(f"{name} was changed or damaged after it was sealed: nothing is opened.") from None
        taken = min(missing, len(pending))
        about, missing = about + pending[:taken], missing - taken
        del pending[:taken]
        # Whole groups of 8 codes take `bits` octets; the last chunk brings the rest.
        ready = len(pending) // header.bits * 8 if number < header.chunks - 1 else header.count - done
        unpack_codes(np.frombuffer(pending, np.uint8), header.bits, codes[done : done + ready])
        del pending[: ready // 8 * header.bits]
        done += ready
    return codes.reshape(header.shape), about

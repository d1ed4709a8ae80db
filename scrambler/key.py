"""The secret key, its public id, and every other secret derived from it."""

import hmac
import os
from hashlib import sha256
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from scrambler.errors import KeyFileError, MissingKeyError, SecretPickleError, ShuffleCamError
from scrambler.key_file import KEY_BYTES, read_key_file, write_key_file
from scrambler.legacy import LegacyKey
from scrambler.nonce import check_nonce

DERIVATION_VERSION = b"shufflecam/v1"


def part_seed(seed: bytes, part: str) -> bytes:
    """Return the 32-byte seed of one part of a construction: HMAC-SHA256(seed, part).

    >>> part_seed(bytes(32), "rows") == part_seed(bytes(32), "columns")
    False
    """
    return hmac.digest(seed, part.encode(), sha256)


class Key:
    """Thirty-two secret bytes that decide every shuffle.

    The id is public, the bytes are not: ``repr`` shows the id only, pickling is refused, and copies are the key
    itself (it never changes). Two keys compare equal when their bytes do, in constant time.

    Examples
    --------
    >>> key = Key.from_bytes(bytes(range(32)))
    >>> key
    Key(id='6d69e96ca6959702')
    >>> len(key.derive("readout", nonce=bytes(16)))
    32
    """

    __slots__ = ("_id", "_secret")

    _secret: bytes
    _id: str

    def __init__(self) -> None:
        raise ShuffleCamError("a Key is made by Key.generate(), Key.from_bytes(...) or Key.load(path).")

    @classmethod
    def _of(cls, secret: bytes) -> Self:
        key = object.__new__(cls)
        object.__setattr__(key, "_secret", secret)
        object.__setattr__(key, "_id", key.derive("key-id", length=8).hex())
        return key

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the operating system's random source."""
        return cls._of(os.urandom(KEY_BYTES))

    @classmethod
    def from_bytes(cls, secret: bytes) -> Self:
        """Return the key with these 32 bytes; inverse of :meth:`to_bytes`.

        Raises
        ------
        KeyFileError
            If there are not exactly 32 bytes.
        """
        if not isinstance(secret, (bytes, bytearray, memoryview)) or len(bytes(secret)) != KEY_BYTES:
            raise KeyFileError(
                f"a key is {KEY_BYTES} bytes, and what was given is not: use Key.generate() or Key.load(path)."
            )
        return cls._of(bytes(secret))

    def to_bytes(self) -> bytes:
        """Return the 32 secret bytes; inverse of :meth:`from_bytes`."""
        return self._secret

    @classmethod
    def load(cls, path: str | os.PathLike[str], allow_loose_permissions: bool = False) -> Self:
        """Read a key file; inverse of :meth:`save`.

        Parameters
        ----------
        path : path
            The key file.
        allow_loose_permissions : bool
            Accept a file that other users of the machine may read.

        Raises
        ------
        KeyFileError
            If the file is missing, loose, damaged, cut, too large, or of another version; each is its own sentence.
        """
        return cls._of(read_key_file(path, allow_loose_permissions))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new text file that only its owner may read (mode 0600); inverse of :meth:`load`.

        Raises
        ------
        KeyFileError
            If the file exists already or cannot be written.
        """
        write_key_file(path, self._secret)

    @staticmethod
    def legacy(seed: int) -> LegacyKey:
        """Return the key that the published PrivDL code makes from an integer seed, for comparisons only."""
        return LegacyKey(seed)

    @property
    def id(self) -> str:
        """Public name of the key, 16 hexadecimal digits from HKDF under the label "key-id"."""
        return self._id

    def derive(self, label: str, nonce: bytes | None = None, length: int = 32, context: bytes = b"") -> bytes:
        r"""Derive independent secret bytes for one purpose.

        .. math:: \mathrm{HKDF}(key,\ \mathrm{salt} = nonce,\ \mathrm{info} = version \| label \| context \| kind)

        Every field of the info is preceded by its length, so no two purposes share an info; a missing nonce differs
        from every nonce.

        Parameters
        ----------
        label : str
            The purpose, such as "readout" or "layers".
        nonce : bytes, 16 long, optional
            The frame's nonce.
        length : int
            Number of bytes, 1 to 8160.
        context : bytes
            Whatever else decides the result, such as size, unit and pattern.

        Raises
        ------
        NonceError
            If the nonce is not 16 bytes.

        Notes
        -----
        RFC 5869.
        """
        salt = None if nonce is None else check_nonce(nonce)
        fields = (DERIVATION_VERSION, label.encode(), context, b"static" if nonce is None else b"nonce")
        info = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
        return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(self._secret)

    def __repr__(self) -> str:
        return f"Key(id={self._id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self._id)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Key never changes: make another one instead.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Key never changes: make another one instead.")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretPickleError(
            "a Key is not pickled, so that it cannot leak by accident: pass the path of its key file and use Key.load."
        )


def require_key(key: object, purpose: str) -> Key:
    """Return ``key`` if it is a `Key`.

    Raises
    ------
    MissingKeyError
        If it is None or something else; the sentence names `purpose`.
    """
    if isinstance(key, Key):
        return key
    given = "no key was given" if key is None else f"a {type(key).__name__} was given"
    raise MissingKeyError(
        f"{purpose} needs key=, a Key, and {given}: Key.load(path) reads one and Key.generate() makes one."
    )

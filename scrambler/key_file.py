"""The key file: a version line, the key in base64, and a checksum, for one pair of eyes only."""

import base64
import binascii
import os
import secrets
import stat
from hashlib import sha256
from pathlib import Path

from scrambler.errors import KeyFileError

KEY_BYTES = 32
_FAMILY = "shufflecam-key-"
_VERSION = _FAMILY + "v1"
_LARGEST_FILE_BYTES = 4096
_FILE_BYTES = len(_VERSION) + 1 + 44 + 1 + 16 + 1


def _encode(secret: bytes) -> str:
    body = f"{_VERSION}\n{base64.b64encode(secret).decode()}\n"
    return f"{body}{sha256(body.encode()).hexdigest()[:16]}\n"


def _decode(content: bytes, path: Path) -> bytes:
    """Return the secret; only the exact text that `_encode` writes is accepted."""
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileError(
            f"{path} is not a key file, it is not text: give the file that `shufflecam keygen` wrote."
        ) from None
    version = text.split("\n", 1)[0]
    if version != _VERSION:
        if version.startswith(_FAMILY) and text.count("\n") >= 2:
            raise KeyFileError(f"{path} is a key file of another version, or damaged: this program reads {_VERSION}.")
        raise KeyFileError(f"{path} is not a key file: its first line should be {_VERSION}.")
    if len(text) < _FILE_BYTES:
        raise KeyFileError(f"{path} is cut short: restore the key file from a copy.")
    try:
        secret = base64.b64decode(text.split("\n")[1], validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_BYTES or _encode(secret) != text:
        raise KeyFileError(f"{path} is damaged, its checksum does not match: restore the key file from a copy.")
    return secret


def read_key_file(path: str | os.PathLike[str], allow_loose_permissions: bool = False) -> bytes:
    """Return the 32 secret bytes of a key file; inverse of :func:`write_key_file`.

    Parameters
    ----------
    path : path
        The key file.
    allow_loose_permissions : bool
        Accept a file that other users of the machine may read.

    Raises
    ------
    KeyFileError
        If the file is missing, no regular file, readable by others, too large, not text, cut, damaged or of another
        version.
    """
    path = Path(path)
    try:
        # Without O_NONBLOCK a named pipe would make us wait for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise KeyFileError(f"the key file {path} does not exist: make one with `shufflecam keygen {path}`.") from None
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be opened: {error.strerror}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path} is not a regular file: give the file that `shufflecam keygen` wrote.")
        # Windows keeps no such bits; its files inherit the folder's access list.
        if os.name == "posix" and status.st_mode & 0o077 and not allow_loose_permissions:
            raise KeyFileError(f"other users can read the key file {path}: run `chmod 600 {path}`.")
        content = os.read(descriptor, _LARGEST_FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if not content:
        raise KeyFileError(f"the key file {path} is empty: restore it from a copy, or delete it and make a new key.")
    if len(content) > _LARGEST_FILE_BYTES:
        raise KeyFileError(f"{path} is too large for a key file: give the file that `shufflecam keygen` wrote.")
    return _decode(content, path)


def write_key_file(path: str | os.PathLike[str], secret: bytes) -> None:
    """Write 32 secret bytes to a new key file with mode 0600; inverse of :func:`read_key_file`.

    The text reaches the disk under a temporary name; then the final name is claimed (O_EXCL) and replaced in one step.

    Raises
    ------
    KeyFileError
        If the file exists already or cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    new_and_private = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(temporary, new_and_private, 0o600), "w", encoding="ascii", newline="") as file:
            file.write(_encode(secret))
            file.flush()
            os.fsync(file.fileno())
        os.close(os.open(path, new_and_private, 0o600))
        temporary.replace(path)
    except FileExistsError:
        raise KeyFileError(f"{path} exists already and a key is never overwritten: choose another name.") from None
    except OSError as error:
        raise KeyFileError(f"the key file {path} cannot be written: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)

"""Files that are either whole or not there."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_file(path: str | os.PathLike[str], mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file for writing under a temporary name in the same folder; rename it when the block ends well.

    Nobody ever sees half a file, and an error leaves nothing behind.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    mode : int
        Permissions before the process's mask is taken off.

    Raises
    ------
    OSError
        Naming ``path``, if the file cannot be made, written or renamed.

    Yields
    ------
    binary file
        Open for writing.
    """
    path = Path(path)
    # Names are at most 255 bytes long; the temporary one must not be the longer.
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        # The user gave this path, not the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file in one step: :func:`atomic_file` for content that is in memory."""
    with atomic_file(path) as file:
        file.write(content)

"""Files that are either whole or not there."""

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

_TEMPORARY = re.compile(r"\..{0,200}\.[0-9a-f]{16}\.shufflecam-tmp", re.DOTALL)


@contextmanager
def atomic_file(path: str | os.PathLike[str], mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a file for writing under a temporary name in the same folder; rename it when the block ends well.

    Nobody ever sees half a file, and an error leaves nothing behind. What a killed process leaves behind,
    :func:`sweep_temporaries` finds.

    Parameters
    ----------
    path : path
        Replaced if it exists. A slash at its end counts for nothing.
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
    target = os.fspath(path)
    folder, name = os.path.split(target)
    if not name:  # a slash at the end
        target = folder
        folder, name = os.path.split(target)
    # Names are at most 255 bytes long; the temporary one must not be the longer.
    start = os.fsencode(name)[:100].decode("utf-8", "ignore")
    temporary = os.path.join(folder, f".{start}.{secrets.token_hex(8)}.shufflecam-tmp")
    owner = -1
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                # A second handle, because the lock says that somebody is at work until the file has its name.
                owner = os.dup(handle)
                try_lock(owner)
                yield file
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        # The user gave this path, not the temporary one.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        if owner >= 0:
            os.close(owner)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file in one step: :func:`atomic_file` for content that is in memory."""
    with atomic_file(path) as file:
        file.write(content)


def try_lock(handle: int) -> bool:
    """Lock an open file for this process and those that inherit the handle; tell whether nobody else had it.

    The system lets go of the lock when the last process that has the handle closes it or dies, however it dies.
    File systems without locks and Windows, where it is not used, always answer yes.

    Parameters
    ----------
    handle : int
        File descriptor.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # this file system has no locks
            return True
    return True


def sweep_temporaries(folder: str | os.PathLike[str]) -> int:
    """Remove what :func:`atomic_file` left in a folder and below when its process was killed; return how many.

    A file is taken only if it has the name that `atomic_file` gives and no living process holds its lock.
    """
    swept = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            if _TEMPORARY.fullmatch(name) and is_abandoned(os.path.join(parent, name)):
                with suppress(OSError):
                    os.unlink(os.path.join(parent, name))
                    swept += 1
    return swept


def is_abandoned(path: str | os.PathLike[str]) -> bool:
    """Tell whether the process that locked a file or folder has ended; where there are no locks, that is unknown."""
    if sys.platform == "win32":
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return try_lock(handle)
    finally:
        os.close(handle)

"""The key of a job: workers get the path of its file and its public id, never its bytes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from shufflecam.jobs.errors import JobError

if TYPE_CHECKING:
    from scrambler import Key


@dataclass(frozen=True)
class JobKey:
    """Where a job's key lies, and which one it is.

    A path rather than bytes, because tasks travel as pickles, through pipes on this machine and through the scheduler
    of a cluster, where other people read along; the key file has permissions of its own. The id holds a job to one
    key: a worker that finds another key in the file refuses it.

    Attributes
    ----------
    path : str
        The key file, absolute.
    id : str
        Public id of the key that the job began with.
    """

    path: str
    id: str

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a key file and remember which key it holds; errors as for :meth:`scrambler.Key.load`."""
        from scrambler import Key

        return cls(os.path.abspath(path), Key.load(path).id)

    def load(self) -> "Key":
        """Read the key again.

        Raises
        ------
        KeyFileError
            If the file is gone or damaged.
        JobError
            If it holds another key by now.
        """
        from scrambler import Key

        key = Key.load(self.path)
        if key.id != self.id:
            raise JobError(
                f"the key file {self.path} was replaced during the job: it holds key {key.id}, and the job began with "
                f"{self.id}; put that key back, or run the command again to do everything under the new one"
            )
        return key


class KeyWatch:
    """Notices that the key file of a running job was replaced or taken away, for the price of one look at its date.

    Parameters
    ----------
    key : JobKey or None
        None watches nothing.
    """

    def __init__(self, key: JobKey | None) -> None:
        self._key = key
        self._seen = self._look()

    def _look(self) -> tuple[int, int, int] | None:
        if self._key is None:
            return None
        try:
            status = os.stat(self._key.path)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Go on if the file is as it was, or holds the same key still; errors as for :meth:`JobKey.load`."""
        now = self._look()
        if self._key is not None and (now is None or now != self._seen):
            self._key.load()
            self._seen = now

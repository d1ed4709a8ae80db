"""What a job does to one input, and what one input became."""

import hashlib
import os
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from errno import EDQUOT, ENOSPC, EROFS
from pathlib import Path
from typing import Any, ClassVar

from scrambler.files import atomic_file
from shufflecam.inputs import Input, folder_of, named
from shufflecam.jobs.errors import JobError
from shufflecam.jobs.job_key import JobKey

State = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds; of a folder, the sum and the latest of its files."""

_NO_ROOM = {
    ENOSPC: "there is no room left; make some",
    EDQUOT: "the quota is used up; make room",
    EROFS: "the file system is read-only; make it writable",
}


@dataclass(frozen=True)
class Made:
    """What one input became.

    Attributes
    ----------
    output : Path or None
        The file written, or the folder of a video's frames; None where a verb only tells something.
    nonce : bytes or None
        The frame's, where there is one.
    facts : mapping
        JSON values: what a verb has to tell, such as a label.
    digest : str
        SHA-256 of the output where the verb knows it, from :func:`shufflecam.jobs.work.write_hashed`; empty where
        the file is to be read again.
    """

    output: Path | None = None
    nonce: bytes | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""


Do = Callable[[Input, Path], Made]


@dataclass(frozen=True, kw_only=True)
class Work(ABC):
    """What a verb does to one input: a frozen dataclass of plain values, because it is pickled to reach workers.

    Attributes
    ----------
    key : JobKey or None
        The key, by its path.
    verb : str
        Name of the command.
    in_order : bool
        Inputs depend on each other, as releases do that share a privacy budget: one process does them all.
    """

    key: JobKey | None = None
    verb: ClassVar[str]

    @property
    def in_order(self) -> bool:
        """Whether one process must do all inputs."""
        return False

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """Return what decides the outputs besides key and input, as JSON values.

        A finished output is kept by a later run only if these are the same.
        """

    @abstractmethod
    def start(self) -> Do:
        """Load key, camera or network once in a process, and return the function that does one input.

        That function takes the input and the output folder. It makes the output's folder itself, right before it
        writes, and writes atomically.
        """


@dataclass(frozen=True)
class Outcome:
    """What came of one input in a worker; plain values, because it is pickled for every input of a job.

    Attributes
    ----------
    seconds : float
        Time that it took.
    output : str or None
        What was written, below the output folder, with ``/`` between folders.
    nonce : bytes or None
        The frame's, where there is one.
    facts : dict
        What the verb has to tell.
    error : str
        One sentence if it failed.
    stops_job : bool
        The next input would fail in the same way: a full disk, a lost key.
    digest : str
        SHA-256 of the output; of a folder, of its files' digests in the order of their names.
    before, after : State or None
        State of the input before it was read, and of the output.
    """

    seconds: float
    output: str | None = None
    nonce: bytes | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    stops_job: bool = False
    digest: str = ""
    before: State | None = None
    after: State | None = None


def attempt(do: Do, item: Input, out: Path) -> Outcome:
    """Do one input; whatever goes wrong is told, not raised."""
    begin = time.perf_counter()
    try:
        with named(item.path):
            if item.problem:
                raise JobError(item.problem)
            before = state_of(item.path)
            made = do(item, out)
            output, after, digest = None, None, ""
            if made.output is not None:
                output = "/".join(made.output.parts[len(out.parts) :])
                after, digest = state_of(made.output), made.digest or digest_of(made.output)
    except Exception as error:
        sentence, stops = _told(error, item.path)
        return Outcome(time.perf_counter() - begin, error=sentence, stops_job=stops)
    seconds = time.perf_counter() - begin
    return Outcome(seconds, output, made.nonce, dict(made.facts), digest=digest, before=before, after=after)


def _told(error: Exception, path: Path) -> tuple[str, bool]:
    """Return one sentence about an error, and whether it stops the job."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno in _NO_ROOM:
            return f"{error}: {_NO_ROOM[inner.errno]} and run the same command again", True
        inner = inner.__cause__ or inner.__context__
    sentence = str(error)
    if not isinstance(error, ValueError):  # named() lets through what no decoder should raise
        sentence = f"{path}: {type(error).__name__}: {sentence}"
    return " ".join(sentence.split("\n")), False


def write_hashed(path: Path, parts: Sequence[bytes | memoryview]) -> str:
    """Write an output in one step, in a folder made for it; return its SHA-256 without reading it again.

    Raises
    ------
    JobError
        Naming the file, if it cannot be written.
    """
    try:
        try:
            return _written(path, parts)
        except FileNotFoundError:  # looking for the folder first would take as long as a tenth of the writing
            with folder_of(path):
                return _written(path, parts)
    except OSError as error:
        raise JobError(f"{path}: cannot write the file ({error.strerror})") from error


def _written(path: Path, parts: Sequence[bytes | memoryview]) -> str:
    digest = hashlib.sha256()
    with atomic_file(path) as file:
        for part in parts:
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def files_of(path: Path) -> list[Path]:
    """Return a file, or the files in a folder by name."""
    return sorted(path.iterdir()) if path.is_dir() else [path]


def state_of(path: Path) -> State:
    """Return the state of a file, or of a folder's files."""
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    states = [os.stat(file) for file in files_of(path)]
    return sum(s.st_size for s in states), max((s.st_mtime_ns for s in states), default=0)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of its files' digests in the order of their names."""
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256("".join(digest_of(file) for file in files_of(path)).encode()).hexdigest()


def file_or_name(text: str) -> tuple[str, str]:
    """Return an option that names a file or something built in: as workers elsewhere find it, and its SHA-256.

    >>> file_or_name("imx477")
    ('imx477', '')
    """
    path = Path(text)
    if not path.is_file():
        return text, ""
    return os.path.abspath(path), digest_of(path)

"""The manifest: one line of JSON for each input that a job did, in ``manifest.jsonl`` in the output folder.

Lines are only ever added; of several lines with one ``name`` the last counts. A line that a killed job left unfinished
is skipped. Text is ASCII (JSON escapes), so every file name survives. Schema, version 1 (later versions may add
fields, and never change these):

================  =====================================================================================================
``format``        ``"shufflecam-manifest/1"``
``verb``          ``"capture"``, ``"protect"``, ``"reveal"``, ``"label"``, ``"show"``, ``"seal"`` or ``"open"``
``name``          the input's name in the output folder before the new ending, with ``/`` between folders
``input``         the input's absolute path
``output``        the output's path below the manifest's folder; a folder for a video's frames; null if there is none
``hash``          SHA-256 of the output in hexadecimal digits; of a folder, of its files' digests in the order of names
``key_id``        public id of the key; null without a key
``nonce``         the frame's nonce in hexadecimal digits; null where there is none or several
``parameters``    the settings that decided the output, an object; those of the verb's options
``facts``         what the verb has to tell, an object: ``label`` and ``probability``; ``frames`` of a video
``seconds``       time that the input took
``error``         null, or the one sentence that says why it failed; then output, hash and nonce are null
``input_state``   size in bytes and time of change in nanoseconds before the input was read; null if it failed
``output_state``  the same of the output
``finished``      time in UTC, ISO 8601
``version``       of ShuffleCam
================  =====================================================================================================
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from scrambler.files import try_lock
from shufflecam import __version__
from shufflecam.inputs import Input
from shufflecam.jobs.errors import JobError
from shufflecam.jobs.work import Outcome, Work, digest_of, state_of

MANIFEST = "manifest.jsonl"
FORMAT = "shufflecam-manifest/1"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of a manifest; the fields are those of the schema above."""

    verb: str
    name: str
    input: str
    output: str | None
    hash: str | None
    key_id: str | None
    nonce: str | None
    parameters: dict[str, Any]
    facts: dict[str, Any]
    seconds: float
    error: str | None
    input_state: list[int] | None
    output_state: list[int] | None
    finished: str
    version: str
    format: str = field(default=FORMAT)

    @classmethod
    def of(cls, work: Work, item: Input, outcome: Outcome) -> Self:
        """Return the record of an input's outcome."""
        return cls(
            verb=work.verb,
            name=item.name.as_posix(),
            input=os.path.abspath(item.path),
            output=outcome.output,
            hash=outcome.digest or None,
            key_id=None if work.key is None else work.key.id,
            nonce=None if outcome.nonce is None else outcome.nonce.hex(),
            parameters=work.parameters(),
            facts=outcome.facts,
            seconds=round(outcome.seconds, 6),
            error=outcome.error or None,
            input_state=None if outcome.before is None else list(outcome.before),
            output_state=None if outcome.after is None else list(outcome.after),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            version=__version__,
        )

    def holds(self, work: Work, out: Path, item: Input) -> bool:
        """Tell whether this input was finished with these settings, and is still as it was, and so is its output."""
        if self.error is not None or (self.verb, self.input) != (work.verb, os.path.abspath(item.path)):
            return False
        if self.key_id != (None if work.key is None else work.key.id) or self.parameters != work.parameters():
            return False
        try:
            if list(state_of(item.path)) != self.input_state:
                return False
            if self.output is None:
                return True
            output = out / self.output
            if list(state_of(output)) == self.output_state:
                return True
            # A copied folder has new dates; its bytes tell.
            return self.output_state is not None and digest_of(output) == self.hash
        except OSError:
            return False


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Record]:
    """Return the last record of every input of a folder, by name; empty where there is no manifest.

    Lines that cannot be read, and lines of later formats, are left out: what they stand for is simply done again.

    Parameters
    ----------
    folder : path
        The output folder of jobs.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return {}
    with path.open("rb") as file:
        return {record.name: record for record in _records(file)}


def _records(lines: BinaryIO) -> Iterator[Record]:
    known = {field.name for field in fields(Record)}
    settings: dict[str, Any] = {}
    for line in lines:
        try:
            said = json.loads(line)
            if said["format"] == FORMAT:
                # Alike from line to line, and the largest part: kept once.
                settings = said["parameters"] = settings if said["parameters"] == settings else said["parameters"]
                yield Record(**{name: said[name] for name in known})
        except (ValueError, KeyError, TypeError):
            continue


class Manifest:
    """The manifest of a running job: open, locked against other jobs, written line by line.

    Parameters
    ----------
    out : Path
        The output folder; made if missing.

    Raises
    ------
    JobError
        If another job is at work in this folder.
    OSError
        If folder or file cannot be written.
    """

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.path = out / MANIFEST
        self.file: BinaryIO = self.path.open("ab+", buffering=0)
        if not try_lock(self.file.fileno()):
            self.file.close()
            raise JobError(f"{out}: another job is writing into this folder; let it end, or give another --out")
        # A job that was killed may have left half a line.
        if self.file.seek(0, os.SEEK_END):
            self.file.seek(-1, os.SEEK_END)
            if self.file.read(1) != b"\n":
                self.file.write(b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.file.close()

    def add(self, records: list[Record]) -> None:
        """Write records, each a line; errors as for writing to a file, naming the manifest."""
        lines = b"".join(json.dumps(vars(record), ensure_ascii=True).encode() + b"\n" for record in records)
        try:
            written = self.file.write(lines)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        if written != len(lines):
            raise JobError(f"{self.path}: there is no room left; make some and run the same command again")

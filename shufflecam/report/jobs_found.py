"""The jobs of a folder, by their manifests."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scrambler.errors import ShuffleCamError
from shufflecam.jobs import MANIFEST, Record, read_manifest

_FIGURES = frozenset({".png", ".svg"})
_MOST_FIGURES, _MOST_FIGURE_BYTES = 24, 1 << 22


class ReportError(ShuffleCamError):
    """A folder that no report can be made of."""


@dataclass(frozen=True)
class Job:
    """What one folder's manifest says.

    Attributes
    ----------
    folder : Path
        Output folder.
    name : str
        Its path below the folder of the report; "." for that folder itself.
    records : tuple of Record
        One for each input, by name.
    """

    folder: Path
    name: str
    records: tuple[Record, ...]


def find_jobs(folder: Path) -> list[Job]:
    """Return the jobs whose manifests lie in a folder or anywhere below it, by name.

    Raises
    ------
    ReportError
        If it is no folder, or holds no manifest with an entry.
    """
    if not folder.is_dir():
        raise ReportError(f"{folder} is no folder; a report is made of the output folder of a job")
    jobs = []
    for place in _folders(folder):
        if (place / MANIFEST).is_file():
            records = read_manifest(place)
            if records:
                by_name = sorted(records.values(), key=lambda record: record.name)
                jobs.append(Job(place, place.relative_to(folder).as_posix(), tuple(by_name)))
    if not jobs:
        raise ReportError(
            f"{folder} holds no {MANIFEST}, nor does a folder below; capture, protect, label and the other verbs keep "
            "one when they work on a folder"
        )
    return jobs


def find_figures(folder: Path, jobs: list[Job]) -> list[tuple[str, Path]]:
    """Return the small PNG and SVG files of a folder that are figures: of `show`, or named in no manifest.

    Parameters
    ----------
    folder : Path
        Of the report.
    jobs : list of Job
        Found there.

    Returns
    -------
    list of (name, path)
        At most 24 of up to 4 MiB each.
    """
    outputs, figures = set[Path](), set[Path]()
    for job in jobs:
        for record in job.records:
            if record.output is not None:
                (figures if record.verb == "show" else outputs).add(job.folder / record.output)
    found = []
    for place in _folders(folder):
        # A video's output is a folder, and all of it belongs to the video.
        if place in outputs or any(above in outputs for above in place.parents):
            continue
        for path in sorted(place.iterdir()):
            is_figure = path.suffix.lower() in _FIGURES and path.is_file() and not path.name.startswith(".")
            if is_figure and path not in outputs and path.stat().st_size <= _MOST_FIGURE_BYTES:
                found.append((path.relative_to(folder).as_posix(), path))
    return found[:_MOST_FIGURES]


def _folders(folder: Path) -> Iterator[Path]:
    """Yield a folder and those below it, by name; no hidden ones, and no links."""
    for place, inner, _ in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield Path(place)

"""One HTML file of all jobs in a folder: numbers as JSON inside, pictures as data, and nothing loaded from anywhere."""

import base64
import json
import math
import platform
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler import Key
from scrambler.errors import WrongKeyError
from scrambler.files import write_atomically
from shufflecam import __version__
from shufflecam.inputs import folder_of
from shufflecam.jobs import Record
from shufflecam.report.jobs_found import Job, find_figures, find_jobs
from shufflecam.report.picture_views import Picture, PictureViews, ViewReader

_PAGE = Path(__file__).with_name("page.html")
_PLACE = "@DATA@"
_LOSSLESS_PX = 256
_JPEG_QUALITY = 88
_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
_LIBRARIES = ("numpy", "numba", "torch", "opencv-python-headless", "rawpy")


def write_report(
    path: Path,
    folder: Path,
    key: Key | None = None,
    most: int = 24,
    side_px: int = 640,
    on_picture: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Write the report of every job in a folder and below, atomically.

    The file never holds a key. It holds plain pictures, so whoever gets it needs the right to see them.

    Parameters
    ----------
    path : Path
        The HTML file; its folder is made if missing.
    folder : Path
        Output folder of a job, or one that holds several: a study.
    key : Key, optional
        Adds the revealed pictures of frames that no `reveal` job has.
    most : int
        How many inputs the viewer shows, evenly spread; all are in the table.
    side_px : int
        Longest side of the pictures inside; a protected one keeps every n-th pixel, because averages would be grey.
    on_picture : callable, optional
        Called with the number of pictures done, and of all.

    Returns
    -------
    dict
        ``jobs``, ``inputs``, ``failed``, ``pictures`` and ``figures``: how many the report has.

    Raises
    ------
    ReportError
        If there is no manifest.
    WrongKeyError
        If the key opens none of the pictures because it is another one.
    """
    jobs = find_jobs(folder)
    entries = [(job, record) for job in jobs for record in job.records]
    rows = [_row(job, record) for job, record in entries]
    views: list[dict[str, Any]] = []
    if most:
        shown = [n for n, (_, record) in enumerate(entries) if record.error is None and record.verb != "show"]
        shown = [shown[place * len(shown) // min(most, len(shown))] for place in range(min(most, len(shown)))]
        reader, wrong, revealed = ViewReader(key), 0, 0
        for done, number in enumerate(shown, 1):
            seen = reader.read(*entries[number])
            wrong, revealed = wrong + seen.wrong_key, revealed + (seen.revealed is not None)
            rows[number] |= {name: _number(value) for name, value in seen.metrics.items()} | {"view": len(views)}
            views.append(_view(rows[number]["name"], seen, side_px))
            if on_picture is not None:
                on_picture(done, len(shown))
        if wrong and not revealed:
            ids = sorted({record.key_id for _, record in entries if record.key_id is not None})
            raise WrongKeyError(f"{folder}: the key given opens none of these pictures; give key {' or '.join(ids)}")
    figures = [
        {"name": name, "picture": _data(figure.read_bytes(), _TYPES[figure.suffix.lower()])}
        for name, figure in find_figures(folder, jobs)
    ]
    said = {
        "title": folder.resolve().name,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "secret": any(view["plain"] or view["revealed"] for view in views),
        "versions": {"shufflecam": __version__, "python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
        "jobs": [_summary(job) for job in jobs],
        "rows": rows,
        "views": views,
        "figures": figures,
    }
    # "<" as an escape: a file name must not end the script element.
    island = json.dumps(said, allow_nan=False).replace("<", "\\u003c")
    page = _PAGE.read_text(encoding="utf-8")
    assert page.count(_PLACE) == 1
    with folder_of(path):
        write_atomically(path, page.replace(_PLACE, island).encode("utf-8"))
    failed = sum(record.error is not None for _, record in entries)
    return {
        "jobs": len(jobs), "inputs": len(entries), "failed": failed, "pictures": len(views), "figures": len(figures),
    }  # fmt: skip


def _row(job: Job, record: Record) -> dict[str, Any]:
    return {
        "job": job.name, "verb": record.verb, "name": _readable(record.name), "seconds": record.seconds,
        "error": None if record.error is None else _readable(record.error.replace(record.input, record.name)),
        "label": record.facts.get("label"), "probability": record.facts.get("probability"),
        "key_id": record.facts.get("key_id") or record.key_id, "nonce": record.nonce, "hash": record.hash, "view": None,
    }  # fmt: skip


def _readable(text: str) -> str:
    """Return a text without lone surrogates, which stand for bytes of names that are no text."""
    return text.encode("utf-8", "backslashreplace").decode()


def _summary(job: Job) -> dict[str, Any]:
    """Return what one job's records have in common; several values where settings differed."""
    settings: dict[str, dict[str, None]] = {}  # the inner ones are ordered sets
    for record in job.records:
        for name, value in record.parameters.items():
            text = value if isinstance(value, str) else json.dumps(value)
            settings.setdefault(name, {})[text] = None
    failed = [record for record in job.records if record.error is not None]
    reasons = Counter((record.error or "").replace(record.input, "").strip(": ") for record in failed)
    labels = Counter(str(record.facts["label"]) for record in job.records if "label" in record.facts)
    return {
        "name": _readable(job.name),
        "verbs": sorted({record.verb for record in job.records}),
        "inputs": len(job.records),
        "failed": len(failed),
        "reasons": [[_readable(reason), count] for reason, count in reasons.most_common(10)],
        "labels": [list(pair) for pair in labels.most_common(10)],
        "seconds": round(sum(record.seconds for record in job.records), 3),
        "finished": max(record.finished for record in job.records),
        "keys": sorted({record.key_id for record in job.records if record.key_id is not None}),
        "versions": sorted({record.version for record in job.records}),
        "settings": {_readable(name): [_readable(text) for text in texts] for name, texts in settings.items()},
    }


def _number(value: float) -> float | str | None:
    """Return a number as JSON can hold it; equal pictures have an infinite ratio, which JavaScript reads as text."""
    if math.isnan(value):
        return None
    return "Infinity" if math.isinf(value) else round(value, 5)


def _view(name: str, seen: PictureViews, side_px: int) -> dict[str, Any]:
    return {
        "name": name,
        "plain": None if seen.plain is None else _embedded(_averaged(seen.plain, side_px)),
        "protected": None if seen.protected is None else _embedded(_thinned(seen.protected, side_px)),
        "revealed": None if seen.revealed is None else _embedded(_averaged(seen.revealed, side_px)),
        "notes": [_readable(note) for note in seen.notes],
    }


def _averaged(picture: Picture, side_px: int) -> NDArray[Any]:
    scale = side_px / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, round(scale * length)) for length in picture.shape[:2])
    small: NDArray[Any] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return small


def _thinned(picture: Picture, side_px: int) -> NDArray[Any]:
    step = -(-max(picture.shape[:2]) // side_px)
    return picture[::step, ::step]


def _embedded(picture: NDArray[Any]) -> str:
    """Return a picture as a data address: PNG if it is small, else JPEG."""
    small = max(picture.shape[:2]) <= _LOSSLESS_PX
    options = [] if small else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    done, encoded = cv2.imencode(".png" if small else ".jpg", np.ascontiguousarray(picture[:, :, ::-1]), options)
    assert done
    return _data(encoded.tobytes(), "image/png" if small else "image/jpeg")


def _data(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"

"""``shufflecam seal``: frames into encrypted and authenticated files."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, KeyFile, OutFolder, Resume, Scheduler, Seed

if TYPE_CHECKING:
    from sensor import RawFrame

FRAME_FORMAT = "shufflecam-frame/v1"


def seal(
    inputs: Annotated[list[Path], typer.Argument(help="RAW files, or folders of them.", metavar="IN...")],
    key: KeyFile,
    out: OutFolder,
    seed: Seed = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Seal frames for storage and transport: only their size and the key's id show, and every change is noticed.

    Frames in natural order are shuffled first, under the same key. IN.dng becomes DIR/IN.dng.sealed.

    Example: shufflecam seal shuffled/ --key door.key --out sealed
    """
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.inputs import RAW_FILES, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.verbs.seal import Seal

    job_key = JobKey.of(key)
    others = Counter[str]()
    items = expand(inputs, RAW_FILES, skip=out, others=others)
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    summary = run(Seal(key=job_key, seed=seed), items, out, settings)
    report(summary, f"frames in {out}, sealed with key {job_key.id}", others)


def frame_metadata(frame: "RawFrame") -> dict[str, Any]:
    """Return everything but the mosaic, as JSON values; inverse of :func:`frame_of`."""
    metadata: dict[str, Any] = {"format": FRAME_FORMAT}
    for field in fields(frame):
        value = getattr(frame, field.name)
        if field.name == "mosaic":
            continue
        if isinstance(value, bytes):
            value = value.hex()
        metadata[field.name] = value.tolist() if hasattr(value, "tolist") else value
    return metadata


def frame_of(mosaic: Any, metadata: dict[str, Any]) -> "RawFrame":
    """Return the frame that was sealed; inverse of :func:`frame_metadata`.

    Raises
    ------
    SealedFileError
        If the file holds something else than a frame.
    """
    from scrambler import SealedFileError
    from sensor import RawFrame

    attributes = dict(metadata)
    if attributes.pop("format", None) != FRAME_FORMAT or set(attributes) != _attribute_names():
        raise SealedFileError("this sealed file holds no frame: open it with scrambler.open_sealed.")
    if attributes["nonce"] is not None:
        attributes["nonce"] = bytes.fromhex(attributes["nonce"])
    return RawFrame(mosaic=mosaic, **attributes)


def _attribute_names() -> set[str]:
    from sensor import RawFrame

    return {field.name for field in fields(RawFrame)} - {"mosaic"}

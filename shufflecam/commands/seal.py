"""``shufflecam seal``: frames into encrypted and authenticated files."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, KeyFile, OutFolder, Resume, Scheduler, Seed


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

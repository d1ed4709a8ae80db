"""``shufflecam open``: sealed files back to shuffled DNGs."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, KeyFile, OutFolder, Resume, Scheduler

SEALED_FILES = frozenset({".sealed"})


def open_sealed(
    inputs: Annotated[list[Path], typer.Argument(help="Sealed files, or folders of them.", metavar="IN...")],
    key: KeyFile,
    out: OutFolder,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Open sealed files into shuffled DNGs, which `label` and `reveal` read.

    A file that was changed, cut or swapped in any place is refused whole. IN.sealed becomes DIR/IN.sealed.dng.

    Example: shufflecam open sealed/ --key door.key --out opened
    """
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.inputs import expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.verbs.open_sealed import Open

    work = Open(key=JobKey.of(key))
    others = Counter[str]()
    items = expand(inputs, SEALED_FILES, skip=out, others=others)
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    report(run(work, items, out, settings), f"frames in {out}, still shuffled under their keys", others)

"""``shufflecam reveal``: shuffled frames and protected pictures back to pictures, for the key holder."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, KeyFile, OutFolder, Resume, Scheduler


def reveal(
    inputs: Annotated[
        list[Path], typer.Argument(help="Shuffled DNGs, protected pictures, or folders of them.", metavar="IN...")
    ],
    key: KeyFile,
    out: OutFolder,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Develop shuffled frames into viewable pictures (8-bit sRGB PNG), and undo `shufflecam protect`.

    Example: shufflecam reveal shuffled/ --key door.key --out pictures
    """
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.inputs import RAW_FILES, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.protected_file import ENDINGS
    from shufflecam.verbs.reveal import Reveal

    work = Reveal(key=JobKey.of(key))
    others = Counter[str]()
    items = expand(inputs, RAW_FILES | ENDINGS, skip=out, others=others)
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    report(run(work, items, out, settings), f"pictures in {out}", others)

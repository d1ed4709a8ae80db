"""``shufflecam label``: shuffled frames to labels."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import (
    DryRun,
    FailFast,
    Jobs,
    Json,
    Model,
    OptionalKeyFile,
    Resume,
    Scheduler,
)


def label(
    inputs: Annotated[
        list[Path], typer.Argument(help="RAW frames, protected pictures, or folders of them.", metavar="IN...")
    ],
    key: OptionalKeyFile = None,
    model: Model = "cifar10-airbench94",
    as_json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Keep the labels in DIR/manifest.jsonl, to resume a long job.", metavar="DIR"),
    ] = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Label frames straight from their shuffled pixels; no picture is put together on the way.

    Frames in natural order are labelled too, without a key. Pictures that `shufflecam protect` wrote are read under
    every scheme that folds into the network, as they are.

    Example: shufflecam label shuffled/ --key door.key
    """
    from scrambler.errors import ShuffleCamError
    from shufflecam.commands.running import report, run
    from shufflecam.console import print_table, shown
    from shufflecam.inputs import RAW_FILES, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.jobs.work import file_or_name
    from shufflecam.protected_file import ENDINGS, is_protected
    from shufflecam.verbs.label import LabelFrames

    name, digest = file_or_name(model)
    work = LabelFrames(key=None if key is None else JobKey.of(key), model=name, model_hash=digest)
    others, items = Counter[str](), []
    for item in expand(inputs, RAW_FILES | ENDINGS, skip=out, others=others):
        ending = item.path.suffix.lower()
        # Folders may hold other pictures, too; a picture that was named is taken at its word.
        if item.path in inputs or ending not in ENDINGS or item.problem or is_protected(item.path):
            items.append(item)
        else:
            others[ending] += 1
    if not items:
        raise ShuffleCamError(
            f"{inputs[0]} holds no RAW file and no picture that `shufflecam protect` wrote; "
            "plain pictures are captured or protected first"
        )
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=out is not None,
    )  # fmt: skip
    summary = run(work, items, out, settings)
    by_name = {record.name: record.facts for record in summary.kept + summary.done}
    rows = [(item.path, by_name[item.name.as_posix()]) for item in items if item.name.as_posix() in by_name]
    if as_json:
        for path, facts in rows:
            typer.echo(json.dumps({"file": str(path), **facts}))
    elif rows:
        # The path comes last: it may be long, and must not squeeze the label.
        cells = [
            (facts["label"], f"{facts['probability']:.3f}", facts["key_id"] or "natural order", shown(str(path)))
            for path, facts in rows
        ]
        print_table(("label", "probability", "key id", "frame"), cells)
    report(summary, others=others)

"""``shufflecam protect``: pictures and videos under any published protection."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import (
    DryRun,
    FailFast,
    Jobs,
    OptionalKeyFile,
    OutFolder,
    Resume,
    Scheduler,
    Seed,
)

if TYPE_CHECKING:
    from shufflecam.jobs import Record


def protect(
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures, RAW files, videos, or folders of them.", metavar="IN...")
    ],
    scheme_name: Annotated[str, typer.Option("--scheme", help="See `shufflecam schemes`.", metavar="NAME")],
    out: OutFolder,
    key: OptionalKeyFile = None,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", help="A parameter of the scheme; can be given again.", metavar="NAME=VALUE"),
    ] = None,
    seed: Seed = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Protect pictures by a published scheme, for `shufflecam reveal` to undo where the scheme allows it.

    IN.jpg becomes DIR/IN.jpg.png, or DIR/IN.jpg.tif where values leave 16 bits; both hold nonce, parameters, and
    a tag by which `reveal` and `label` notice changes. RAW files are developed first. A video becomes a folder.

    Example: shufflecam protect photos/ --scheme etc --key door.key --param block=8 --out protected
    """
    from scrambler.schemes import NoisyScheme
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.console import stderr
    from shufflecam.inputs import PICTURES, RAW_FILES, VIDEOS, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.named_scheme import named_scheme
    from shufflecam.parameters import read_parameter
    from shufflecam.usage import UsageError, usage
    from shufflecam.verbs.protect import Protect

    job_key = None if key is None else JobKey.of(key)
    secret = None if job_key is None else job_key.load()
    with usage():
        parameters = dict(read_parameter(text) for text in param or [])
        protection = named_scheme(scheme_name, secret, parameters)
    card = protection.card
    if card.keyed and job_key is None:
        raise UsageError(f"scheme {scheme_name!r} needs a key: give --key FILE, made by `shufflecam keygen`")
    work = Protect(
        key=job_key if card.keyed else None, scheme=scheme_name, options=tuple(parameters.items()), seed=seed,
        accounted=isinstance(protection, NoisyScheme),
    )  # fmt: skip
    items = expand(inputs, PICTURES | RAW_FILES | VIDEOS, skip=out)
    if card.strength in ("weak", "broken"):
        stderr.print(f"scheme {scheme_name} is {card.strength}: {card.attacks}")
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    summary = run(work, items, out, settings)
    if work.accounted:
        _print_account(summary.done)
    under = "" if work.key is None else f" under key {work.key.id}"
    report(summary, f"pictures in {out}, protected by {scheme_name}{under}")


def _print_account(records: "list[Record]") -> None:
    """Print what the releases of this run are worth, and what they add up to."""
    from shufflecam.console import stdout

    guaranteed = [record.facts for record in records if "guarantee" in record.facts]
    for said, count in Counter(facts["guarantee"] for facts in guaranteed).items():
        stdout.print(f"{count} released with {said}")
    if guaranteed:
        last = guaranteed[-1]
        stdout.print(
            f"in all: epsilon {last['epsilon_most_on_one_image']:g} on the picture released most often, "
            f"{last['epsilon_total']:g} if all pictures show one subject"
        )

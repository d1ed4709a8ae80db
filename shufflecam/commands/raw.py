"""``shufflecam raw``: headerless raw files in and out."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, OutFolder, Resume, Scheduler


def raw(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="RAW files; with --size, headerless ones; or folders of them.", metavar="IN..."),
    ],
    out: OutFolder,
    packing: Annotated[str, typer.Option("--packing", help="mipi (RAW10, RAW12, ...), words or dense.")] = "mipi",
    size: Annotated[str | None, typer.Option("--size", help="Of headerless frames.", metavar="WIDTHxHEIGHT")] = None,
    pattern: Annotated[str, typer.Option("--pattern", help="Colour filter of headerless frames.")] = "RGGB",
    bits: Annotated[int, typer.Option("--bits", help="Resolution of headerless frames.")] = 10,
    black: Annotated[float, typer.Option("--black", help="Black level of headerless frames.")] = 0.0,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Turn headerless raw files into DNG, or RAW files into headerless ones.

    With --size, IN is packed rows and becomes DIR/IN.dng; a stream of several frames becomes DIR/IN/000000.dng and so
    on. Without, IN is a RAW file and becomes DIR/IN.bin, which holds codes only: keep a shuffled frame's DNG too,
    because its nonce is there.

    Example: shufflecam raw frame.bin --size 4056x3040 --bits 12 --out dng
    """
    from sensor.cfa import cfa_tile
    from sensor.headerless import frame_size_octets
    from sensor.mipi_packing import PACKINGS
    from shufflecam.commands.frame_size import frame_size
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.inputs import RAW_FILES, expand
    from shufflecam.jobs import Settings
    from shufflecam.jobs.work import Work
    from shufflecam.usage import UsageError, usage
    from shufflecam.verbs.raw import HEADERLESS, Pack, Unpack

    work: Work
    if size is None:
        if packing not in PACKINGS:
            raise UsageError(f"there is no packing {packing!r}: choose one of {', '.join(PACKINGS)}")
        work = Pack(packing=packing)
    else:
        shape = frame_size(size)
        with usage():
            frame_size_octets(shape, bits, packing)
            cfa_tile(pattern)
        work = Unpack(shape=shape, cfa=pattern, bits=bits, packing=packing, black_level=black)
    items = expand(inputs, RAW_FILES if size is None else HEADERLESS, skip=out)
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    report(run(work, items, out, settings), f"files in {out}")

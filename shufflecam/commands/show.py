"""``shufflecam show``: what each party sees of a frame, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, OptionalKeyFile, Resume, Scheduler, Sensor

if TYPE_CHECKING:
    from shufflecam.inputs import Input
    from shufflecam.verbs.show import Show

_MOST_ROWS = 8


def show(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, RAW frames, or folders of them.", metavar="IN...")],
    out: Annotated[
        Path, typer.Option("--out", help="One figure, a PNG; or a folder for a figure of each.", metavar="FIGURE.png")
    ],
    key: OptionalKeyFile = None,
    sensor: Sensor = "imx477",
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Draw each frame as the plain picture, as the camera delivers it, with the key and with a wrong key.

    A picture is captured first, under the key given or a fresh one. A shuffled frame shows what its file gives:
    without --key only the shuffled view. A name without an ending is a folder, for one figure of each input.

    Example: shufflecam show shuffled/cat.jpg.dng --key door.key --out cat.png
    """
    from scrambler.errors import ShuffleCamError
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.inputs import PICTURES, RAW_FILES, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.jobs.work import file_or_name
    from shufflecam.verbs.show import Show

    if out.suffix and out.suffix.lower() != ".png" and not out.is_dir():
        raise ShuffleCamError(f"{out}: the figure is a PNG, give a name that ends in .png, or a folder's")
    job_key = None if key is None else JobKey.of(key)
    name, digest = file_or_name(sensor)
    work = Show(key=job_key, sensor=name, sensor_hash=digest)
    if out.suffix.lower() == ".png" and not out.is_dir():
        _one_sheet(work, expand(inputs, PICTURES | RAW_FILES), out)
        return
    items = expand(inputs, PICTURES | RAW_FILES, skip=out)
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    report(run(work, items, out, settings), f"figures in {out}")


def _one_sheet(work: "Show", items: "list[Input]", out: Path) -> None:
    """Draw all inputs into one figure, a row each."""
    from scrambler.errors import ShuffleCamError
    from sensor import Camera
    from shufflecam.console import stdout
    from shufflecam.figures import write_figure
    from shufflecam.inputs import folder_of, named
    from shufflecam.sources import natural_frame
    from shufflecam.verbs.show import views

    if len(items) > _MOST_ROWS:
        raise ShuffleCamError(
            f"{len(items)} frames do not fit one figure; give {_MOST_ROWS} or fewer, or a folder's name as --out"
        )
    secret, camera = None if work.key is None else work.key.load(), Camera(work.sensor)
    rows = []
    for item in items:
        with named(item.path):
            rows.append(views(natural_frame(item.path, camera), item.path.name, secret))
    with folder_of(out):
        write_figure(out, rows, histograms=True)
    stdout.print(f"wrote {out}")

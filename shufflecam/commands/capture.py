"""``shufflecam capture``: pictures, RAW files and videos to shuffled DNGs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import (
    DryRun,
    FailFast,
    Jobs,
    KeyFile,
    OutFolder,
    Resume,
    Scheduler,
    Seed,
    Sensor,
    camera_seed,
)

if TYPE_CHECKING:
    from shufflecam.inputs import Input


def capture(
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures, RAW files, videos, or folders of them.", metavar="IN...")
    ],
    key: KeyFile,
    out: OutFolder,
    sensor: Sensor = "imx477",
    exposure: Annotated[
        float | None,
        typer.Option(
            "--exposure", help="Seconds, 0.01 by default: there the picture's white just saturates.", min=0, max=1e5
        ),
    ] = None,
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern", help="frame, or a weak one: rows, columns, rows+columns, lines:L, tiles:T, blocks:T."
        ),
    ] = "frame",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    stage: Annotated[
        str, typer.Option("--stage", help="post-adc (codes move) or pre-adc (voltages move, converters stay).")
    ] = "post-adc",
    gain: Annotated[float, typer.Option("--gain", help="Amplifier gain, times base gain.")] = 1.0,
    light: Annotated[
        str | None,
        typer.Option("--light", help="Another lamp: D50, A, 3200K, ...; for sensors with spectral_qe.", metavar="LAMP"),
    ] = None,
    lens: Annotated[
        str | None,
        typer.Option("--lens", help="blur_px=1.5,falloff=0.3, psf=spot.png, red_shift_px=..., ...", metavar="LENS"),
    ] = None,
    motion: Annotated[
        bool,
        typer.Option("--motion", help="Videos: each row sees the moments of its own exposure, as the shutter has it."),
    ] = False,
    hdr: Annotated[
        str | None,
        typer.Option(
            "--hdr",
            help="Exposures to merge into one frame of 16 bits, instead of --exposure: 0.001,0.01.",
            metavar="SECONDS,...",
        ),
    ] = None,
    seed: Seed = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Capture pictures with a simulated sensor that shuffles its readout; shuffle RAW files after the fact.

    Each frame gets a fresh nonce. IN.jpg becomes DIR/IN.jpg.dng, which RAW software opens: it shows noise. A video
    becomes a folder of such frames. DIR/manifest.jsonl lists them; the same command again goes on where it stopped.

    Example: shufflecam capture photos/ --key door.key --sensor imx477 --out shuffled
    """
    from scrambler import Multiplexer
    from sensor import Camera, sensor_preset
    from sensor.params import REFERENCE_EXPOSURE_S
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.console import stderr
    from shufflecam.inputs import PICTURES, RAW_FILES, VIDEOS, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.jobs.work import file_or_name
    from shufflecam.optics import scene_optics
    from shufflecam.usage import usage
    from shufflecam.verbs.capture import Capture

    exposures = _exposures(hdr, exposure, stage, motion)
    if motion:
        _check_rows_stay_whole(stage, pattern, unit)
    name, digest = file_or_name(sensor)
    work = Capture(
        key=JobKey.of(key), sensor=name, sensor_hash=digest,
        exposure_s=REFERENCE_EXPOSURE_S if exposure is None else exposure, pattern=pattern, unit=unit, stage=stage,
        gain=gain, light=light, lens=lens, motion=motion, hdr=exposures, seed=seed, camera_seed=camera_seed(seed),
    )  # fmt: skip
    assert work.key is not None
    params, secret = sensor_preset(sensor), work.key.load()
    scene_optics(light, lens, params)
    with usage():
        multiplexer = Multiplexer(secret, pattern=pattern, unit=unit)
        Camera(params, multiplexer, gain=gain, stage=stage)
    items = expand(inputs, PICTURES | RAW_FILES | VIDEOS, skip=out)
    if motion:
        _check_videos(items)
    if pattern != "frame":
        stderr.print(f"pattern {pattern} is weak: {multiplexer.leak}")
    settings = Settings(
        jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
        manifest=is_job(inputs, out),
    )  # fmt: skip
    report(run(work, items, out, settings), f"frames in {out}, shuffled under key {work.key.id}")


def _check_rows_stay_whole(stage: str, pattern: str, unit: str) -> None:
    """Refuse readouts in which the photosites of a row are not exposed together."""
    from shufflecam.usage import UsageError

    # The colour planes of one row are ordered apart; their columns alone leave rows together.
    whole = pattern == "columns" or (pattern in ("rows", "rows+columns") and unit != "plane")
    if stage != "post-adc" and not whole:
        raise UsageError(
            "--motion before the converters needs a pattern that keeps rows together: rows, columns or rows+columns, of"
            " unit pixel or quad; or capture with --stage post-adc"
        )


def _check_videos(items: "list[Input]") -> None:
    """Refuse inputs that do not move."""
    from scrambler.errors import ShuffleCamError
    from shufflecam.videos import is_video

    for item in items:
        if not is_video(item.path):
            raise ShuffleCamError(f"{item.path} is no video, and --motion is for videos: leave out one of them")


def _exposures(text: str | None, exposure_s: float | None, stage: str, motion: bool) -> tuple[float, ...]:
    """Return the exposure times of ``--hdr``."""
    from shufflecam.usage import UsageError

    if text is None:
        return ()
    if exposure_s is not None:
        raise UsageError("--hdr gives the exposures itself: leave out --exposure")
    if motion or stage != "post-adc":
        raise UsageError("--hdr merges codes of one still scene; leave out --motion, and keep --stage post-adc")
    try:
        times = tuple(float(part) for part in text.split(","))
    except ValueError:
        times = ()
    if len(times) < 2 or not all(0 < time < 1e5 for time in times):
        raise UsageError(f"--hdr takes two or more exposures in seconds, such as 0.001,0.01, got {text!r}")
    return times

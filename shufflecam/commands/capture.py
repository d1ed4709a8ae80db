"""``shufflecam capture``: pictures and RAW files to shuffled DNGs."""

import os
from pathlib import Path
from typing import Annotated
from zlib import crc32

import typer

from shufflecam.commands.options import KeyFile, OutFolder, Seed, Sensor, camera_seed


def capture(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, RAW files, or folders of them.", metavar="IN...")],
    key: KeyFile,
    out: OutFolder,
    sensor: Sensor = "imx477",
    exposure: Annotated[
        float, typer.Option("--exposure", help="Seconds; at 0.01 the picture's white just saturates.")
    ] = 0.01,
    pattern: Annotated[
        str,
        typer.Option(
            "--pattern", help="frame, or a weak one: rows, columns, rows+columns, lines:L, tiles:T, blocks:T."
        ),
    ] = "frame",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    seed: Seed = None,
) -> None:
    """Capture pictures with a simulated sensor that shuffles its readout; shuffle RAW files after the fact.

    Each frame gets a fresh nonce. IN.jpg becomes DIR/IN.jpg.dng, which RAW software opens: it shows noise.

    Example: shufflecam capture photos/ --key door.key --sensor imx477 --out shuffled
    """
    from scrambler import Key, Multiplexer, seeded_nonce
    from sensor import Camera
    from shufflecam.commands.results import report
    from shufflecam.console import stderr
    from shufflecam.inputs import PICTURES, RAW_FILES, Input, expand, folder_of, for_each
    from shufflecam.sources import natural_frame

    secret = Key.load(key)
    multiplexer = Multiplexer(secret, pattern=pattern, unit=unit)
    camera = Camera(sensor, seed=camera_seed(seed))
    items = expand(inputs, PICTURES | RAW_FILES, skip=out)
    if pattern != "frame":
        stderr.print(f"pattern {pattern} is weak: {multiplexer.leak}")

    def work(item: Input) -> None:
        where = os.fsencode(item.path.resolve())
        nonce = None if seed is None else seeded_nonce(secret, seed, where.hex())
        # The noise, too, follows from the path alone, whatever other files the folder holds.
        natural = natural_frame(item.path, camera, exposure_s=exposure, frame=crc32(where))
        target = item.output(out, ".dng")
        with folder_of(target):
            natural.shuffle(multiplexer, nonce=nonce).save(target)

    failures = for_each(items, work, "capturing")
    report(len(items), failures, f"frames in {out}, shuffled under key {secret.id}")

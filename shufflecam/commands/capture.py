"""``shufflecam capture``: pictures and RAW files to shuffled DNGs."""

from itertools import count
from pathlib import Path
from typing import Annotated

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
    pattern: Annotated[str, typer.Option("--pattern", help="frame, rows, columns, rows+columns or tiles:T.")] = "frame",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    seed: Seed = None,
) -> None:
    """Capture pictures with a simulated sensor that shuffles its readout; shuffle RAW files after the fact.

    Each frame gets a fresh nonce. IN.jpg becomes DIR/IN.jpg.dng, which RAW software opens: it shows noise.

    Example: shufflecam capture photos/ --key door.key --sensor imx477 --out shuffled
    """
    from scrambler import Key, Multiplexer, seeded_nonce
    from sensor import Camera, RawFrame, Scene
    from shufflecam.commands.results import report_failures
    from shufflecam.console import stdout
    from shufflecam.inputs import PICTURES, RAW_FILES, Input, expand, folder_of, for_each

    secret = Key.load(key)
    multiplexer = Multiplexer(secret, pattern=pattern, unit=unit)
    camera = Camera(sensor, multiplexer=multiplexer, seed=camera_seed(seed))
    items = expand(inputs, PICTURES | RAW_FILES)
    numbers = count()

    def work(item: Input) -> None:
        name = item.name.as_posix()
        nonce = None if seed is None else seeded_nonce(secret, seed, name)
        if item.path.suffix.lower() in RAW_FILES:
            frame = RawFrame.load(item.path).shuffle(multiplexer, nonce=nonce)
        else:
            frame = camera.capture(Scene.from_image(item.path), exposure_s=exposure, frame=next(numbers), nonce=nonce)
        target = item.output(out, ".dng")
        with folder_of(target):
            frame.save(target)

    failures = for_each(items, work, "capturing")
    stdout.print(f"{len(items) - len(failures)} frames in {out}, shuffled under key {secret.id}")
    report_failures(failures)

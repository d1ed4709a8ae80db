"""``shufflecam show``: what each party sees of a frame, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import OptionalKeyFile, Sensor

if TYPE_CHECKING:
    from scrambler import Key
    from sensor import RawFrame
    from shufflecam.figures import Panel

_MOST_ROWS = 8


def show(
    inputs: Annotated[list[Path], typer.Argument(help="Pictures, RAW frames, or folders of them.", metavar="IN...")],
    out: Annotated[Path, typer.Option("--out", help="The figure, a PNG.", metavar="FIGURE.png")],
    key: OptionalKeyFile = None,
    sensor: Sensor = "imx477",
) -> None:
    """Draw each frame as the plain picture, as the camera delivers it, with the key and with a wrong key.

    A picture is captured first, under the key given or a fresh one. A shuffled frame shows what its file gives:
    without --key only the shuffled view.

    Example: shufflecam show shuffled/cat.jpg.dng --key door.key --out cat.png
    """
    from scrambler import Key
    from scrambler.errors import ShuffleCamError
    from sensor import Camera
    from shufflecam.console import stdout
    from shufflecam.figures import write_figure
    from shufflecam.inputs import PICTURES, RAW_FILES, expand, folder_of, named
    from shufflecam.sources import natural_frame

    if out.suffix.lower() != ".png":
        raise ShuffleCamError(f"{out}: the figure is a PNG, give a name that ends in .png")
    items = expand(inputs, PICTURES | RAW_FILES)
    if len(items) > _MOST_ROWS:
        raise ShuffleCamError(f"{len(items)} frames do not fit one figure; give {_MOST_ROWS} or fewer")
    secret = None if key is None else Key.load(key)
    camera = Camera(sensor)
    rows = []
    for item in items:
        with named(item.path):
            rows.append(_views(natural_frame(item.path, camera), item.path.name, secret))
    with folder_of(out):
        write_figure(out, rows, histograms=True)
    stdout.print(f"wrote {out}")


def _views(frame: "RawFrame", name: str, key: "Key | None") -> "list[Panel]":
    """Return the panels of one frame: those that can be drawn with what is known."""
    from scrambler import Key, Multiplexer
    from sensor import develop
    from shufflecam.chain import seen_without_key

    if not frame.is_shuffled:
        key = key or Key.generate()
        frame = frame.shuffle(Multiplexer(key))
    delivered = (f"{name}: as delivered", develop(seen_without_key(frame)))
    if key is None:
        return [delivered]
    plain = frame.unshuffle(key)
    return [
        ("plain", develop(plain)),
        delivered,
        ("with the key", develop(frame, key)),
        ("wrong key", develop(frame, Key.generate(), force=True)),
    ]

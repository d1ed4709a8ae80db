"""``shufflecam chart``: test charts as pictures, to be captured."""

from pathlib import Path
from typing import Annotated

import typer


def chart(
    name: Annotated[str, typer.Argument(help="flat, ramp, slanted-edge, colour-checker or star.", metavar="NAME")],
    out: Annotated[Path, typer.Option("--out", help="The picture, a PNG.", metavar="CHART.png")],
    size: Annotated[str, typer.Option("--size", help="Of the picture.", metavar="WIDTHxHEIGHT")] = "640x480",
) -> None:
    """Draw a test chart as a 16-bit sRGB picture; `shufflecam capture` takes it as any other.

    Example: shufflecam chart slanted-edge --out edge.png
    """
    import cv2
    import numpy as np

    from scrambler.errors import ShuffleCamError
    from scrambler.files import write_atomically
    from sensor import CHARTS, srgb_encode
    from shufflecam.commands.frame_size import frame_size
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of
    from shufflecam.usage import UsageError, usage

    if name not in CHARTS:
        raise UsageError(f"there is no chart {name!r}; choose one of {', '.join(CHARTS)}")
    shape = frame_size(size)
    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: a chart is a PNG, give a name that ends in .png")
    with usage():
        scene = CHARTS[name](shape)
    codes = np.floor(srgb_encode(scene.light(0, scene.shape[0])) * 65535 + 0.5).astype(np.uint16)
    done, encoded = cv2.imencode(".png", codes if codes.ndim == 2 else codes[:, :, ::-1])
    if not done:
        raise ShuffleCamError(f"{out}: the chart could not be encoded as PNG")
    with folder_of(out):
        write_atomically(out, encoded.tobytes())
    stdout.print(f"wrote {out}", markup=False)

"""``shufflecam chart``: test charts as pictures, to be captured."""

from pathlib import Path
from typing import Annotated

import typer


def chart(
    name: Annotated[str, typer.Argument(help="flat, ramp, slanted-edge, colour-checker or star.", metavar="NAME")],
    out: Annotated[Path, typer.Option("--out", help="The picture, a PNG.", metavar="CHART.png")],
    size: Annotated[str, typer.Option("--size", help="Height and width in pixels.", metavar="HxW")] = "480x640",
) -> None:
    """Draw a test chart as a 16-bit sRGB picture; `shufflecam capture` takes it as any other.

    Example: shufflecam chart slanted-edge --out edge.png
    """
    import re

    import cv2
    import numpy as np

    from scrambler.errors import ShuffleCamError
    from scrambler.files import write_atomically
    from sensor import CHARTS, srgb_encode
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of
    from shufflecam.usage import UsageError, usage

    if name not in CHARTS:
        raise UsageError(f"there is no chart {name!r}; choose one of {', '.join(CHARTS)}")
    sides = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if sides is None:
        raise UsageError(f"--size is height x width, such as 480x640; got {size!r}")
    if out.suffix.lower() != ".png":
        raise UsageError(f"{out}: a chart is a PNG, give a name that ends in .png")
    with usage():
        scene = CHARTS[name]((int(sides[1]), int(sides[2])))
    codes = np.floor(srgb_encode(scene.light(0, scene.shape[0])) * 65535 + 0.5).astype(np.uint16)
    done, encoded = cv2.imencode(".png", codes if codes.ndim == 2 else codes[:, :, ::-1])
    if not done:
        raise ShuffleCamError(f"{out}: the chart could not be encoded as PNG")
    with folder_of(out):
        write_atomically(out, encoded.tobytes())
    stdout.print(f"wrote {out}", markup=False)

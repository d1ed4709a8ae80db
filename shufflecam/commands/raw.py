"""``shufflecam raw``: headerless raw files in and out."""

import re
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import OutFolder


def raw(
    inputs: Annotated[
        list[Path], typer.Argument(help="Headerless files (with --size), or RAW files.", metavar="IN...")
    ],
    out: OutFolder,
    packing: Annotated[str, typer.Option("--packing", help="mipi (RAW10, RAW12, ...), words or dense.")] = "mipi",
    size: Annotated[str | None, typer.Option("--size", help="Of headerless files.", metavar="WIDTHxHEIGHT")] = None,
    pattern: Annotated[str, typer.Option("--pattern", help="Colour filter of headerless files.")] = "RGGB",
    bits: Annotated[int, typer.Option("--bits", help="Resolution of headerless files.")] = 10,
    black: Annotated[float, typer.Option("--black", help="Black level of headerless files.")] = 0.0,
) -> None:
    """Turn headerless raw files into DNG, or RAW files into headerless ones.

    With --size, IN is packed rows and becomes DIR/IN.dng. Without, IN is a RAW file and becomes DIR/IN.bin, which
    holds codes only: keep a shuffled frame's DNG too, because its nonce is there.

    Example: shufflecam raw frame.bin --size 4056x3040 --pattern RGGB --bits 12 --packing mipi --out dng
    """
    from sensor.errors import RawFileError
    from sensor.headerless import read_headerless, write_headerless
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of
    from shufflecam.sources import read_frame

    sides = None if size is None else re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", size)
    if size is not None and sides is None:
        raise RawFileError(f"--size is WIDTHxHEIGHT, such as 4056x3040, got {size!r}")
    for path in inputs:
        if sides is None:
            target = out / f"{path.name}.bin"
            frame = read_frame(path)
            with folder_of(target):
                write_headerless(frame, target, packing)
        else:
            target = out / f"{path.name}.dng"
            shape = (int(sides[2]), int(sides[1]))
            frame = read_headerless(path, shape=shape, cfa=pattern, bits=bits, packing=packing, black_level=black)
            with folder_of(target):
                frame.save(target)
        stdout.print(f"{path} -> {target}", markup=False)

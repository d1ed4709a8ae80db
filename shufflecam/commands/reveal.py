"""``shufflecam reveal``: shuffled frames back to pictures, for the key holder."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import KeyFile, OutFolder


def reveal(
    inputs: Annotated[list[Path], typer.Argument(help="Shuffled DNGs or folders of them.", metavar="IN...")],
    key: KeyFile,
    out: OutFolder,
) -> None:
    """Develop shuffled frames into viewable pictures (8-bit sRGB PNG).

    Example: shufflecam reveal shuffled/ --key door.key --out pictures
    """
    from scrambler import Key
    from sensor import RawFrame, develop
    from shufflecam.commands.results import report_failures
    from shufflecam.console import stdout
    from shufflecam.inputs import RAW_FILES, Input, expand, folder_of, for_each
    from shufflecam.pictures import write_png

    secret = Key.load(key)
    items = expand(inputs, RAW_FILES)

    def work(item: Input) -> None:
        target = item.output(out, ".png")
        picture = develop(RawFrame.load(item.path), secret)
        with folder_of(target):
            write_png(target, picture)

    failures = for_each(items, work, "revealing")
    stdout.print(f"{len(items) - len(failures)} pictures in {out}")
    report_failures(failures)

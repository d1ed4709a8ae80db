"""``shufflecam reveal``: shuffled frames and protected pictures back to pictures, for the key holder."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import KeyFile, OutFolder


def reveal(
    inputs: Annotated[
        list[Path], typer.Argument(help="Shuffled DNGs, protected pictures, or folders of them.", metavar="IN...")
    ],
    key: KeyFile,
    out: OutFolder,
) -> None:
    """Develop shuffled frames into viewable pictures (8-bit sRGB PNG), and undo `shufflecam protect`.

    Example: shufflecam reveal shuffled/ --key door.key --out pictures
    """
    from scrambler import Key
    from sensor import develop
    from shufflecam.commands.results import report
    from shufflecam.inputs import RAW_FILES, Input, expand, folder_of, for_each
    from shufflecam.pictures import write_png
    from shufflecam.protected_file import ENDINGS, reveal_protected, save_picture
    from shufflecam.sources import read_frame

    secret = Key.load(key)
    items = expand(inputs, RAW_FILES | ENDINGS, skip=out)

    def work(item: Input) -> None:
        target = item.output(out, ".png")
        if item.path.suffix.lower() in ENDINGS:
            plain = reveal_protected(item.path, secret)
            with folder_of(target):
                save_picture(target, plain)
            return
        picture = develop(read_frame(item.path), secret)
        with folder_of(target):
            write_png(target, picture)

    failures = for_each(items, work, "revealing")
    report(len(items), failures, f"pictures in {out}")

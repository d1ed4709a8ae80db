"""``shufflecam open``: sealed files back to shuffled DNGs."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import KeyFile, OutFolder

SEALED_FILES = frozenset({".sealed"})


def open_sealed(
    inputs: Annotated[list[Path], typer.Argument(help="Sealed files, or folders of them.", metavar="IN...")],
    key: KeyFile,
    out: OutFolder,
) -> None:
    """Open sealed files into shuffled DNGs, which `label` and `reveal` read.

    A file that was changed, cut or swapped in any place is refused whole. IN.sealed becomes DIR/IN.sealed.dng.

    Example: shufflecam open sealed/ --key door.key --out shuffled
    """
    from scrambler import Key
    from scrambler import open_sealed as open_values
    from shufflecam.commands.results import report
    from shufflecam.commands.seal import frame_of
    from shufflecam.inputs import Input, expand, folder_of, for_each

    secret = Key.load(key)
    items = expand(inputs, SEALED_FILES, skip=out)

    def work(item: Input) -> None:
        unsealed = open_values(item.path, secret)
        frame = frame_of(unsealed.values, unsealed.metadata)
        target = item.output(out, ".dng")
        with folder_of(target):
            frame.save(target)

    failures = for_each(items, work, "opening")
    report(len(items), failures, f"frames in {out}, still shuffled under their keys")

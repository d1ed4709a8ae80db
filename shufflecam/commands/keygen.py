"""``shufflecam keygen``: make a key file."""

from pathlib import Path
from typing import Annotated

import typer


def keygen(file: Annotated[Path, typer.Argument(help="New key file; an existing one is never overwritten.")]) -> None:
    """Make a secret key, readable by you alone, and print its public id.

    Example: shufflecam keygen door.key
    """
    from scrambler import Key

    key = Key.generate()
    key.save(file)
    typer.echo(f"wrote {file} (key id {key.id}); whoever has this file can read the frames: keep it, and keep a copy")

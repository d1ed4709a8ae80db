"""Options that several verbs share, each said once."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

KeyFile = Annotated[Path, typer.Option("--key", help="Key file, made by `shufflecam keygen`.", metavar="FILE")]
OptionalKeyFile = Annotated[Path | None, typer.Option("--key", help="Key file of the frames.", metavar="FILE")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the results; made if missing.", metavar="DIR")]
Sensor = Annotated[str, typer.Option("--sensor", help="Preset name (see `shufflecam sensors`) or a TOML file.")]
Model = Annotated[str, typer.Option("--model", help="Trained network (see `shufflecam models`) or a weights file.")]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Fix noise and nonces by key, seed and input path: for tests and studies only."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def camera_seed(seed: int | None) -> int:
    """Return the seed of the simulated camera: the one given, or one that nobody can repeat."""
    return secrets.randbits(64) if seed is None else seed

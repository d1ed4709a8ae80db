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
    typer.Option(
        "--seed",
        help="Fix noise and nonces by key, seed and input path: for tests and studies only.",
        min=0,
        max=(1 << 64) - 1,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", help="Worker processes; default: one a core, none for a few small inputs.", min=1, metavar="N"
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Let the workers of this Dask scheduler do it; they need the same paths, the key file's too.",
        metavar="ADDRESS",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--overwrite", help="Keep what an earlier run finished with the same settings, or do it again."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first input that fails.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def camera_seed(seed: int | None) -> int:
    """Return the seed of the simulated camera: the one given, or one that nobody can repeat."""
    return secrets.randbits(64) if seed is None else seed

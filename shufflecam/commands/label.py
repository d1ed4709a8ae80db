"""``shufflecam label``: shuffled frames to labels."""

import json
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import Json, Model, OptionalKeyFile


def label(
    inputs: Annotated[list[Path], typer.Argument(help="RAW frames or folders of them.", metavar="IN...")],
    key: OptionalKeyFile = None,
    model: Model = "cifar10-airbench94",
    as_json: Json = False,
) -> None:
    """Label frames straight from their shuffled pixels; no picture is put together on the way.

    Frames in natural order are labelled too, without a key.

    Example: shufflecam label shuffled/ --key door.key
    """
    from scrambler import Key
    from shufflecam.chain import Label, Labeller
    from shufflecam.commands.results import report
    from shufflecam.console import print_table
    from shufflecam.inputs import RAW_FILES, Input, expand, for_each
    from shufflecam.sources import read_frame

    secret = None if key is None else Key.load(key)
    items = expand(inputs, RAW_FILES)
    labeller = Labeller.load(model)
    rows: list[tuple[Path, Label, str | None]] = []

    def work(item: Input) -> None:
        frame = read_frame(item.path)
        rows.append((item.path, labeller.label(frame, secret), frame.key_id))

    failures = for_each(items, work, "labelling")
    if as_json:
        for path, answer, key_id in rows:
            line = {"file": str(path), "label": answer.name, "probability": answer.probability, "key_id": key_id}
            typer.echo(json.dumps(line))
    elif rows:
        # The path comes last: it may be long, and must not squeeze the label.
        cells = [(a.name, f"{a.probability:.3f}", key_id or "natural order", str(p)) for p, a, key_id in rows]
        print_table(("label", "probability", "key id", "frame"), cells)
    report(len(items), failures)

"""``shufflecam evaluate``: accuracy with the key, with a wrong one and without, on shuffled CIFAR-10."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import Json, Model


def evaluate(
    model: Model = "cifar10-airbench94",
    images: Annotated[int | None, typer.Option(help="Only the first so many test images.", min=1)] = None,
    data: Annotated[Path | None, typer.Option(help="CIFAR-10 folder; default: cifar10 in SHUFFLECAM_DATA.")] = None,
    as_json: Json = False,
) -> None:
    """Shuffle every CIFAR-10 test image under a fresh nonce and compare the keyed network with the plain one.

    Example: shufflecam evaluate
    """
    from rich.progress import Progress

    from networks import LabelledImages, load_cifar10, load_network
    from networks import evaluate as evaluate_network
    from scrambler import Key
    from shufflecam.console import print_table, stderr

    network = load_network(model).network
    test = load_cifar10("test", data)
    test = LabelledImages(test.images[:images], test.labels[:images], test.classes)
    with Progress(console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("evaluating", total=len(test.images))
        result = evaluate_network(
            network, test, key=Key.generate(), wrong_key=Key.generate(),
            on_batch=lambda done, total: progress.update(task, completed=done),
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps({"model": model, **asdict(result)}))
        return
    rows = [
        ("plain", "natural", result.plain_accuracy),
        ("with the key", "shuffled", result.keyed_accuracy),
        ("without a key", "shuffled", result.no_key_accuracy),
        ("wrong key", "shuffled", result.wrong_key_accuracy),
    ]
    print_table(
        ("network", "frames", "accuracy"),
        [(name, order, f"{100 * value:.2f} %") for name, order, value in rows],
        title=f"{model} on {result.images} CIFAR-10 test images, a fresh nonce each",
    )
    typer.echo(
        f"\nplain and keyed predictions differ on {result.different_predictions} images "
        f"({result.tied_predictions} have an exact tie); largest logit difference {result.max_logit_difference:.1e}"
    )

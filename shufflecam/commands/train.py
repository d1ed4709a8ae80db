"""``shufflecam train``: train a network on plain images."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import OutFolder


def train(
    out: OutFolder,
    model: Annotated[str, typer.Argument(help="Architecture to train.")] = "airbench94",
    epochs: Annotated[int, typer.Option(help="Passes over the training set.")] = 24,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 1024,
    seed: Annotated[int, typer.Option(help="Fixes initial weights, order and augmentation.")] = 0,
    device: Annotated[str, typer.Option(help="A torch device; auto takes a GPU where there is one.")] = "auto",
    precision: Annotated[str, typer.Option(help="bfloat16 or float32.")] = "bfloat16",
    data: Annotated[Path | None, typer.Option(help="CIFAR-10 folder; default: cifar10 in SHUFFLECAM_DATA.")] = None,
) -> None:
    """Train the fast network on CIFAR-10; called again after a stop, it goes on from its last epoch.

    Example: shufflecam train airbench94 --out runs/airbench94
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from networks import EpochLog, TrainConfig, load_cifar10
    from networks import train as train_network
    from shufflecam.console import stderr, stdout

    config = TrainConfig(
        model=model, epochs=epochs, batch_size=batch_size, seed=seed, device=device, precision=precision
    )

    def report(log: EpochLog) -> None:
        stdout.print(
            f"epoch {log.epoch + 1}/{epochs}  loss {log.loss:.4f}  test accuracy {100 * log.test_accuracy:.2f} %"
            f"  {log.seconds:.0f} s"
        )

    columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("training", total=None)
        train_network(
            config, out=out, train_set=load_cifar10("train", data), test_set=load_cifar10("test", data),
            on_epoch=report, on_step=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    stdout.print(f"weights in {out / 'weights.safetensors'}: use them with --model")

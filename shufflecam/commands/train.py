"""``shufflecam train``: train a network on plain or protected pictures."""

from pathlib import Path
from typing import Annotated, Any

import typer

from shufflecam.commands.options import OptionalKeyFile, OutFolder


def train(
    out: OutFolder,
    what: Annotated[str, typer.Argument(metavar="CONFIG.toml|MODEL", help="What to train.")] = "airbench94",
    data: Annotated[
        str | None, typer.Option(help="cifar10, mnist, faces, camvid, or a folder with train and test.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where a known data set lies; default: SHUFFLECAM_DATA.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Get cifar10 or mnist into FOLDER first.")] = False,
    recipe: Annotated[str | None, typer.Option(help="jordan, sgd, digits or segmentation.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes initial weights, order and augmentation.")] = None,
    device: Annotated[str | None, typer.Option(help="A torch device; auto takes a GPU where there is one.")] = None,
    precision: Annotated[str | None, typer.Option(help="bfloat16 or float32.")] = None,
    key: OptionalKeyFile = None,
) -> None:
    """Train a network; called again after a stop, it goes on from its last epoch.

    Example: shufflecam train airbench94 --out runs/airbench94

    A TOML file holds the fields of networks.TrainConfig, and what the flags say counts more:

        model = "airbench94_half"
        epochs = 8
        [protect]
        scheme = "negative-positive"
    """
    import dataclasses

    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from networks import EpochLog, TrainConfig, download_dataset, read_train_config
    from networks import train as train_network
    from networks.training import TrainingError, load_data
    from scrambler import Key
    from shufflecam.console import stderr, stdout

    config = read_train_config(what) if what.endswith(".toml") else TrainConfig(model=what)
    said: dict[str, Any] = {
        "data": data, "recipe": recipe, "epochs": epochs, "batch_size": batch_size, "seed": seed, "device": device,
        "precision": precision,
    }  # fmt: skip
    config = dataclasses.replace(config, **{name: value for name, value in said.items() if value is not None})
    if download:
        if folder is None:
            raise TrainingError("--download needs --folder, the place where the data set shall lie")
        with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=stderr) as progress:
            task = progress.add_task(config.data_set, total=None)
            download_dataset(
                config.data_set, folder, lambda done, total: progress.update(task, completed=done, total=total)
            )
    train_set, test_set = load_data(config, folder)

    def report(log: EpochLog) -> None:
        stdout.print(
            f"epoch {log.epoch + 1}/{config.settings.epochs}  loss {log.loss:.4f}  test {log.metric}"
            f" {100 * log.test_score:.2f} %  {log.seconds:.0f} s"
        )

    columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("training", total=None)
        train_network(
            config, out=out, key=None if key is None else Key.load(key), train_set=train_set, test_set=test_set,
            on_epoch=report, on_step=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    stdout.print(f"weights in {out / 'weights.safetensors'}: use them with --model")

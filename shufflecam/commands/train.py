"""``shufflecam train``: train a network on plain or protected pictures, or a learned scheme."""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shufflecam.commands.options import OptionalKeyFile, OutFolder

if TYPE_CHECKING:
    from rich.progress import Progress

    from networks import TrainConfig

LEARNED = ("transform-net", "gan")


def train(
    out: OutFolder,
    what: Annotated[str, typer.Argument(metavar="CONFIG.toml|MODEL|SCHEME", help="What to train.")] = "airbench94",
    data: Annotated[
        str | None,
        typer.Option(help="cifar10, mnist, faces, camvid, camvid-trainval, or a folder with train and test."),
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where a known data set lies; default: SHUFFLECAM_DATA.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Get cifar10 or mnist into FOLDER first.")] = False,
    recipe: Annotated[str | None, typer.Option(help="jordan, sgd, digits, segmentation or segmentation-whole.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training set.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    test_every: Annotated[int | None, typer.Option(help="Epochs from one test to the next.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes initial weights, order and augmentation.")] = None,
    start: Annotated[str | None, typer.Option(help="Weights to go on from: a file, or shipped ones by name.")] = None,
    device: Annotated[str | None, typer.Option(help="A torch device; auto takes a GPU where there is one.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, bfloat16 or float32.")] = None,
    compiled: Annotated[
        bool | None, typer.Option("--compile", help="Run under torch.compile; needs a C++ compiler.")
    ] = None,
    key: OptionalKeyFile = None,
) -> None:
    """Train a network; called again after a stop, it goes on from its last epoch.

    Example: shufflecam train airbench94 --out runs/airbench94

    The learned schemes transform-net and gan are trained together with a classifier of their pictures; they start
    anew when called again. A TOML file holds the fields of networks.TrainConfig, and what the flags say counts more:

        model = "airbench94_half"
        epochs = 8
        [protect]
        scheme = "negative-positive"
    """
    said: dict[str, Any] = {
        "data": data, "recipe": recipe, "epochs": epochs, "batch_size": batch_size, "test_every": test_every,
        "seed": seed, "device": device, "precision": precision,
        "compile": compiled, "start": start,
    }  # fmt: skip
    said = {name: value for name, value in said.items() if value is not None}
    if what in LEARNED:
        _train_scheme(what, out, folder, said)
        return
    from networks import read_train_config
    from networks.training import TrainConfig
    from shufflecam.usage import usage

    config = read_train_config(what) if what.endswith(".toml") else TrainConfig()
    with usage():
        if not what.endswith(".toml"):
            config = TrainConfig(model=what)
        config = dataclasses.replace(config, **said)
    if download:
        _download(config.data_set, folder)
    _train_network(config, out, folder, key)


def _download(name: str, folder: Path | None) -> None:
    """Get a data set into a folder, with a bar."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from networks import download_dataset
    from shufflecam.console import stderr
    from shufflecam.usage import UsageError

    if folder is None:
        raise UsageError("--download needs --folder, the place where the data set shall lie")
    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=stderr) as progress:
        task = progress.add_task(name, total=None)
        download_dataset(name, folder, lambda done, total: progress.update(task, completed=done, total=total))


def _steps() -> "Progress":
    """Return a bar of steps, shown on a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from shufflecam.console import stderr

    columns = (TextColumn("step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=stderr, disable=not stderr.is_terminal)


def _train_network(config: "TrainConfig", out: Path, folder: Path | None, key: Path | None) -> None:
    from networks import EpochLog
    from networks import train as train_network
    from networks.training import load_data
    from scrambler import Key
    from shufflecam.console import stdout

    # Under torchrun one process speaks for all.
    leads = os.environ.get("RANK", "0") == "0"
    epochs = config.settings.epochs
    train_set, test_set = load_data(config, folder)
    if leads:
        device = config.torch_device
        way = f"recipe {config.recipe_name}, {epochs} epochs in {config.computed_in} on {device}"
        stdout.print(f"{config.model} on {config.data_set}: {way}")

    def report(log: EpochLog) -> None:
        tested = "" if log.test_score is None else f"test {log.metric} {100 * log.test_score:.2f} %  "
        stdout.print(f"epoch {log.epoch + 1}/{epochs}  loss {log.loss:.4f}  {tested}{log.seconds:.0f} s")

    with _steps() as progress:
        task = progress.add_task("training", total=None)
        train_network(
            config, out=out, key=None if key is None else Key.load(key), train_set=train_set, test_set=test_set,
            on_epoch=report, on_step=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    if leads:
        stdout.print(f"weights in {out / 'weights.safetensors'}: use them with --model")


def _train_scheme(name: str, out: Path, folder: Path | None, said: Mapping[str, Any]) -> None:
    """Train a learned scheme and the classifier of its pictures."""
    from networks import LabelledImages, LearnedRecipe, TrainConfig, train_gan, train_transform_net
    from networks.training import TrainingError, load_data
    from shufflecam.console import stdout
    from shufflecam.usage import UsageError

    for option in ("recipe", "test_every", "compile", "start"):
        if option in said:
            raise UsageError(f"{name} has a recipe of its own: leave --{option.replace('_', '-')} out")
    recipe = LearnedRecipe(**{option: value for option, value in said.items() if option != "data"})
    data, _ = load_data(TrainConfig(model=recipe.classifier, data=said.get("data")), folder)
    if not isinstance(data, LabelledImages):
        raise TrainingError(f"{name} learns from pictures with one label each, and {said['data']} has masks")
    shown = 0

    def report(losses: Mapping[str, float]) -> None:
        nonlocal shown
        shown += 1
        parts = "  ".join(f"{part} {value:.4f}" for part, value in losses.items() if part != "seconds")
        stdout.print(f"epoch {shown}/{recipe.epochs}  {parts}  {losses['seconds']:.0f} s")

    with _steps() as progress:
        task = progress.add_task("training", total=None)
        made = (train_gan if name == "gan" else train_transform_net)(
            data.images, data.labels, out=out, recipe=recipe, classes=data.classes, on_epoch=report,
            on_step=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    stdout.print(f"scheme in {made.weights}: scheme({name!r}, weights=...) protects with it")
    stdout.print(f"classifier of its pictures in {made.classifier}")

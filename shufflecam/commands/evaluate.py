"""``shufflecam evaluate``: how good a network is with the key, with a wrong one and without, on shuffled pictures."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shufflecam.commands.options import Json, OptionalKeyFile

if TYPE_CHECKING:
    from networks import LabelledImages, Pretrained, SegmentedImages, TrainConfig


def evaluate(
    what: Annotated[
        str, typer.Argument(metavar="MODEL|CONFIG.toml", help="Trained network, weights file, or what was trained.")
    ] = "cifar10-airbench94",
    weights: Annotated[
        Path | None, typer.Option(help="With CONFIG.toml: the weights that training wrote.", metavar="FILE")
    ] = None,
    images: Annotated[int | None, typer.Option(help="Only the first so many test images.", min=1)] = None,
    data: Annotated[
        str | None, typer.Option(help="cifar10, mnist, faces, camvid, or a folder; default: by the input's size.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where a known data set lies; default: SHUFFLECAM_DATA.")] = None,
    key: OptionalKeyFile = None,
    as_json: Json = False,
) -> None:
    """Shuffle every test picture under a fresh nonce and compare the keyed network with the plain one.

    Labels are counted by accuracy, masks by mean IoU. A configuration with a table [protect] and a plain network was
    trained on protected pictures: then those are evaluated, under the key it was trained with and under another.

    Example: shufflecam evaluate
    """
    from networks import SegmentedImages, TrainConfig, load_network, read_train_config
    from networks.training import TrainingError, load_test_data
    from networks.training.config import data_by_size
    from shufflecam.usage import UsageError

    config = None
    if what.endswith(".toml"):
        config = read_train_config(what)
        if weights is None:
            raise UsageError(f"{what} says what was trained: give --weights with the file that training wrote")
    elif weights is not None:
        raise UsageError("--weights goes with a CONFIG.toml: a network needs only its own name or file")
    network = load_network(what if weights is None else weights)
    name = data or (data_by_size(network.input_size) if config is None else config.data_set)
    test = load_test_data(TrainConfig(data=name), folder)
    if len(test.classes) != len(network.classes):
        raise TrainingError(f"{network.name} knows {len(network.classes)} classes, {name} has {len(test.classes)}")
    test = test.subset(len(test.images) if images is None else images)
    if config is not None and config.protect is not None and config.protect.network == "plain":
        figures, rows, remark = _on_protected(network, test, config, key)
    elif isinstance(test, SegmentedImages):
        figures, rows, remark = _on_scenes(network, test)
    else:
        figures, rows, remark = _on_labelled(network, test)
    if as_json:
        typer.echo(json.dumps({"model": network.name, "data": name, **figures}))
        return
    from shufflecam.console import print_table

    metric = "mean IoU" if isinstance(test, SegmentedImages) else "accuracy"
    print_table(
        ("network", "pictures", metric),
        [(who, order, f"{100 * value:.2f} %") for who, order, value in rows],
        title=f"{network.name} on {len(test.images)} test pictures of {name}, a fresh nonce each",
    )
    typer.echo(f"\n{remark}")


_Outcome = tuple[dict[str, Any], list[tuple[str, str, float]], str]


def _with_progress(compare: Any, network: "Pretrained", test: Any) -> Any:
    """Call an evaluation with fresh keys and a progress bar."""
    from rich.progress import Progress

    from scrambler import Key
    from shufflecam.console import stderr

    with Progress(console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("evaluating", total=len(test.images))
        return compare(
            network.network, test, key=Key.generate(), wrong_key=Key.generate(),
            on_batch=lambda done, total: progress.update(task, completed=done),
        )  # fmt: skip


def _on_labelled(network: "Pretrained", test: "LabelledImages") -> _Outcome:
    from networks import evaluate as compare

    found = _with_progress(compare, network, test)
    rows = [
        ("plain", "natural", found.plain_accuracy),
        ("with the key", "shuffled", found.keyed_accuracy),
        ("without a key", "shuffled", found.no_key_accuracy),
        ("wrong key", "shuffled", found.wrong_key_accuracy),
    ]
    return asdict(found), rows, (
        f"plain and keyed predictions differ on {found.different_predictions} images "
        f"({found.tied_predictions} have an exact tie); largest logit difference {found.max_logit_difference:.1e}"
    )  # fmt: skip


def _on_scenes(network: "Pretrained", test: "SegmentedImages") -> _Outcome:
    from networks import evaluate_segmentation

    found = _with_progress(evaluate_segmentation, network, test)
    rows = [
        ("plain", "natural", found.plain_mean_iou),
        ("with the key", "shuffled, masks laid out", found.keyed_mean_iou),
        ("with the key", "shuffled, masks as delivered", found.delivered_mean_iou),
        ("without a key", "shuffled", found.no_key_mean_iou),
        ("wrong key", "shuffled", found.wrong_key_mean_iou),
    ]
    return asdict(found), rows, (
        f"plain and keyed masks differ in {found.different_pixels} pixels; "
        f"largest logit difference {found.max_logit_difference:.1e}"
    )  # fmt: skip


def _on_protected(
    network: "Pretrained", test: "LabelledImages | SegmentedImages", config: "TrainConfig", key: Path | None
) -> _Outcome:
    from networks.training.protection import Protection
    from networks.training.score import score_on
    from scrambler import Key, scheme
    from scrambler.errors import MissingKeyError

    protect = config.protect
    assert protect is not None
    keyed = scheme(protect.scheme).card.keyed
    if keyed and key is None:
        raise MissingKeyError(f"{network.name} was trained on {protect.scheme!r} pictures: give their --key")
    own = Key.load(key) if keyed and key is not None else None
    values = {
        "protected": score_on(network.network, test, Protection(protect, own, config.seed), 0)[1],
        "plain": score_on(network.network, test, None, 0)[1],
    }
    rows = [("as trained", protect.scheme, values["protected"]), ("as trained", "plain", values["plain"])]
    if keyed:
        other = Protection(protect, Key.generate(), config.seed)
        values["another_key"] = score_on(network.network, test, other, 0)[1]
        rows.insert(1, ("as trained", f"{protect.scheme}, another key", values["another_key"]))
    return values, rows, f"trained on {protect.scheme} pictures; the plain network of that recipe is not among these"

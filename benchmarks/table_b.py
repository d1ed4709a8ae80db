"""Table B: PrivDL's second table: networks for protected CIFAR-10 pictures, in our hands and as published.

Run ``python -m benchmarks.table_b``. Rows named "as published" quote; rows with long trainings say "not run", with a
projection from a few measured steps, until their command has left weights in ``--runs``; rows with the small trunk are
trained here, by a short recipe, beside the same network on plain pictures.
"""

import argparse
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.projection import finished, projected
from benchmarks.tables import Row, Table, fill, parser_for
from networks import LabelledImages, Protect, TrainConfig, build, evaluate, load_cifar10, load_pretrained, train
from networks.training.protection import Protection
from networks.training.score import score_on
from scrambler import Key

KEY, WRONG_KEY = Key.from_bytes(bytes(range(32))), Key.from_bytes(bytes(range(1, 33)))
TABLE = Table(
    stem="table_b",
    title="Table B: networks for protected CIFAR-10 pictures, accuracy in %",
    columns=("status", "protection", "parameters, M", "with the key", "another key", "plain", "published"),
    notes=(
        "Published figures as PrivDL's second table (arXiv 2404.05828) gives them; it says 5.35 M for the network of "
        "EtC, whose paper has the 29.31 M of ELE's. Its own 95.06 % is the accuracy of the 1.70 M bottleneck network, "
        "here preresnet164.",
        "Keyed networks are plain ones converted: with the key they give the plain network's answers. The others are "
        "trained on protected pictures. Small trunk: PreResNet-20 behind the adaptation network, this project's "
        "stand-in, by a short recipe, so only the gap to its own plain row tells.",
    ),
)
PUBLISHED_ROWS = {
    "ELE, ShakePyramid, as published": ("ele", 29.31, 83.06),
    "EtC, ShakePyramid, as published": ("etc", 29.31, 89.09),
    "PrivConv, ConvMixer-512/16, as published": ("block scrambling", 5.35, 92.65),
    "PrivDL, PreResNet-110, as published": ("pixel-shuffle", 1.70, 95.06),
}
# Model, the scheme it is trained on (None: plain, then converted), the published accuracy.
LONG: dict[str, tuple[str, str | None, str]] = {
    "keyed preresnet164": ("preresnet164", None, "95.06"),
    "keyed vgg16_bn": ("vgg16_bn", None, "94.1"),
    "keyed resnet18": ("resnet18", None, "-"),
    "keyed airbench96": ("airbench96", None, "-"),
    "ele, ele_shakepyramid": ("ele_shakepyramid", "ele", "83.06"),
    "etc, le_shakepyramid": ("le_shakepyramid", "etc", "89.09"),
    "etc, convmixer_512_16": ("convmixer_512_16", "etc", "92.65"),
}
SMALL = {
    "ele_preresnet20, plain": ("ele_preresnet20", None),
    "ele, ele_preresnet20": ("ele_preresnet20", "ele"),
    "etc, ele_preresnet20": ("ele_preresnet20", "etc"),
}


def millions(network: nn.Module) -> float:
    """Return the number of parameters, in millions."""
    return sum(p.numel() for p in network.parameters()) / 1e6


def keyed_row(network: nn.Module, test: LabelledImages, published: str) -> dict[str, Any]:
    """Return the row of a plain network that is converted."""
    found = evaluate(network, test, key=KEY, wrong_key=WRONG_KEY)
    return {
        "protection": "pixel-shuffle",
        "parameters, M": millions(network),
        "with the key": 100 * found.keyed_accuracy,
        "another key": 100 * found.wrong_key_accuracy,
        "plain": 100 * found.plain_accuracy,
        "other predictions": found.different_predictions,
        "published": published,
    }


def protected_row(network: nn.Module, test: LabelledImages, name: str, published: str) -> dict[str, Any]:
    """Return the row of a network that was trained on a scheme's pictures."""
    scores = (score_on(network, test, Protection(Protect(scheme=name), key, 0), 0)[1] for key in (KEY, WRONG_KEY))
    own, other = scores
    return {
        "protection": name,
        "parameters, M": millions(network),
        "with the key": 100 * own,
        "another key": 100 * other,
        "published": published,
    }


def small_row(model: str, name: str | None, options: argparse.Namespace, test: LabelledImages) -> dict[str, Any]:
    """Train a network with the small trunk and return its row."""
    config = small_config(model, name, options)
    with tempfile.TemporaryDirectory() as folder:
        train_set = load_cifar10("train")
        network = train(config, out=folder, key=KEY, train_set=train_set, test_set=test.subset(2))
    if name is not None:
        return protected_row(network, test, name, "-")
    score = 100 * score_on(network, test, None, 0)[1]
    return {"protection": "none", "parameters, M": millions(network), "plain": score, "published": "-"}


def small_config(model: str, name: str | None, options: argparse.Namespace) -> TrainConfig:
    """Return the short recipe."""
    return TrainConfig(
        model=model, recipe="digits", images=options.images, epochs=options.epochs, batch_size=50, flips=True,
        protect=None if name is None else Protect(scheme=name),
    )  # fmt: skip


def long_row(label: str, options: argparse.Namespace, test: LabelledImages) -> dict[str, Any]:
    """Return the row of a network that is trained by command, or of the projection."""
    model, name, published = LONG[label]
    # A converted network is the one that Table A trains.
    folder = options.runs / (model if name is None else f"{name}-{model}")
    trained = finished(folder)
    if trained is not None:
        if name is None:
            return keyed_row(trained.network, test, published)
        return protected_row(trained.network, test, name, published)
    again = f'python -m benchmarks.table_b --redo --rows "{label}"'
    config = TrainConfig(model=model)
    if name is None:
        command = f"shufflecam train {model} --out {folder} && {again}"
    else:
        config = replace(config, protect=Protect(scheme=name))
        command = f"python -m benchmarks.table_b --train {name}-{model} && {again}"
    found = projected(config, load_cifar10("train"), command, batch_size=128 if name is None else 16, key=KEY)
    return found | {
        "protection": name or "pixel-shuffle",
        "parameters, M": millions(build(model)),
        "published": published,
    }


def published_row(label: str) -> dict[str, Any]:
    """Return a row that only quotes."""
    name, parameters, accuracy = PUBLISHED_ROWS[label]
    return {"status": "quoted", "protection": name, "parameters, M": parameters, "published": accuracy}


def main(argv: list[str] | None = None) -> None:
    """Run the rows that are missing, or one of the long trainings."""
    parser = parser_for(__doc__)
    parser.add_argument("--images", type=int, default=10000, help="training images of the small trunk")
    parser.add_argument("--epochs", type=int, default=8, help="of the small trunk")
    parser.add_argument("--test-images", type=int, default=2000, help="test images")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trainings by command")
    parser.add_argument("--train", metavar="SCHEME-MODEL", help="train that into --runs, resumably, and stop")
    options = parser.parse_args(argv)
    if options.train is not None:
        name, _, model = options.train.partition("-")
        train(TrainConfig(model=model, protect=Protect(scheme=name)), out=options.runs / options.train, key=KEY)
        return
    test = load_cifar10("test").subset(options.test_images)
    common = {"test images": len(test.images), "seed": 0}
    small = common | {"images": options.images, "epochs": options.epochs, "recipe": "digits with flips, batch 50"}
    shipped = partial(_shipped, test)
    rows = [Row(name=label, run=partial(published_row, label), settings={}) for label in PUBLISHED_ROWS]
    rows.append(Row(name="keyed airbench94, shipped weights", run=shipped, settings=common))
    for label, (model, scheme_name) in SMALL.items():
        rows.append(Row(name=label, run=partial(small_row, model, scheme_name, options, test), settings=small))
    rows += [Row(name=label, run=partial(long_row, label, options, test), settings=common) for label in LONG]
    fill(TABLE, rows, options)


def _shipped(test: LabelledImages) -> dict[str, Any]:
    return keyed_row(load_pretrained("cifar10-airbench94"), test, "-")


if __name__ == "__main__":
    main()

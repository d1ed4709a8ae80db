"""Table C: every scheme with the same small trunk, trained on protected pictures, beside exact conversion.

Run ``python -m benchmarks.table_c``: CIFAR-10 for all of :func:`scrambler.list_schemes`, MNIST for DLMT and RMT, AT&T
faces for the schemes with noise. The recipe is short on purpose, the same for all rows of a data set; what counts is a
row's gap to ``plain``, trained alike. ``--images`` and ``--epochs`` make it longer.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.tables import Row, Table, fill, parser_for
from networks import (
    LabelledImages,
    LearnedRecipe,
    Protect,
    TrainConfig,
    convert,
    load_pretrained,
    predict,
    train,
    train_gan,
    train_transform_net,
)
from networks.training import load_data
from networks.training.protection import Protection
from networks.training.score import score_on
from scrambler import Key, list_schemes, scheme

KEY, OTHER_KEY = Key.from_bytes(bytes(range(32))), Key.from_bytes(bytes(range(1, 33)))
PUBLISHED = "published: score, its gap"
TABLE = Table(
    stem="table_c",
    title="Table C: one small trunk trained on every scheme's pictures, accuracy in %",
    columns=(
        "with the key", "gap to plain", "another key", "plain network", "exact conversion", "other predictions",
        "training CPU s", "protect CPU ms an image", "network CPU ms an image", PUBLISHED,
    ),
    notes=(
        "With the key: the trunk trained on protected pictures, on test pictures protected under the same key. Another "
        "key: the same trunk, test pictures under a key it was not trained for. Plain network: the trunk trained on "
        "plain pictures, on protected ones: what whoever has no key and no protected training set can do.",
        "Gap to plain: points lost to the same trunk, recipe and images on plain pictures, the row \"plain\" of the "
        "data set. The recipes are short, so scores are low and only gaps tell.",
        "Exact conversion: the plain row's trunk, converted with the key, nothing trained; other predictions: test "
        "pictures on which it and the plain trunk differ. \"-\": the scheme is not affine in the values, or has noise.",
        "Schemes with a nonce an image draw a fresh one for every picture and epoch; their papers use one key for all, "
        "which learns better and hides less. Pictures are augmented, then protected.",
        "Times are of the processor, on one thread (OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1): threads that wait for each "
        "other on a busy machine spin, and multiply them.",
        "Published scores are of larger networks and whole trainings (the schemes' cards name the papers).",
    ),
)  # fmt: skip

# What differs from a scheme's default parameters, where the default is another data set's.
PARAMETERS: dict[str, dict[str, Any]] = {
    "cifar10/rmt": {"block": 2, "noise": 25, "permute": False},
    "cifar10/dp-pixelize": {"cell": 4},
    "mnist/rmt": {"block": 7, "noise": 100, "permute": True},
}
CIFAR10_PUBLISHED: dict[str, tuple[float, float]] = {  # score of the scheme, score on plain pictures
    "pixel-shuffle": (57.6, 94.1),
    "negative-positive": (85.15, 92.98),
    "negative-positive+color": (82.51, 92.98),
    "shf": (91.84, 95.45),
    "bit-flip": (93.41, 95.45),
    "ffx": (92.30, 95.45),
    "le": (85.84, 92.98),
    "mat": (91.361, 95.220),
    "mmt": (91.090, 95.220),
    "rise-mmt": (90.166, 95.220),
    "mat-mmt": (89.062, 95.220),
    "mmt-mat": (88.933, 95.220),
    "rmt": (89.3, 93.4),
}
# Without a plain score beside them.
CIFAR10_ALONE = {"etc": 89.09, "ele": 83.06, "sit": 80.36}
MNIST_PUBLISHED = {
    "mat": (99.205, 99.440),
    "mmt": (99.202, 99.440),
    "rise-mmt": (99.018, 99.440),
    "mat-mmt": (98.944, 99.440),
    "mmt-mat": (98.952, 99.440),
    "rmt": (96.6, 96.7),
    "block-aes": (91.6, 96.7),
}
FACES: dict[str, tuple[str, dict[str, Any], str]] = {
    **{
        f"dp-pixelize, epsilon {epsilon:g}": ("dp-pixelize", {"epsilon": epsilon}, f"{score}, {96.25 - score:.2f}")
        for epsilon, score in ((0.1, 3.75), (0.3, 18.75), (0.5, 43.75), (1.0, 77.50))
    },
    "peep, epsilon 8 in all": ("peep", {"epsilon": 8.0}, "-"),
    "peep, epsilon 8 a coefficient": ("peep", {"epsilon": 8.0, "composition": "per_index"}, "about 70 to 90, -"),
}
LEARNED: dict[str, Callable[..., Any]] = {"transform-net": train_transform_net, "gan": train_gan}


@dataclass(frozen=True)
class Study:
    """One data set with the recipe of all its rows.

    Attributes
    ----------
    config : TrainConfig
        Without protection.
    test_images : int
        How many of the test set are looked at.
    """

    config: TrainConfig
    test_images: int

    @property
    def settings(self) -> dict[str, Any]:
        """What a row's figures depend on."""
        recipe = self.config.settings
        return {
            "model": self.config.model, "images": self.config.images, "epochs": recipe.epochs,
            "batch": recipe.batch_size, "seed": self.config.seed, "test images": self.test_images,
        }  # fmt: skip


@cache
def data_of(study: Study) -> tuple[LabelledImages, LabelledImages]:
    """Return training and test pictures."""
    train_set, test_set = load_data(study.config)
    assert isinstance(train_set, LabelledImages)
    assert isinstance(test_set, LabelledImages)
    count = study.config.images or len(train_set.images)
    return train_set.subset(count), test_set.subset(study.test_images)


def trained(study: Study, protect: Protect | None = None) -> tuple[nn.Module, float]:
    """Return a trunk and the CPU seconds that its training took."""
    train_set, test_set = data_of(study)
    config = replace(study.config, protect=protect)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        network = train(config, out=folder, key=KEY, train_set=train_set, test_set=test_set.subset(2))
    return network, time.process_time() - begin


@cache
def plain(study: Study) -> tuple[nn.Module, float, float]:
    """Return the trunk that was trained on plain pictures, its score in % and the CPU seconds of its training."""
    network, seconds = trained(study)
    return network, 100 * score_on(network, data_of(study)[1], None, 0)[1], seconds


def plain_row(study: Study, published: str) -> dict[str, Any]:
    """Return the row that the others are compared with."""
    network, score, seconds = plain(study)
    test = data_of(study)[1]
    begin = time.process_time()
    predict(network, test.images)
    each = (time.process_time() - begin) / len(test.images)
    return {
        "with the key": score, "gap to plain": 0.0, "training CPU s": round(seconds, 1),
        "network CPU ms an image": 1e3 * each, PUBLISHED: published,
    }  # fmt: skip


def exact(study: Study, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the plain trunk reads protected pictures after conversion, or nothing where it cannot."""
    if not scheme(name).card.network.startswith("exact"):
        return {}
    network, test = plain(study)[0], data_of(study)[1]
    height, width, channels = test.images.shape[1:]
    made = scheme(name, key=KEY, **parameters)
    keyed = convert(network.float(), KEY, (height, width), channels=channels, scheme=made)
    read = []
    with torch.inference_mode():
        for start in range(0, len(test.images), 250):
            read.append(keyed.read(made.protect(test.images[start : start + 250])).argmax(1))
    found = torch.cat(read)
    return {
        "exact conversion": 100 * float((found == torch.from_numpy(test.labels)).double().mean()),
        "other predictions": int((found != predict(network, test.images).argmax(1)).sum()),
    }


def scheme_row(study: Study, name: str, parameters: Mapping[str, Any], published: str) -> dict[str, Any]:
    """Train the trunk on a scheme's pictures and return the row."""
    train_set, test = data_of(study)
    card, figures = scheme(name).card, dict[str, Any]()
    with tempfile.TemporaryDirectory() as folder:
        if name in LEARNED:
            parameters = {"weights": str(Path(folder) / f"{name}.safetensors")}
            figures = learned(study, name, Path(folder))
        protect = Protect(scheme=name, parameters=parameters)
        network, seconds = trained(study, protect)
        protection = _ready(protect, KEY, train_set)
        score = 100 * score_on(network, test, protection, 0)[1]
        other = _ready(protect, OTHER_KEY, train_set) if card.keyed else None
        begin = time.process_time()
        inputs = protection.apply(test.images, torch.arange(len(test.images)), 1, "test").inputs
        protected_s = time.process_time() - begin
        begin = time.process_time()
        with torch.inference_mode():
            for start in range(0, len(inputs), 250):
                batch = inputs[start : start + 250]
                network(batch.contiguous(memory_format=torch.channels_last))
        network_s = time.process_time() - begin
        figures |= {
            "with the key": score,
            "gap to plain": plain(study)[1] - score,
            "another key": "-" if other is None else 100 * score_on(network, test, other, 0)[1],
            "plain network": 100 * score_on(plain(study)[0], test, protection, 0)[1],
            **exact(study, name, parameters),
            "training CPU s": round(seconds, 1),
            "protect CPU ms an image": 1e3 * protected_s / len(inputs),
            "network CPU ms an image": 1e3 * network_s / len(inputs),
            PUBLISHED: published,
        }
    return figures


def learned(study: Study, name: str, folder: Path) -> dict[str, Any]:
    """Train a learned scheme into a folder; return the score of the classifier that was trained with it."""
    train_set, test = data_of(study)
    epochs = study.config.settings.epochs
    recipe = LearnedRecipe(classifier=study.config.model, epochs=epochs, batch_size=100, seed=study.config.seed)
    begin = time.process_time()
    found = LEARNED[name](train_set.images, train_set.labels, out=folder, recipe=recipe, classes=train_set.classes)
    seconds = time.process_time() - begin
    protection = Protection(Protect(scheme=name, parameters={"weights": str(found.weights)}), None, 0)
    score = score_on(load_pretrained(found.classifier), test, protection, 0)[1]
    return {"classifier trained with it": 100 * score, "scheme's own training CPU s": round(seconds, 1)}


def _ready(protect: Protect, key: Key, train_set: LabelledImages) -> Protection:
    """Return a scheme's protection that has seen training pictures: their values set the scale, as in training."""
    protection = Protection(protect, key, seed=0)
    first = train_set.images[:512]
    protection.apply(first, torch.arange(len(first)), 0, "first sight")
    return protection


def _published(score: float, of_plain: float) -> str:
    return f"{score:g}, {of_plain - score:.2f}"


def rows_of(options: argparse.Namespace) -> list[Row]:
    """Return all rows."""
    cifar10 = Study(
        TrainConfig(model="airbench94_quarter", images=options.images, epochs=options.epochs, batch_size=options.batch),
        options.test_images,
    )
    mnist = Study(
        TrainConfig(model="lenet5", images=options.digits, epochs=options.epochs, precision="float32"),
        options.test_images,
    )
    faces = Study(
        TrainConfig(
            model="peep_mlp", recipe="digits", epochs=options.face_epochs, batch_size=40, precision="float32",
        ),
        200,
    )  # fmt: skip
    rows = [
        Row(name="cifar10: plain", run=partial(plain_row, cifar10, "-"), settings=cifar10.settings),
        *(_scheme(cifar10, "cifar10", name, name, PARAMETERS.get(f"cifar10/{name}", {})) for name in list_schemes()),
        Row(name="mnist: plain", run=partial(plain_row, mnist, "99.44 (DLMT)"), settings=mnist.settings),
        *(_scheme(mnist, "mnist", name, name, PARAMETERS.get(f"mnist/{name}", {})) for name in MNIST_PUBLISHED),
        Row(name="faces: plain", run=partial(plain_row, faces, "96.25 (mosaic, no noise)"), settings=faces.settings),
    ]
    for label, (name, parameters, published) in FACES.items():
        rows.append(_scheme(faces, "faces", label, name, parameters, published))
    return rows


def _scheme(
    study: Study, data: str, label: str, name: str, parameters: Mapping[str, Any], published: str | None = None
) -> Row:
    if published is None:
        known = {"cifar10": CIFAR10_PUBLISHED, "mnist": MNIST_PUBLISHED}[data]
        alone = f"{CIFAR10_ALONE[name]:g}, -" if name in CIFAR10_ALONE else "-"
        published = _published(*known[name]) if name in known else alone
    run = partial(scheme_row, study, name, parameters, published)
    return Row(name=f"{data}: {label}", run=run, settings=study.settings | dict(parameters))


def main(argv: list[str] | None = None) -> None:
    """Run the rows that are missing."""
    parser = parser_for(__doc__)
    parser.add_argument("--images", type=int, default=2000, help="training images of CIFAR-10")
    parser.add_argument("--digits", type=int, default=6000, help="training images of MNIST")
    parser.add_argument("--epochs", type=int, default=4, help="of CIFAR-10 and MNIST")
    parser.add_argument("--batch", type=int, default=100, help="images a step, CIFAR-10")
    parser.add_argument("--face-epochs", type=int, default=60, help="of the faces")
    parser.add_argument("--test-images", type=int, default=500, help="of CIFAR-10 and MNIST")
    options = parser.parse_args(argv)
    fill(TABLE, rows_of(options), options)


if __name__ == "__main__":
    main()

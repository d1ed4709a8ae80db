"""Table A: PrivDL's first table, on CIFAR-10, with a fresh nonce for every frame.

Run ``python -m benchmarks.table_a``. Rows that need a long training are trained by the command that they name and read
from ``--runs``; until then they say "not run", with a projection from a few measured steps. The row of the mean reads
the table's other rows.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from benchmarks.projection import finished, projected, training_record
from benchmarks.tables import NOT_RUN, Row, Table, fill, parser_for
from networks import LabelledImages, TrainConfig, accuracy, evaluate, image_tensor, load_cifar10, load_pretrained
from networks.training import uses_bfloat16
from scrambler import Key, keyed_permutation

KEY, WRONG_KEY = Key.from_bytes(bytes(range(32))), Key.from_bytes(bytes(range(1, 33)))
PUBLISHED = "published: plain, no key, fine-tuned, key, wrong key"
TABLE = Table(
    stem="table_a",
    title="Table A: networks on shuffled CIFAR-10 frames, accuracy in %",
    columns=(
        "status", "plain", "plain, with flips", "shuffled, no key", "shuffled, fine-tuned", "keyed, with the key",
        "keyed, wrong key", "other predictions", PUBLISHED,
    ),
    notes=(
        "plain: natural order. No key: the plain network on shuffled frames, all that is left without the key, since a "
        "keyed network without its key refuses to run. Other predictions: images on which plain and keyed differ.",
        "Every frame has a nonce of its own, except in the fine-tuned row named so. One view of each image; \"with "
        "flips\" averages an image and its mirror image.",
        "Published: PrivDL (arXiv 2404.05828), VGG16 on CIFAR-10.",
    ),
)  # fmt: skip
SEED_EPOCHS = 13
# Trained by command. The recipes are those of `shufflecam train`.
LONG = {
    "vgg16_bn": "94.1, 11.7, 57.6, 94.1, 11.8",
    "airbench94_half": "-",
    "resnet18": "-",
    "preresnet164": "95.06 plain (Table B)",
    "airbench96": "-",
}


def keyed_figures(network: nn.Module, test: LabelledImages) -> dict[str, Any]:
    """Return what a trained network makes of the test images, plain and shuffled."""
    found = evaluate(network, test, key=KEY, wrong_key=WRONG_KEY)
    return {
        "plain": 100 * found.plain_accuracy,
        "plain, with flips": 100 * accuracy(network, test, flips=True),
        "shuffled, no key": 100 * found.no_key_accuracy,
        "keyed, with the key": 100 * found.keyed_accuracy,
        "keyed, wrong key": 100 * found.wrong_key_accuracy,
        "other predictions": found.different_predictions,
        "tied predictions": found.tied_predictions,
        "largest logit difference": found.max_logit_difference,
        "test images": found.images,
    }


def shuffled_images(images: NDArray[np.uint8], nonces: Sequence[bytes]) -> NDArray[np.uint8]:
    """Return images (N, H, W, 3) as the camera would deliver them."""
    size = (images.shape[1], images.shape[2])
    orders = (keyed_permutation(KEY, size, nonce=nonce) for nonce in nonces)
    pairs = zip(images.reshape(len(images), -1, 3), orders, strict=True)
    return np.stack([image[order.source] for image, order in pairs]).reshape(images.shape)


def fine_tuned(images: int, epochs: int, test: LabelledImages, *, one_nonce: bool, seed: int = 0) -> dict[str, Any]:
    """Train the shipped network on, on shuffled frames without the key, and return its accuracy on such frames."""
    train_set = load_cifar10("train").subset(images)
    rng = np.random.default_rng(seed)

    def shuffled(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return shuffled_images(images, [bytes(16) if one_nonce else rng.bytes(16) for _ in images])

    network = load_pretrained("cifar10-airbench94").train()
    bf16 = uses_bfloat16("auto", torch.device("cpu"))
    parameters = [p for p in network.parameters() if p.requires_grad]
    batch = 250
    steps = epochs * (images // batch)
    optimiser = torch.optim.SGD(parameters, 0.02, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    for _ in range(epochs):
        order = rng.permutation(images)
        for start in range(0, images - batch + 1, batch):
            chosen = order[start : start + batch]
            mirrored = train_set.images[chosen]
            mirrored[::2] = mirrored[::2, :, ::-1]
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(image_tensor(shuffled(mirrored)))
            loss = F.cross_entropy(logits.float(), torch.from_numpy(train_set.labels[chosen]))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
    return {
        "shuffled, fine-tuned": 100
        * accuracy(network, LabelledImages(shuffled(test.images), test.labels, test.classes)),
        "test images": len(test.images),
        PUBLISHED: "57.6 fine-tuned (VGG16, one key for all)",
    }


def main(argv: list[str] | None = None) -> None:
    """Run the rows that are missing."""
    parser = parser_for(__doc__)
    parser.add_argument("--images", type=int, default=10_000, help="test images")
    parser.add_argument("--tuning-images", type=int, default=10_000, help="training images of the fine-tuned rows")
    parser.add_argument("--epochs", type=int, default=3, help="of the fine-tuned rows")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the trainings by command")
    options = parser.parse_args(argv)
    test = load_cifar10("test").subset(options.images)

    def shipped() -> dict[str, Any]:
        return keyed_figures(load_pretrained("cifar10-airbench94"), test)

    def tuned(one_nonce: bool) -> dict[str, Any]:
        return fine_tuned(options.tuning_images, options.epochs, test, one_nonce=one_nonce)

    def by_command(model: str, seed: int, published: str) -> dict[str, Any]:
        config = TrainConfig(model=model, seed=seed)
        folder = options.runs / (model if seed == 0 else f"{model}-seed{seed}")
        trained = finished(folder)
        if trained is not None:
            return keyed_figures(trained.network, test) | training_record(folder) | {PUBLISHED: published}
        label = model if seed == 0 else f"{model}, seed {seed}"
        flags = f"--seed {seed} "
        if seed:
            config, flags = replace(config, epochs=SEED_EPOCHS), f"{flags}--epochs {SEED_EPOCHS} "
        command = (
            f'shufflecam train {model} {flags}--out {folder} && python -m benchmarks.table_a --redo --rows "{label}"'
        )
        return projected(config, load_cifar10("train"), command) | {PUBLISHED: published}

    def mean() -> dict[str, Any]:
        written = json.loads((options.out / f"{TABLE.stem}.json").read_text())["rows"]
        seeds = [row for row in written if row["row"].startswith("airbench94, seed") and "plain" in row]
        if not seeds:
            return {"status": NOT_RUN, "reason": "None of its rows has been trained.", "command": "see those rows"}
        names = [name for name in TABLE.columns if isinstance(seeds[0].get(name), float)]
        return {name: float(np.mean([row[name] for row in seeds])) for name in names} | {"seeds": len(seeds)}

    common = {"key seed": "fixed", "test images": len(test.images)}
    tuning = common | {"images": options.tuning_images, "epochs": options.epochs, "rate": 0.02, "seed": 0}
    rows = [
        Row(name="airbench94, shipped weights", run=shipped, settings=common | {"seed": 0}),
        Row(name="airbench94, fine-tuned, fresh nonces", run=partial(tuned, False), settings=tuning),
        Row(name="airbench94, fine-tuned, one nonce for all", run=partial(tuned, True), settings=tuning),
    ]
    for seed in (1, 2, 3):
        run = partial(by_command, "airbench94", seed, "-")
        rows.append(Row(name=f"airbench94, seed {seed}", run=run, settings=common | {"seed": seed}))
    rows.append(Row(name="airbench94, mean of these seeds", run=mean, settings=common))
    for model, published in LONG.items():
        run = partial(by_command, model, 0, published)
        rows.append(Row(name=model, run=run, settings=common | {"seed": 0}))
    fill(TABLE, rows, options)


if __name__ == "__main__":
    main()

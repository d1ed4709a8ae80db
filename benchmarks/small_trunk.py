"""Rows of Table C: a network trained on a scheme's pictures, beside the same training on plain ones."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from networks import (
    LabelledImages,
    LearnedRecipe,
    Protect,
    TrainConfig,
    convert,
    image_tensor,
    load_pretrained,
    predict,
    train,
    train_gan,
    train_transform_net,
)
from networks.training import load_data
from networks.training.protection import Protection
from networks.training.score import score_on
from scrambler import Key, scheme

KEY, OTHER_KEY = Key.from_bytes(bytes(range(32))), Key.from_bytes(bytes(range(1, 33)))
PUBLISHED = "published: score, its gap"
LEARNED: dict[str, Callable[..., Any]] = {"transform-net": train_transform_net, "gan": train_gan}
# Each picture is released once: a fresh draw in every epoch would spend the privacy loss as often.
_NOISY = ("dp-pixelize", "peep", "svd")


@dataclass(frozen=True)
class Study:
    """One data set and network, with the recipe of all its rows.

    Attributes
    ----------
    config : TrainConfig
        Without protection.
    test_images : int
        How many of the test set are looked at.
    learned_epochs : int
        Of the training of the learned schemes.
    people : int, optional
        Only the first so many classes; the pictures of the others are public.
    """

    config: TrainConfig
    test_images: int
    learned_epochs: int = 1
    people: int | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What a row's figures depend on."""
        recipe = self.config.settings
        found = {
            "model": self.config.model, "images": self.config.images or "all", "epochs": recipe.epochs,
            "batch": recipe.batch_size, "rate": recipe.learning_rate, "optimizer": recipe.optimizer,
            "precision": self.config.computed_in, "seed": self.config.seed, "test images": self.test_images,
        }  # fmt: skip
        return found if self.people is None else found | {"people": self.people}


@cache
def all_data(study: Study) -> tuple[LabelledImages, LabelledImages]:
    """Return the data set, before anything is left out."""
    train_set, test_set = load_data(study.config)
    assert isinstance(train_set, LabelledImages)
    assert isinstance(test_set, LabelledImages)
    return train_set, test_set


@cache
def data_of(study: Study) -> tuple[LabelledImages, LabelledImages]:
    """Return training and test pictures."""
    train_set, test_set = (_of_people(data, study.people) for data in all_data(study))
    return train_set.subset(study.config.images or len(train_set.images)), test_set.subset(study.test_images)


def public_images(study: Study) -> np.ndarray[Any, Any]:
    """Return the pictures of the people that a study leaves out."""
    return np.concatenate([data.images[data.labels >= (study.people or 0)] for data in all_data(study)])


def _of_people(data: LabelledImages, people: int | None) -> LabelledImages:
    if people is None:
        return data
    known = data.labels < people
    return LabelledImages(data.images[known], data.labels[known], data.classes[:people])


def trained(study: Study, protect: Protect | None = None) -> tuple[nn.Module, float]:
    """Return a trunk and the processor's seconds that its training took."""
    train_set, test_set = data_of(study)
    config = replace(study.config, protect=protect)
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        network = train(config, out=folder, key=KEY, train_set=train_set, test_set=test_set.subset(2))
    return network, time.process_time() - begin


@cache
def plain(study: Study) -> tuple[nn.Module, float, float]:
    """Return the trunk that was trained on plain pictures, its score in % and the seconds of its training."""
    network, seconds = trained(study)
    return network, 100 * score_on(network, data_of(study)[1], None, 0)[1], seconds


def plain_row(study: Study, published: str) -> dict[str, Any]:
    """Return the row that the others are compared with."""
    network, score, seconds = plain(study)
    test = data_of(study)[1]
    each_ms = _network_ms(network, image_tensor(test.images))
    return {
        "with the key": score, "gap to plain": 0.0, "training CPU s": round(seconds, 1),
        "network CPU ms an image": each_ms, PUBLISHED: published,
    }  # fmt: skip


def _network_ms(network: nn.Module, inputs: torch.Tensor) -> float:
    """Return the processor's milliseconds an image, for inputs that are ready to be read."""
    begin = time.process_time()
    with torch.inference_mode():
        for start in range(0, len(inputs), 250):
            network(inputs[start : start + 250].contiguous(memory_format=torch.channels_last))
    return 1e3 * (time.process_time() - begin) / len(inputs)


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
        protect = Protect(
            scheme=name, parameters=parameters, augment="protected" if name in (*_NOISY, *LEARNED) else "client"
        )
        network, seconds = trained(study, protect)
        protection = _ready(protect, KEY, train_set)
        score = 100 * score_on(network, test, protection, 0)[1]
        other = _ready(protect, OTHER_KEY, train_set) if card.keyed else None
        begin = time.process_time()
        inputs = protection.apply(test.images, torch.arange(len(test.images)), 1, "test").inputs
        protected_s = time.process_time() - begin
        figures |= {
            "with the key": score,
            "gap to plain": plain(study)[1] - score,
            "another key": "-" if other is None else 100 * score_on(network, test, other, 0)[1],
            "plain network": 100 * score_on(plain(study)[0], test, protection, 0)[1],
            **exact(study, name, parameters),
            "training CPU s": round(seconds, 1),
            "protect CPU ms an image": 1e3 * protected_s / len(inputs),
            "network CPU ms an image": _network_ms(network, inputs),
            PUBLISHED: published,
        }
    return figures


def learned(study: Study, name: str, folder: Path) -> dict[str, Any]:
    """Train a learned scheme into a folder; return the score of the classifier that was trained with it."""
    train_set, test = data_of(study)
    recipe = LearnedRecipe(
        classifier=study.config.model, epochs=study.learned_epochs, batch_size=100, seed=study.config.seed
    )
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

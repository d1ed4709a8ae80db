"""Trainings by command: what they left, or how long they would take here by a few measured steps."""

import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.tables import NOT_RUN
from networks import LabelledImages, TrainConfig, load_network, train
from networks.checkpoint import read_tensors
from networks.pretrained import Pretrained
from networks.registry import model_entry
from scrambler import Key

_STEPS = 4


def projected(
    config: TrainConfig, data: LabelledImages, command: str, batch_size: int = 128, key: Key | None = None
) -> dict[str, Any]:
    """Return the figures of a row that is too long for this machine.

    The steps are those of `networks.train` itself, so the row's command has had its dry run.

    Parameters
    ----------
    config : TrainConfig
        The whole training.
    data : LabelledImages
        Its training images; the first few are used, and their number makes the projection.
    command : str
        Does the whole training.
    batch_size : int
        Images a measured step; the cost goes by the image.
    key : Key, optional
        For keyed schemes.
    """
    size = model_entry(config.model).input_size
    first = data.subset(_STEPS * batch_size)
    if first.images.shape[1:3] != size:
        larger = np.stack([cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC) for image in first.images])
        first = LabelledImages(larger.astype(np.uint8), first.labels, first.classes)
    few = dataclasses.replace(config, epochs=1, batch_size=batch_size)
    # The processor's own time, which a busy machine stretches least. The first step also warms up.
    marks: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(
            few, out=folder, key=key, train_set=first, test_set=first.subset(2),
            on_step=lambda _done, _total: marks.append(time.process_time()),
        )  # fmt: skip
    seconds_per_image = (marks[-1] - marks[0]) / ((_STEPS - 1) * batch_size)
    hours = seconds_per_image * len(data.images) * config.settings.epochs / 3600
    each = f"{1e3 * seconds_per_image:.1f} ms an image over {_STEPS - 1} steps of {batch_size}"
    return {
        "status": NOT_RUN,
        "reason": f"{hours:.1f} core hours here in {config.computed_in}, {each}.",
        "core seconds a training image": round(seconds_per_image, 4),
        "projected core hours": round(hours, 1),
        "command": command,
    }


def finished(folder: Path) -> Pretrained | None:
    """Return the network that a training left in ``folder``, or None while there is none."""
    path = folder / "weights.safetensors"
    return load_network(path) if path.exists() else None


def training_record(folder: Path) -> dict[str, Any]:
    """Return how the training in ``folder`` went: its recipe, precision, and wall time without tests.

    Where it went on from the weights of another folder that is still there, that folder's record comes along.
    """
    config = json.loads(read_tensors(folder / "checkpoint.safetensors")[1]["config"])
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    own = {name: value for name, value in config.items() if value is not None and name not in ("device", "compile")}
    record: dict[str, Any] = {
        "trained with": own | {"epochs": len(lines)},
        "training seconds": round(sum(line["seconds"] for line in lines)),
    }
    before = Path(own["start"]).parent if "start" in own else folder
    if before != folder and (before / "checkpoint.safetensors").exists():
        record["before that"] = training_record(before)
    return record

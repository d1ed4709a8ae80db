"""How long a training would take here: a few steps of it, measured."""

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.tables import NOT_RUN
from networks import LabelledImages, TrainConfig, load_network, train
from networks.pretrained import Pretrained
from networks.registry import model_entry
from scrambler import Key

_STEPS = 2


def projected(
    config: TrainConfig, data: LabelledImages, command: str, batch_size: int = 32, key: Key | None = None
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
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        train(few, out=folder, key=key, train_set=first, test_set=first.subset(2))
    # The processor's own time, which a busy machine does not stretch; it includes building the network once.
    seconds_per_image = (time.process_time() - begin) / len(first.images)
    hours = seconds_per_image * len(data.images) * config.settings.epochs / 3600
    return {
        "status": NOT_RUN,
        "reason": f"{hours:.0f} core hours here, {1e3 * seconds_per_image:.0f} ms an image over {_STEPS} steps.",
        "core seconds a training image": round(seconds_per_image, 4),
        "projected core hours": round(hours, 1),
        "command": command,
    }


def finished(folder: Path) -> Pretrained | None:
    """Return the network that a training left in ``folder``, or None while there is none."""
    path = folder / "weights.safetensors"
    return load_network(path) if path.exists() else None

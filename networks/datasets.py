"""CIFAR-10 as arrays, from the layouts it is found in.

``locate_data`` finds the folder: the environment variable ``SHUFFLECAM_DATA``, else ``../shared/data`` beside
the repository. Nothing is downloaded.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_RECORD = 1 + 3 * 32 * 32  # bytes of one image in the official binary layout: label, then planes R, G, B


class DatasetError(ShuffleCamError):
    """A data set is missing or damaged."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes.

    Attributes
    ----------
    images : uint8 array, shape (N, H, W, 3)
        RGB.
    labels : int64 array, shape (N,)
        Class numbers.
    classes : tuple of str
        Class names, by number.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def locate_data() -> Path:
    """Return the folder that holds the data sets.

    Raises
    ------
    DatasetError
        If ``SHUFFLECAM_DATA`` names no folder, or neither it nor ``../shared/data`` exists.
    """
    named = os.environ.get("SHUFFLECAM_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        told = "SHUFFLECAM_DATA names it" if named else "set SHUFFLECAM_DATA to the folder that holds the data sets"
        raise DatasetError(f"no data folder at {folder}: {told}")
    return folder


def load_cifar10(split: str, folder: Path | None = None) -> LabelledImages:
    """Return CIFAR-10's 50,000 training or 10,000 test images in the official order.

    Parameters
    ----------
    split : {"train", "test"}
        Which part.
    folder : Path, optional
        A folder with the official binary files (``data_batch_1.bin`` ...), or with the same batches as lossless
        100x100 grids (``data_batch_1.webp`` and ``data_batch_1.labels.txt``); default: ``cifar10`` in the data folder.

    Raises
    ------
    DatasetError
        If a file is missing, unreadable or of the wrong size.
    """
    if split not in ("train", "test"):
        raise DatasetError(f"split must be 'train' or 'test', got {split!r}")
    folder = locate_data() / "cifar10" if folder is None else folder
    names = [f"data_batch_{n}" for n in range(1, 6)] if split == "train" else ["test_batch"]
    parts = [_batch(folder, name) for name in names]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return LabelledImages(images, labels, CIFAR10_CLASSES)


def _batch(folder: Path, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read one official batch of 10,000 images."""
    binary = folder / f"{name}.bin"
    if binary.exists():
        raw = np.fromfile(binary, np.uint8)
        if raw.size == 0 or raw.size % _RECORD:
            raise DatasetError(f"{binary} is not a CIFAR-10 binary batch: its size is no multiple of {_RECORD} bytes")
        records = raw.reshape(-1, _RECORD)
        planes = records[:, 1:].reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)
    grid_path, label_path = folder / f"{name}.webp", folder / f"{name}.labels.txt"
    if not (grid_path.exists() and label_path.exists()):
        raise DatasetError(f"{folder} holds no {name}: neither {name}.bin nor {name}.webp with {name}.labels.txt")
    decoded = cv2.imread(str(grid_path), cv2.IMREAD_COLOR)
    if decoded is None or decoded.shape != (3200, 3200, 3):
        raise DatasetError(f"{grid_path} is not a readable 3200x3200 grid of CIFAR-10 images")
    tiles = decoded[:, :, ::-1].reshape(100, 32, 100, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    labels = np.loadtxt(label_path, dtype=np.int64)
    if labels.shape != (len(tiles),):
        raise DatasetError(f"{label_path} should hold {len(tiles)} labels, one a line")
    return np.ascontiguousarray(tiles, dtype=np.uint8), labels

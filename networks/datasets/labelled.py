"""What a labelled data set is in memory, and where data sets are looked for."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError


class DatasetError(ShuffleCamError):
    """A data set is missing or damaged."""


@dataclass(frozen=True)
class LabelledImages:
    """Images with their classes.

    Attributes
    ----------
    images : uint8 array, shape (N, H, W, 3) or (N, H, W, 1)
        RGB, or grey.
    labels : int64 array, shape (N,)
        Class numbers.
    classes : tuple of str
        Class names, by number.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def subset(self, count: int) -> "LabelledImages":
        """Return the first ``count`` images, or all of them when there are fewer."""
        return LabelledImages(self.images[:count], self.labels[:count], self.classes)


def locate_data() -> Path:
    """Return the folder that holds the data sets.

    Raises
    ------
    DatasetError
        If ``SHUFFLECAM_DATA`` names no folder, or neither it nor ``../shared/data`` exists.
    """
    named = os.environ.get("SHUFFLECAM_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        told = "SHUFFLECAM_DATA names it" if named else "set SHUFFLECAM_DATA to the folder that holds the data sets"
        raise DatasetError(f"no data folder at {folder}: {told}")
    return folder


def check_split(split: str, *splits: str) -> None:
    """Raise :class:`DatasetError` unless ``split`` is one of ``splits``."""
    if split not in splits:
        names = ", ".join(repr(name) for name in splits[:-1])
        raise DatasetError(f"split must be {names} or {splits[-1]!r}, got {split!r}")


def check_labels(labels: NDArray[np.int64], images: int, classes: int, path: Path | str) -> None:
    """Raise :class:`DatasetError` naming ``path`` unless there is one label in [0, classes) for every image."""
    if labels.shape != (images,):
        raise DatasetError(f"{path} should hold {images} labels, one for each image, but holds {labels.size}")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise DatasetError(f"{path} holds labels outside 0..{classes - 1}: it is damaged or of another data set")

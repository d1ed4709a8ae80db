"""Any labelled pictures: one subfolder a class."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from networks.datasets.labelled import DatasetError, LabelledImages

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"}


def load_image_folder(folder: Path | str, size: tuple[int, int] | None = None) -> LabelledImages:
    """Return the pictures of ``folder/CLASS/NAME``, classes and names sorted.

    Parameters
    ----------
    folder : path
        Holds one subfolder a class; files that are no pictures are passed over.
    size : tuple of int, optional
        Height and width that every picture is brought to, in pixels: the largest centred part of that shape, area
        average. Without it all pictures must have one size.

    Returns
    -------
    LabelledImages
        RGB.

    Raises
    ------
    DatasetError
        If the folder or its pictures are missing, one cannot be read, or sizes differ and none is asked for.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"no folder at {folder}")
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for number, name in enumerate(classes):
        for path in list_pictures(folder / name):
            image = read_rgb(path)
            image = image if size is None else fit(image, size)
            if images and image.shape != images[0].shape:
                height, width = image.shape[:2]
                raise DatasetError(f"{path} is {width}x{height}, unlike the pictures before it: give a size")
            images.append(image)
            labels.append(number)
    if not images:
        raise DatasetError(f"{folder} holds no pictures in subfolders, one a class")
    return LabelledImages(np.stack(images), np.array(labels, np.int64), tuple(classes))


def list_pictures(folder: Path) -> list[Path]:
    """Return the picture files of a folder, sorted by name."""
    if not folder.is_dir():
        raise DatasetError(f"no folder at {folder}")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return a picture as RGB, shape (H, W, 3)."""
    data = np.fromfile(path, np.uint8)
    return decode_rgb(data, path)


def decode_rgb(data: NDArray[np.uint8], origin: Path | str) -> NDArray[np.uint8]:
    """Return encoded bytes as RGB, shape (H, W, 3); ``origin`` names them in the error."""
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if decoded is None:
        raise DatasetError(f"{origin} is not a readable picture")
    return np.ascontiguousarray(decoded[:, :, ::-1], dtype=np.uint8)


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the largest centred part that has the proportions of ``size``, resized to it by area average."""
    height, width = image.shape[:2]
    scale = min(height / size[0], width / size[1])
    cut_height, cut_width = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - cut_height) // 2, (width - cut_width) // 2
    part = image[top : top + cut_height, left : left + cut_width]
    # Area averaging is defined for shrinking; it would leave blocks when a small picture grows.
    method = cv2.INTER_AREA if scale >= 1 else cv2.INTER_CUBIC
    return cv2.resize(part, (size[1], size[0]), interpolation=method).astype(np.uint8)

"""MNIST from its official idx files, packed or not."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from networks.datasets.labelled import DatasetError, LabelledImages, check_labels, check_split, locate_data

MNIST_CLASSES = tuple(str(digit) for digit in range(10))


def load_mnist(split: str, folder: Path | None = None) -> LabelledImages:
    """Return MNIST's 60,000 training or 10,000 test digits, grey, 28x28.

    Parameters
    ----------
    split : {"train", "test"}
        Which part.
    folder : Path, optional
        A folder with the official files (``train-images-idx3-ubyte`` ..., with or without ``.gz``); default:
        ``mnist`` in the data folder.

    Returns
    -------
    LabelledImages
        Images of shape (N, 28, 28, 1).

    Raises
    ------
    DatasetError
        If a file is missing, damaged or of the wrong size.
    """
    check_split(split, "train", "test")
    folder = locate_data() / "mnist" if folder is None else Path(folder)
    prefix = "train" if split == "train" else "t10k"
    image_path, images = _read_idx(folder, f"{prefix}-images-idx3-ubyte", 3)
    label_path, labels = _read_idx(folder, f"{prefix}-labels-idx1-ubyte", 1)
    if images.shape[1:] != (28, 28):
        raise DatasetError(f"{image_path} should hold 28x28 images, got {images.shape[1]}x{images.shape[2]}")
    check_labels(labels.astype(np.int64), len(images), 10, label_path)
    return LabelledImages(images[..., None], labels.astype(np.int64), MNIST_CLASSES)


def _read_idx(folder: Path, name: str, dimensions: int) -> tuple[Path, NDArray[np.uint8]]:
    """Read an idx file: two zero bytes, type 8 (uint8), number of dimensions, big-endian sizes, then the values."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise DatasetError(f"{folder} holds neither {name} nor {name}.gz")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, OSError, zlib.error):
        raise DatasetError(f"{path} is truncated or no gzip file: get it again") from None
    header = 4 + 4 * dimensions
    if data[:4] != bytes([0, 0, 8, dimensions]) or len(data) < header:
        raise DatasetError(f"{path} is not an idx file of {dimensions}-dimensional bytes")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", dimensions, offset=4))
    values = np.frombuffer(data, np.uint8, offset=header)
    if values.size != np.prod(shape, dtype=np.int64):
        raise DatasetError(f"{path} is truncated: {values.size} values where its header promises {shape}")
    return path, values.reshape(shape).copy()  # bytes objects lend read-only memory

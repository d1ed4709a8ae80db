"""CIFAR-10 from every layout it is found in: the two official ones, packed or unpacked, and lossless picture grids."""

import io
import pickle
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from networks.datasets.labelled import DatasetError, LabelledImages, check_labels, check_split, locate_data

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_RECORD = 1 + 3 * 32 * 32  # bytes of one image in the official binary layout: label, then planes R, G, B
_Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load_cifar10(split: str, folder: Path | None = None) -> LabelledImages:
    """Return CIFAR-10's 50,000 training or 10,000 test images in the official order.

    Parameters
    ----------
    split : {"train", "test"}
        Which part.
    folder : Path, optional
        A folder with any of: the official binary files (``data_batch_1.bin`` ...), the official Python ones
        (``data_batch_1`` ...), either within its own official folder (``cifar-10-batches-bin``,
        ``cifar-10-batches-py``) or archive (``cifar-10-binary.tar.gz``, ``cifar-10-python.tar.gz``), or the same
        batches as lossless 100x100 grids (``data_batch_1.webp`` and ``data_batch_1.labels.txt``); default:
        ``cifar10`` in the data folder.

    Raises
    ------
    DatasetError
        If a file is missing, unreadable or of the wrong size.
    """
    check_split(split, "train", "test")
    folder = locate_data() / "cifar10" if folder is None else Path(folder)
    names = [f"data_batch_{n}" for n in range(1, 6)] if split == "train" else ["test_batch"]
    archive = _archive(folder, names[0])
    parts = _read_archive(archive, names) if archive else [_read_files(folder, name) for name in names]
    images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    return LabelledImages(images, labels, CIFAR10_CLASSES)


def _unpacked(folder: Path, name: str) -> tuple[Path, Callable[[bytes, str], _Batch]] | None:
    """Return the file that holds a batch in an official layout and what reads it, or None."""
    for home in (folder, folder / "cifar-10-batches-bin", folder / "cifar-10-batches-py"):
        if (home / f"{name}.bin").is_file():
            return home / f"{name}.bin", _from_binary
        if (home / name).is_file():
            return home / name, _from_pickle
    return None


def _archive(folder: Path, first: str) -> Path | None:
    """Return the official archive in ``folder``, unless the batches lie there unpacked."""
    if _unpacked(folder, first) is not None or (folder / f"{first}.webp").exists():
        return None
    found = (folder / name for name in ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"))
    return next((path for path in found if path.is_file()), None)


def _read_archive(path: Path, names: list[str]) -> list[_Batch]:
    """Read batches from an official archive in one pass, since a compressed one cannot be read out of order."""
    binary = "binary" in path.name
    wanted = {f"{name}.bin" if binary else name: name for name in names}
    content: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member) if Path(member.name).name in wanted else None
                if file is not None:
                    content[wanted[Path(member.name).name]] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error):
        raise DatasetError(f"{path} is truncated or no tar archive: get it again") from None
    missing = [name for name in names if name not in content]
    if missing:
        raise DatasetError(f"{path} holds no {missing[0]}: it is not the official CIFAR-10 archive")
    read = _from_binary if binary else _from_pickle
    return [read(content[name], f"{name} in {path}") for name in names]


def _read_files(folder: Path, name: str) -> _Batch:
    """Read one official batch of 10,000 images."""
    found = _unpacked(folder, name)
    if found is not None:
        path, read = found
        return read(path.read_bytes(), str(path))
    grid_path, label_path = folder / f"{name}.webp", folder / f"{name}.labels.txt"
    if grid_path.exists() and label_path.exists():
        return _from_grid(grid_path, label_path)
    raise DatasetError(
        f"{folder} holds no {name}: neither {name}.bin, nor the Python batch {name}, nor {name}.webp with"
        f" {name}.labels.txt, nor an official archive"
    )


def _from_binary(data: bytes, origin: str) -> _Batch:
    raw = np.frombuffer(data, np.uint8)
    if raw.size == 0 or raw.size % _RECORD:
        raise DatasetError(f"{origin} is not a CIFAR-10 binary batch: its size is no multiple of {_RECORD} bytes")
    records = raw.reshape(-1, _RECORD)
    return _checked(records[:, 1:], records[:, 0].astype(np.int64), origin)


def _from_grid(grid_path: Path, label_path: Path) -> _Batch:
    decoded = cv2.imread(str(grid_path), cv2.IMREAD_COLOR)
    if decoded is None or decoded.shape != (3200, 3200, 3):
        raise DatasetError(f"{grid_path} is not a readable 3200x3200 grid of CIFAR-10 images")
    tiles = decoded[:, :, ::-1].reshape(100, 32, 100, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    try:
        labels = np.loadtxt(label_path, dtype=np.int64, ndmin=1)
    except ValueError:
        raise DatasetError(f"{label_path} should hold one class number a line") from None
    check_labels(labels, len(tiles), len(CIFAR10_CLASSES), label_path)
    return np.ascontiguousarray(tiles, dtype=np.uint8), labels


class _ArraysOnly(pickle.Unpickler):
    """Reads pickles of plain containers and NumPy arrays, and refuses whatever else a pickle could run."""

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed constructor; raise for any other."""
        # The official batches were pickled under an old NumPy, whose module was called numpy.core.
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        # How Python 3 writes bytes in the old protocol; always latin1.
        if (module, name) == ("_codecs", "encode"):
            return lambda text, _encoding: text.encode("latin1")
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")


def _from_pickle(data: bytes, origin: str) -> _Batch:
    try:
        batch = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        values = np.asarray(batch[b"data" if b"data" in batch else "data"])
        labels = np.asarray(batch[b"labels" if b"labels" in batch else "labels"], np.int64)
        records = values.reshape(-1, _RECORD - 1)
    # A damaged pickle fails in whichever way its bytes happen to ask for.
    except Exception:
        raise DatasetError(f"{origin} is not a CIFAR-10 Python batch, or it is damaged") from None
    if records.dtype != np.uint8:
        raise DatasetError(f"{origin} should hold uint8 pixels, got {records.dtype}")
    return _checked(records, labels, origin)


def _checked(records: NDArray[np.uint8], labels: NDArray[np.int64], origin: str) -> _Batch:
    """Return planes as pictures, after a look at the labels."""
    check_labels(labels, len(records), len(CIFAR10_CLASSES), origin)
    return np.ascontiguousarray(records.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)), labels

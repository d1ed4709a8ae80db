"""CIFAR-10 in the layouts it is found in."""

import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from networks import LabelledImages, load_cifar10, locate_data
from networks.datasets import DatasetError


def write_binary(folder: Path, name: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Write a batch in the official binary layout, byte by byte: label, then red, green and blue planes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, count)
    with (folder / f"{name}.bin").open("wb") as file:
        for image, label in zip(images, labels, strict=True):
            file.write(bytes([label]))
            for channel in range(3):
                file.write(image[:, :, channel].tobytes())
    return images, labels


def test_the_official_binary_layout_is_read_in_order(tmp_path: Path) -> None:
    parts = [write_binary(tmp_path, f"data_batch_{n}", 4, n) for n in range(1, 6)]
    train = load_cifar10("train", tmp_path)
    np.testing.assert_array_equal(train.images, np.concatenate([p[0] for p in parts]))
    np.testing.assert_array_equal(train.labels, np.concatenate([p[1] for p in parts]))


def write_pickle(folder: Path, name: str, images: np.ndarray, labels: np.ndarray) -> None:
    """Write a batch in the official Python layout: rows of 3,072 values, planes R, G, B, in a pickle of bytes keys."""
    rows = np.stack([np.concatenate([image[:, :, channel].ravel() for channel in range(3)]) for image in images])
    batch = {b"batch_label": b"of a test", b"labels": [int(n) for n in labels], b"data": rows, b"filenames": []}
    (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.parametrize("packed", [False, True])
def test_the_official_python_layout_is_read_like_the_binary_one(tmp_path: Path, packed: bool) -> None:
    images, labels = write_binary(tmp_path, "test_batch", 5, 0)
    home = tmp_path / "official" / "cifar-10-batches-py"
    home.mkdir(parents=True)
    write_pickle(home, "test_batch", images, labels)
    folder = home.parent
    if packed:
        folder = tmp_path / "packed"
        folder.mkdir()
        with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz") as archive:
            archive.add(home, "cifar-10-batches-py")
    for layout in (tmp_path, folder):
        test = load_cifar10("test", layout)
        np.testing.assert_array_equal(test.images, images)
        np.testing.assert_array_equal(test.labels, labels)


def test_a_batch_pickled_by_an_old_numpy_is_read(tmp_path: Path) -> None:
    images, labels = write_binary(tmp_path, "other", 3, 1)
    write_pickle(tmp_path, "test_batch", images, labels)
    data = (tmp_path / "test_batch").read_bytes()
    (tmp_path / "test_batch").write_bytes(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    np.testing.assert_array_equal(load_cifar10("test", tmp_path).images, images)


class _Trap:
    """Pickles as a call of ``Path.touch``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_would_run_something_is_refused_unrun(tmp_path: Path) -> None:
    (tmp_path / "test_batch").write_bytes(pickle.dumps({b"data": _Trap(tmp_path / "sprung"), b"labels": []}))
    with pytest.raises(DatasetError, match="not a CIFAR-10 Python batch"):
        load_cifar10("test", tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_cut_archive_and_one_of_something_else_are_named(tmp_path: Path) -> None:
    archive = tmp_path / "cifar-10-binary.tar.gz"
    write_binary(tmp_path, "data_batch_9", 40, 0)
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "data_batch_9.bin", "cifar-10-batches-bin/data_batch_9.bin")
    with pytest.raises(DatasetError, match="holds no test_batch"):
        load_cifar10("test", tmp_path)
    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(DatasetError, match="truncated"):
        load_cifar10("test", tmp_path)


def test_labels_out_of_range_are_refused(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes([10]) + bytes(3072))
    with pytest.raises(DatasetError, match=r"labels outside 0\.\.9"):
        load_cifar10("test", tmp_path)


def test_another_number_of_labels_than_images_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_pickle(tmp_path, "test_batch", rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8), np.arange(3))
    with pytest.raises(DatasetError, match="should hold 4 labels, one for each image, but holds 3"):
        load_cifar10("test", tmp_path)


def test_the_pack_has_the_known_statistics(cifar10_test: LabelledImages) -> None:
    assert cifar10_test.images.shape == (10_000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(cifar10_test.labels), [1000] * 10)
    assert cifar10_test.classes[cifar10_test.labels[0]] == "cat"
    np.testing.assert_allclose(cifar10_test.images.mean((0, 1, 2)) / 255, (0.494, 0.485, 0.450), atol=2e-3)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "holds no test_batch"),
        (lambda folder: (folder / "test_batch.bin").write_bytes(b"123"), "not a CIFAR-10 binary batch"),
        (
            lambda folder: [(folder / f"test_batch.{e}").write_bytes(b"x") for e in ("webp", "labels.txt")],
            "not a readable",
        ),
    ],
)
def test_missing_and_damaged_batches_are_named(tmp_path: Path, prepare, message: str) -> None:
    prepare(tmp_path)
    with pytest.raises(DatasetError, match=message):
        load_cifar10("test", tmp_path)


def test_the_data_folder_is_named_when_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUFFLECAM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match="nowhere"):
        locate_data()
    with pytest.raises(DatasetError, match="train"):
        load_cifar10("validation")

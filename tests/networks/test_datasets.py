"""CIFAR-10 in the layouts it is found in."""

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

"""MNIST, faces, image folders and masks: what is read, and what is said of damage."""

import gzip
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from networks import (
    CAMVID_VOID,
    DatasetError,
    download_dataset,
    load_camvid,
    load_faces,
    load_image_folder,
    load_mask_folder,
    load_mnist,
    locate_data,
)


@pytest.fixture(scope="module")
def data() -> Path:
    try:
        return locate_data()
    except DatasetError as error:
        pytest.skip(str(error))


def idx(magic: bytes, shape: tuple[int, ...], values: bytes) -> bytes:
    return magic + b"".join(n.to_bytes(4, "big") for n in shape) + values


def write_mnist(folder: Path, packed: bool) -> np.ndarray:
    digits = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    files = {
        "t10k-images-idx3-ubyte": idx(b"\0\0\x08\x03", (3, 28, 28), digits.tobytes()),
        "t10k-labels-idx1-ubyte": idx(b"\0\0\x08\x01", (3,), bytes([7, 0, 9])),
    }
    for name, content in files.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(content) if packed else content)
    return digits


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    digits = write_mnist(tmp_path, packed)
    test = load_mnist("test", tmp_path)
    np.testing.assert_array_equal(test.images[..., 0], digits)
    assert test.labels.tolist() == [7, 0, 9]
    assert test.classes[7] == "7"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("t10k-images-idx3-ubyte", lambda b: b[:-1], "truncated"),
        ("t10k-images-idx3-ubyte", lambda b: b"\x89PNG" + b, "not an idx file"),
        ("t10k-labels-idx1-ubyte", lambda b: idx(b"\0\0\x08\x01", (2,), b"\1\2"), "should hold 3 labels"),
        ("t10k-labels-idx1-ubyte", lambda b: b[:-1] + b"\x0b", "outside 0..9"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, name: str, change: Callable[[bytes], bytes], message: str) -> None:
    write_mnist(tmp_path, packed=False)
    (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    with pytest.raises(DatasetError, match=message) as error:
        load_mnist("test", tmp_path)
    assert name in str(error.value)


def test_a_cut_gzip_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds neither train-images"):
        load_mnist("train", tmp_path)
    write_mnist(tmp_path, packed=True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match="truncated"):
        load_mnist("test", tmp_path)


def test_the_mnist_pack_has_the_known_counts(data: Path) -> None:
    test = load_mnist("test", data / "mnist")
    assert test.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_fifty_eigenfaces_recognise_the_other_half_of_the_faces(data: Path) -> None:
    train, test = (load_faces(split, data / "faces") for split in ("train", "test"))
    rows = [part.images.reshape(200, -1).astype(np.float64) for part in (train, test)]
    mean = rows[0].mean(0)
    axes = np.linalg.svd(rows[0] - mean, full_matrices=False)[2][:50]
    known, asked = ((part - mean) @ axes.T for part in rows)
    nearest = ((asked[:, None] - known[None]) ** 2).sum(2).argmin(1)
    # The data's own README states this figure.
    assert (train.labels[nearest] == test.labels).mean() == 0.885


def test_a_zip_without_the_faces_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "att_faces.zip", "w") as archive:
        archive.writestr("s1/2.pgm", b"P5 1 1 255 0")
    with pytest.raises(DatasetError, match="not the AT&T set"):
        load_faces("train", tmp_path)
    with pytest.raises(DatasetError, match="no picture at"):
        load_faces("train", tmp_path / "nowhere")


def write_picture(path: Path, height: int, width: int, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), (value, 0, 255), np.uint8))


def test_an_image_folder_has_its_subfolders_as_classes(tmp_path: Path) -> None:
    write_picture(tmp_path / "owl" / "b.png", 4, 6, 10)
    write_picture(tmp_path / "owl" / "a.png", 4, 6, 20)
    write_picture(tmp_path / "ant" / "c.bmp", 4, 6, 30)
    (tmp_path / "owl" / "notes.txt").write_text("no picture")
    folder = load_image_folder(tmp_path)
    assert folder.classes == ("ant", "owl")
    assert folder.labels.tolist() == [0, 1, 1]
    np.testing.assert_array_equal(folder.images[:, 0, 0], [(255, 0, 30), (255, 0, 20), (255, 0, 10)])


def test_pictures_of_other_sizes_need_a_size_and_are_cut_in_the_middle(tmp_path: Path) -> None:
    write_picture(tmp_path / "ant" / "a.png", 4, 6)
    stripes = np.zeros((4, 12, 3), np.uint8)
    stripes[:, 4:8] = 200
    (tmp_path / "owl").mkdir()
    cv2.imwrite(str(tmp_path / "owl" / "b.png"), stripes)
    with pytest.raises(DatasetError, match="12x4, unlike the pictures before it: give a size"):
        load_image_folder(tmp_path)
    folder = load_image_folder(tmp_path, size=(2, 2))
    assert folder.images.shape == (2, 2, 2, 3)
    np.testing.assert_array_equal(folder.images[1], 200)


def test_empty_missing_and_damaged_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no pictures"):
        load_image_folder(tmp_path)
    with pytest.raises(DatasetError, match="no folder at"):
        load_image_folder(tmp_path / "nowhere")
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"a\.jpg is not a readable picture"):
        load_image_folder(tmp_path)


def write_pair(folder: Path, stem: str, mask: np.ndarray, palette: bool = False) -> None:
    write_picture(folder / "images" / f"{stem}.png", *mask.shape)
    (folder / "masks").mkdir(exist_ok=True)
    picture = Image.fromarray(mask)
    if palette:
        picture = picture.convert("P")
        picture.putdata(mask.ravel().tolist())
        picture.putpalette([value for n in range(256) for value in (n, 255 - n, 7)])
    picture.save(folder / "masks" / f"{stem}.png")


@pytest.mark.parametrize("palette", [False, True])
def test_masks_are_read_as_class_numbers(tmp_path: Path, palette: bool) -> None:
    mask = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)
    write_pair(tmp_path, "one", mask, palette)
    pairs = load_mask_folder(tmp_path / "images", tmp_path / "masks", ("sky", "road", "car"))
    np.testing.assert_array_equal(pairs.masks, mask[None])
    assert pairs.images.shape == (1, 2, 3, 3)


def test_masks_that_do_not_belong_to_their_pictures_are_named(tmp_path: Path) -> None:
    def load() -> None:
        load_mask_folder(tmp_path / "images", tmp_path / "masks", ("sky", "road"))

    write_pair(tmp_path, "one", np.array([[0, 2]], np.uint8))
    with pytest.raises(DatasetError, match="class number 2; there are 2 classes"):
        load()
    write_pair(tmp_path, "one", np.array([[0, 1]], np.uint8))
    load()
    write_picture(tmp_path / "images" / "two.png", 1, 2)
    with pytest.raises(DatasetError, match=r"two\.png has no mask"):
        load()
    Image.fromarray(np.zeros((3, 2), np.uint8)).save(tmp_path / "masks" / "two.png")
    with pytest.raises(DatasetError, match="has shape"):
        load()
    write_picture(tmp_path / "masks" / "two.png", 1, 2)
    with pytest.raises(DatasetError, match="is no mask"):
        load()


def test_validation_scenes_can_be_trained_on_too(tmp_path: Path) -> None:
    for split, count in (("train", 2), ("val", 1)):
        for number in range(count):
            write_pair(tmp_path / split, f"{split}{number}", np.full((2, 3), number, np.uint8))
        (tmp_path / split / "masks").rename(tmp_path / f"{split}annot")
        (tmp_path / split / "images").rename(tmp_path / "moved")
        (tmp_path / split).rmdir()
        (tmp_path / "moved").rename(tmp_path / split)
    both = load_camvid("trainval", tmp_path)
    assert both.images.shape == (3, 2, 3, 3)
    assert both.masks[:, 0, 0].tolist() == [0, 1, 0]
    assert both.void == CAMVID_VOID


def test_an_archive_of_scenes_that_is_cut_or_lacks_a_part_is_named(tmp_path: Path) -> None:
    write_pair(tmp_path / "camvid", "one", np.zeros((30, 40), np.uint8))
    archive = tmp_path / "camvid_240x180.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(tmp_path / "camvid" / "images", "camvid/test")
        packed.add(tmp_path / "camvid" / "masks", "camvid/testannot")
    (tmp_path / "camvid").rename(tmp_path / "unpacked")
    assert load_camvid("test", tmp_path).images.shape == (1, 30, 40, 3)
    with pytest.raises(DatasetError, match=r"camvid_240x180\.tar \(val\) holds no pictures"):
        load_camvid("val", tmp_path)
    archive.write_bytes(archive.read_bytes()[:2500])
    with pytest.raises(DatasetError, match="is truncated or no tar archive"):
        load_camvid("test", tmp_path)


def test_the_camvid_pack_has_the_known_class_shares(data: Path) -> None:
    validation = load_camvid("val", data / "camvid")
    assert validation.images.shape == (101, 180, 240, 3)
    assert len(validation.classes) == 11
    assert set(np.unique(validation.masks)) == set(range(12))
    assert 0.01 < (validation.masks == CAMVID_VOID).mean() < 0.06


def test_a_download_without_a_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", refuse)
    with pytest.raises(DatasetError, match="without a network, put the official file into"):
        download_dataset("mnist", tmp_path)
    with pytest.raises(DatasetError, match="choose one of cifar10, mnist"):
        download_dataset("imagenet", tmp_path)
    assert not list(tmp_path.iterdir())

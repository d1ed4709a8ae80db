"""Pictures with a class number for every pixel: CamVid and folders like it."""

import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from networks.datasets.image_folder import decode_rgb, list_pictures
from networks.datasets.labelled import DatasetError, check_split, locate_data

CAMVID_CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
CAMVID_VOID = 11


@dataclass(frozen=True)
class SegmentedImages:
    """Images with their masks.

    Attributes
    ----------
    images : uint8 array, shape (N, H, W, 3)
        RGB.
    masks : uint8 array, shape (N, H, W)
        Class number of every pixel, or ``void``.
    classes : tuple of str
        Class names, by number.
    void : int
        The number that losses and scores leave out.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    classes: tuple[str, ...]
    void: int = 255

    def subset(self, count: int) -> "SegmentedImages":
        """Return the first ``count`` images, or all of them when there are fewer."""
        return SegmentedImages(self.images[:count], self.masks[:count], self.classes, self.void)


def load_camvid(split: str, folder: Path | None = None) -> SegmentedImages:
    """Return CamVid's 367 training, 101 validation or 233 test scenes in 11 classes.

    Parameters
    ----------
    split : {"train", "val", "test", "trainval"}
        Which part; ``"trainval"``: the first two, 468 scenes.
    folder : Path, optional
        A folder with ``camvid_240x180.tar``, or with the subfolders ``train`` and ``trainannot`` and so on; default:
        ``camvid`` in the data folder. The data are for personal and research use only.

    Raises
    ------
    DatasetError
        If files are missing or damaged, or pictures and masks do not belong together.
    """
    check_split(split, "train", "val", "test", "trainval")
    if split == "trainval":
        both = load_camvid("train", folder), load_camvid("val", folder)
        images, annotated = (np.concatenate([getattr(part, name) for part in both]) for name in ("images", "masks"))
        return SegmentedImages(images, annotated, CAMVID_CLASSES, CAMVID_VOID)
    folder = locate_data() / "camvid" if folder is None else Path(folder)
    archive = folder / "camvid_240x180.tar"
    if (folder / split).is_dir() or not archive.is_file():
        return load_mask_folder(folder / split, folder / f"{split}annot", CAMVID_CLASSES, void=CAMVID_VOID)
    content: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as packed:
            for member in packed:
                file = packed.extractfile(member) if f"/{split}" in member.name else None
                if file is not None:
                    content[member.name] = file.read()
    except (tarfile.TarError, EOFError, OSError):
        raise DatasetError(f"{archive} is truncated or no tar archive: get it again") from None
    pictures = {Path(name).stem: name for name in content if f"/{split}/" in name}
    masks = {Path(name).stem: name for name in content if f"/{split}annot/" in name}
    return _pair(pictures, masks, content.__getitem__, f"{archive} ({split})", CAMVID_CLASSES, CAMVID_VOID)


def load_mask_folder(
    images: Path | str, masks: Path | str, classes: Sequence[str], *, void: int = 255
) -> SegmentedImages:
    """Return pictures and masks of two folders, paired by file name without its suffix.

    Parameters
    ----------
    images, masks : path
        Folders of pictures, and of masks as grey or palette pictures whose values are class numbers (the layouts of
        CamVid and Pascal VOC). Pictures without a mask are an error, as are masks without a picture.
    classes : sequence of str
        Class names, by number.
    void : int
        The mask value that belongs to no class.

    Raises
    ------
    DatasetError
        If files are missing or damaged, sizes differ, or a mask holds an unknown class number.
    """
    pictures, annotated = ({path.stem: str(path) for path in list_pictures(Path(folder))} for folder in (images, masks))
    return _pair(pictures, annotated, lambda name: Path(name).read_bytes(), str(images), tuple(classes), void)


def _pair(
    pictures: dict[str, str],
    masks: dict[str, str],
    read: Callable[[str], bytes],
    origin: str,
    classes: tuple[str, ...],
    void: int,
) -> SegmentedImages:
    """Read pairs of picture and mask by common stem."""
    if not pictures:
        raise DatasetError(f"{origin} holds no pictures")
    for stem in sorted(pictures.keys() ^ masks.keys()):
        there, lacks = (pictures, "mask") if stem in pictures else (masks, "picture")
        raise DatasetError(f"{there[stem]} has no {lacks} of the same name")
    images_out: list[NDArray[np.uint8]] = []
    masks_out: list[NDArray[np.uint8]] = []
    for stem in sorted(pictures):
        image = decode_rgb(np.frombuffer(read(pictures[stem]), np.uint8), pictures[stem])
        mask = _read_mask(read(masks[stem]), masks[stem])
        if mask.shape != image.shape[:2]:
            raise DatasetError(f"{masks[stem]} has shape {mask.shape}, its picture {image.shape[:2]}")
        if images_out and image.shape != images_out[0].shape:
            raise DatasetError(f"{pictures[stem]} has another size than the pictures before it")
        if (unknown := mask[(mask >= len(classes)) & (mask != void)]).size:
            raise DatasetError(f"{masks[stem]} holds class number {unknown[0]}; there are {len(classes)} classes")
        images_out.append(image)
        masks_out.append(mask)
    return SegmentedImages(np.stack(images_out), np.stack(masks_out), classes, void)


def _read_mask(data: bytes, origin: str) -> NDArray[np.uint8]:
    """Return a mask's values; palette pictures give their palette numbers, which OpenCV would turn into colours."""
    try:
        with Image.open(BytesIO(data)) as picture:
            values = np.asarray(picture)
    except (UnidentifiedImageError, OSError, SyntaxError):
        raise DatasetError(f"{origin} is not a readable mask") from None
    if values.ndim != 2 or values.dtype != np.uint8:
        raise DatasetError(f"{origin} is no mask: it should be an 8-bit grey or palette picture of class numbers")
    return values

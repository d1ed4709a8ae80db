"""The AT&T (ORL) faces: 40 people, ten grey pictures each."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from networks.datasets.labelled import DatasetError, LabelledImages, check_split, locate_data

_PEOPLE, _PICTURES = 40, 10


def load_faces(split: str, folder: Path | None = None) -> LabelledImages:
    """Return the first five pictures of every person for training, or the last five for tests.

    Parameters
    ----------
    split : {"train", "test"}
        Which half.
    folder : Path, optional
        A folder with ``att_faces.zip``, or with the folders ``s1`` .. ``s40`` of ``1.pgm`` .. ``10.pgm``; default:
        ``faces`` in the data folder.

    Returns
    -------
    LabelledImages
        200 images of shape (112, 92, 1); classes ``s1`` .. ``s40``.

    Raises
    ------
    DatasetError
        If a picture is missing or damaged.
    """
    check_split(split, "train", "test")
    folder = locate_data() / "faces" if folder is None else Path(folder)
    numbers = range(1, 6) if split == "train" else range(6, _PICTURES + 1)
    names = [f"s{person}/{number}.pgm" for person in range(1, _PEOPLE + 1) for number in numbers]
    archive = folder / "att_faces.zip"
    if (folder / names[0]).is_file() or not archive.is_file():
        pictures = [_decode(_read(folder / name), folder / name) for name in names]
    else:
        try:
            with zipfile.ZipFile(archive) as packed:
                pictures = [_decode(packed.read(name), f"{name} in {archive}") for name in names]
        except KeyError as error:
            raise DatasetError(f"{archive} is not the AT&T set: {error.args[0]}") from None
        except (zipfile.BadZipFile, OSError):
            raise DatasetError(f"{archive} is truncated or no zip file: get it again") from None
    labels = np.repeat(np.arange(_PEOPLE, dtype=np.int64), len(numbers))
    return LabelledImages(np.stack(pictures)[..., None], labels, tuple(f"s{n}" for n in range(1, _PEOPLE + 1)))


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise DatasetError(f"no picture at {path}: the folder should hold att_faces.zip or s1/1.pgm to s40/10.pgm")
    return path.read_bytes()


def _decode(data: bytes, origin: Path | str) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if picture is None or picture.shape != (112, 92):
        raise DatasetError(f"{origin} is not a readable picture of 92x112 pixels")
    return picture.astype(np.uint8)

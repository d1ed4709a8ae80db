"""Where a stream's pictures come from: a camera, a video or a folder."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError
from shufflecam.inputs import PICTURES, expand, named
from shufflecam.sources import read_picture
from shufflecam.videos import is_video, video_frames

Picture = NDArray[np.uint8]


class LiveError(ShuffleCamError):
    """A stream that cannot be opened, or a video that cannot be written."""


def pictures_of(source: str) -> Iterator[Picture]:
    """Yield a stream's pictures, uint8 sRGB (H, W, 3).

    Parameters
    ----------
    source : str
        Number of a camera such as ``"0"``, a video file, or a folder whose pictures are taken by name.

    Raises
    ------
    LiveError
        If there is no such camera, video or folder.
    ShuffleCamError
        Naming the file, if one cannot be read.
    """
    path = Path(source)
    if source.isdecimal() and not path.exists():
        yield from _camera(int(source))
    elif path.is_dir():
        for item in expand([path], PICTURES):
            with named(item.path):
                yield _rgb(read_picture(item.path))
    elif path.is_file() and is_video(path):
        yield from video_frames(path)
    else:
        raise LiveError(f"{source} is no camera's number, no video file and no folder of pictures")


def _camera(number: int) -> Iterator[Picture]:
    # It prints a line for every driver that knows of no such camera.
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(0)
    device = cv2.VideoCapture(number)
    cv2.utils.logging.setLogLevel(level)
    try:
        if not device.isOpened():
            raise LiveError(f"there is no camera {number}; give another number, a video file or a folder")
        while True:
            done, picture = device.read()
            if not done:
                return
            yield np.ascontiguousarray(picture[:, :, ::-1])
    finally:
        device.release()


def _rgb(picture: NDArray[np.unsignedinteger]) -> Picture:
    eight_bit = (picture >> 8).astype(np.uint8) if picture.dtype == np.uint16 else picture.astype(np.uint8)
    return eight_bit if eight_bit.ndim == 3 else np.repeat(eight_bit[:, :, None], 3, axis=2)

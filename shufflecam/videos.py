"""Videos as inputs: one frame after the other, never the whole video in memory."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor import SceneError
from shufflecam.inputs import VIDEOS


def is_video(path: Path) -> bool:
    """Return whether a file is taken as a video, by its ending."""
    return path.suffix.lower() in VIDEOS


def video_frames(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a video, uint8 sRGB, shape (H, W, 3).

    Raises
    ------
    SceneError
        Naming the file, if it cannot be opened or holds no frame.
    """
    video = cv2.VideoCapture(str(path))
    try:
        empty = True
        while True:
            done, picture = video.read()
            if not done:
                break
            empty = False
            yield np.ascontiguousarray(picture[:, :, ::-1])
    finally:
        video.release()
    if empty:
        raise SceneError(f"{path}: not a video that can be read; is it damaged, or another kind of file?")


def frame_path(folder: Path, number: int, ending: str) -> Path:
    """Return the path of a frame in its video's folder.

    >>> frame_path(Path("clip.mp4"), 7, ".dng").as_posix()
    'clip.mp4/000007.dng'
    """
    return folder / f"{number:06d}{ending}"


def drop_frames(folder: Path, kept: set[Path]) -> None:
    """Remove frames that an earlier, longer version of a video left in its folder."""
    for path in folder.iterdir():
        if path not in kept and path.stem.isdecimal():
            path.unlink()

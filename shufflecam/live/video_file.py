"""Videos that are either whole or not there."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler.files import is_abandoned, try_lock
from shufflecam.live.stream import LiveError

_ENDING = ".shufflecam-video"
VIDEO_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "MJPG"}


class VideoFile:
    """A video that is either whole or not there; for a ``with`` block.

    What killed processes left half-written in the same folder is taken away.

    Parameters
    ----------
    path : Path
        Ends in .mp4, .avi or .mkv.
    frames_per_s : float

    Raises
    ------
    LiveError
        If the ending is another one, or the video cannot be written.
    """

    def __init__(self, path: Path, frames_per_s: float) -> None:
        if path.suffix.lower() not in VIDEO_CODECS:
            raise LiveError(f"{path}: a video's name ends in {', '.join(VIDEO_CODECS)}")
        self._path, self._frames_per_s = path, frames_per_s
        self._writer: Any = None

    def __enter__(self) -> Self:
        for left in self._path.parent.glob(f".*{_ENDING}"):
            if is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        # A folder of its own, because OpenCV goes by the ending, which a temporary name has not.
        new = Path(tempfile.mkdtemp("", ".", self._path.parent))
        if sys.platform != "win32":  # a lock, so that what a killed process leaves can be told from what one writes
            self._owner = os.open(new, os.O_RDONLY)
            try_lock(self._owner)
        # Only now, locked, it gets the name by which others look for what was left.
        self._folder = new.rename(new.with_name(new.name + _ENDING))
        self._part = self._folder / f"video{self._path.suffix.lower()}"
        return self

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Write a frame; all must have the first one's size, and others are made so."""
        if self._writer is None:
            self._size = (picture.shape[1], picture.shape[0])
            codec = cv2.VideoWriter.fourcc(*VIDEO_CODECS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._part), codec, self._frames_per_s, self._size)
            if not self._writer.isOpened():
                raise LiveError(f"{self._path}: this video cannot be written; try a name that ends in .avi")
        if (picture.shape[1], picture.shape[0]) != self._size:
            self._writer.write(cv2.resize(picture, self._size, interpolation=cv2.INTER_NEAREST)[:, :, ::-1].copy())
        else:
            self._writer.write(picture[:, :, ::-1].copy())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._writer is not None:
                self._writer.release()
                # What was shown until Ctrl-C is worth keeping.
                if kind is None or issubclass(kind, KeyboardInterrupt):
                    self._part.replace(self._path)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            if sys.platform != "win32":
                os.close(self._owner)

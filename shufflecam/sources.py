"""Files that the program reads: RAW frames and pictures, told apart by their ending, decoded without chatter."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensor import Camera, RawFrame, Scene
from sensor.image_file import read_image
from shufflecam.inputs import PICTURES


def is_picture(path: Path) -> bool:
    """Return whether a file is taken as a picture to capture; anything else is taken as a RAW frame."""
    return path.suffix.lower() in PICTURES


def read_frame(path: Path) -> RawFrame:
    """Read a RAW file, ours or another camera's; errors as for :meth:`sensor.RawFrame.load`."""
    with _quiet_decoders():
        return RawFrame.load(path)


def read_scene(path: Path) -> Scene:
    """Read a picture as a scene; errors as for :meth:`sensor.Scene.from_image`."""
    with _quiet_decoders():
        return Scene.from_image(path)


def read_picture(path: Path) -> NDArray[np.unsignedinteger]:
    """Read a picture's codes as they are; errors as for :func:`sensor.image_file.read_image`."""
    with _quiet_decoders():
        return read_image(path)


def natural_frame(path: Path, camera: Camera, exposure_s: float = 0.01, frame: int = 0) -> RawFrame:
    """Return a picture's capture in natural order, or a RAW file's frame as it lies.

    Parameters
    ----------
    path : Path
        Picture or RAW file.
    camera : Camera
        Without a multiplexer; captures pictures.
    exposure_s : float
        Exposure of a capture, in seconds.
    frame : int
        Number of the capture, which its noise depends on.
    """
    if is_picture(path):
        return camera.capture(read_scene(path), exposure_s=exposure_s, frame=frame)
    return read_frame(path)


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Silence what OpenCV, libjpeg, libpng and LibRaw print about a damaged file while they decode it.

    They write to the process's standard error from C, past Python, so it leads nowhere meanwhile. What is wrong with
    the file reaches the user as the exception's one sentence.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)

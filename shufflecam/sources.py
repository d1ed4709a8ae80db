"""Files that the program reads: RAW frames and pictures, told apart by their ending, decoded without chatter."""

import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import ShuffleCamError
from sensor import Camera, RawFrame, Scene, SceneError, develop
from sensor.image_file import read_image
from sensor.srgb import srgb_table
from shufflecam import MOST_PX
from shufflecam.inputs import PICTURES, RAW_FILES
from shufflecam.videos import is_video, video_frames

_JPEG_COMPLAINTS = ("bad Huffman code", "premature end of data segment", "instead of RST")
_MOST_LEFT_OVER = 0.01
"""Some cameras leave a few bytes before the end of a sound JPEG; a larger share is a decoder that lost track."""

_MOST_HEARD = 1 << 16


def is_picture(path: Path) -> bool:
    """Return whether a file is taken as a picture to capture; anything else is taken as a RAW frame."""
    return path.suffix.lower() in PICTURES


def read_frame(path: Path) -> RawFrame:
    """Read a RAW file, ours or another camera's; errors as for :meth:`sensor.RawFrame.load`."""
    with quiet_decoders(path):
        return RawFrame.load(path)


def read_scene(path: Path) -> Scene:
    """Read a picture as a scene; errors as for :meth:`sensor.Scene.from_image`."""
    with quiet_decoders(path), _size_named(path):
        return Scene.from_image(path)


def read_picture(path: Path) -> NDArray[np.unsignedinteger]:
    """Read a picture's codes as they are; errors as for :func:`sensor.image_file.read_image`."""
    with quiet_decoders(path), _size_named(path):
        return read_image(path)


def read_plain(path: Path) -> NDArray[np.unsignedinteger]:
    """Read a picture's codes as they are, or develop a RAW file into 8-bit sRGB; errors as for either.

    Raises
    ------
    ShuffleCamError
        For a frame in shuffled order.
    """
    if path.suffix.lower() not in RAW_FILES:
        return read_picture(path)
    frame = read_frame(path)
    if frame.is_shuffled:
        raise ShuffleCamError(f"{path}: this frame is shuffled under key {frame.key_id}; reveal it first")
    return develop(frame, dtype=np.uint8)


def natural_frame(path: Path, camera: Camera, exposure_s: float = 0.01, frame: int = 0) -> RawFrame:
    """Return a picture's capture in natural order, that of a video's first frame, or a RAW file's frame as it lies.

    Parameters
    ----------
    path : Path
        Picture, video or RAW file.
    camera : Camera
        Without a multiplexer; captures pictures.
    exposure_s : float
        Exposure of a capture, in seconds.
    frame : int
        Number of the capture, which its noise depends on.
    """
    if is_picture(path):
        return camera.capture(read_scene(path), exposure_s=exposure_s, frame=frame)
    if is_video(path):
        first = Scene(next(video_frames(path)), srgb_table(255))
        return camera.capture(first, exposure_s=exposure_s, frame=frame)
    return read_frame(path)


@contextmanager
def _size_named(path: Path) -> Iterator[None]:
    """Say so when a picture is refused for its size; OpenCV does not tell why it refuses one."""
    try:
        yield
    except SceneError:
        width, height = _size_in_header(path)
        if width * height > MOST_PX:
            raise SceneError(
                f"{path}: a picture of {height} x {width} is too large; {MOST_PX} pixels are the most"
            ) from None
        raise


def _size_in_header(path: Path) -> tuple[int, int]:
    """Return width and height as a picture's header has them; zeros if they cannot be found."""
    from PIL import Image

    with suppress(Exception), warnings.catch_warnings():  # whatever a damaged file makes it raise
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(path) as image:
                return image.size
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    return 0, 0


@contextmanager
def quiet_decoders(path: Path) -> Iterator[None]:
    """Silence what OpenCV, libjpeg, libpng and LibRaw print about a file while they decode it, but listen to it.

    They write to the process's standard error from C, past Python, so it leads into a temporary file meanwhile. What
    makes them fail reaches the user as the exception's one sentence. A JPEG with wrong bytes inside does not make them
    fail, yet libjpeg says so when the wrong bytes make no sense to it; it stays silent when they do.

    Raises
    ------
    SceneError
        For a JPEG that libjpeg decoded with such complaints.
    """
    sys.stderr.flush()
    transcript, kept = _transcript(os.getpid()), os.dup(2)
    try:
        os.dup2(transcript, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        heard = _read_again(transcript)
    if heard and _tells_of_damage(heard, path):
        raise SceneError(f"{path}: the picture is damaged; parts of it do not decode")


def _read_again(transcript: int) -> str:
    """Return what was written into a file since it was empty, and empty it."""
    if os.lseek(transcript, 0, os.SEEK_CUR) == 0:
        return ""
    os.lseek(transcript, 0, os.SEEK_SET)
    heard = os.read(transcript, _MOST_HEARD).decode("utf-8", "replace")
    os.lseek(transcript, 0, os.SEEK_SET)
    os.ftruncate(transcript, 0)
    return heard


def _tells_of_damage(heard: str, path: Path) -> bool:
    left_over = sum(int(count) for count in re.findall(r"(\d+) extraneous bytes before marker", heard))
    if left_over > 0 and left_over > _MOST_LEFT_OVER * path.stat().st_size:
        return True
    return any(complaint in heard for complaint in _JPEG_COMPLAINTS)


@lru_cache(maxsize=1)  # making a file takes longer than decoding a small picture
def _transcript(process: int) -> int:
    """Return the handle of an unnamed file; a forked process has another one."""
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())

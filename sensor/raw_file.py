"""Open RAW files through LibRaw, with its failures turned into sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from sensor.errors import RawFileError

MAX_PX = 1 << 28
"""Largest frame that is read, 268 megapixels: above any camera, below what would fill a machine's memory."""

_MIN_BITS_PER_PX = 0.5
_FAILURES = (rawpy.LibRawError, MemoryError, ValueError)


@contextmanager
def open_raw(path: str | Path) -> Iterator[Any]:
    """Open a RAW file and yield rawpy's object; nothing of its pixels is unpacked yet.

    Raises
    ------
    RawFileError
        Naming the file, when it is missing, empty, not a RAW file, damaged, or claims a size it cannot have.
    """
    where = Path(path)
    try:
        if where.is_dir():
            raise RawFileError(f"{path}: this is a folder, not a RAW file")
        file_bytes = where.stat().st_size
        if file_bytes == 0:
            raise RawFileError(f"{path}: the file is empty")
        with where.open("rb"):
            pass
    except OSError as error:
        raise RawFileError(f"{path}: cannot read the file ({error.strerror})") from None
    try:
        raw = rawpy.imread(str(where))
    except (*_FAILURES, OSError) as error:
        raise RawFileError(f"{path}: not a RAW file that can be read ({_reason(error)})") from None
    with raw:
        sizes = raw.sizes
        pixels = sizes.raw_height * sizes.raw_width
        if pixels == 0 or pixels > MAX_PX:
            raise RawFileError(f"{path}: a frame of {sizes.raw_height} x {sizes.raw_width} pixels is not supported")
        if pixels * _MIN_BITS_PER_PX > file_bytes * 8:
            raise RawFileError(f"{path}: the file is cut short or damaged; it is too small for {pixels} pixels")
        yield raw


def raw_image(path: str | Path, raw: Any) -> Any:
    """Return the whole raw image, uint16, shape (H, W), margins included; a view into LibRaw's memory."""
    try:
        image = raw.raw_image
    except _FAILURES as error:
        raise RawFileError(f"{path}: the RAW data are cut short or damaged ({_reason(error)})") from None
    if image is None or image.ndim != 2:
        raise RawFileError(f"{path}: this RAW file has no colour-filter mosaic to read")
    return image


def colour_pattern(path: str | Path, raw: Any) -> Any:
    """Return LibRaw's colour indices at the visible picture's corner, or None for a file without a mosaic."""
    try:
        return raw.raw_pattern
    except (*_FAILURES, NotImplementedError) as error:
        raise RawFileError(f"{path}: this colour filter array is not supported ({_reason(error)})") from None


def linear_rgb(path: str | Path, raw: Any) -> NDArray[np.uint16]:
    """Return LibRaw's own picture in linear sRGB, 16 bit, with the camera's white balance and no brightening."""
    try:
        picture = raw.postprocess(gamma=(1, 1), no_auto_bright=True, output_bps=16, use_camera_wb=True)
    except (*_FAILURES, rawpy.NotSupportedError) as error:
        raise RawFileError(f"{path}: LibRaw cannot develop this file ({_reason(error)})") from None
    return np.ascontiguousarray(picture)


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)

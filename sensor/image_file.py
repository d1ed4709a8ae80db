"""Read a picture file whole, or say in one sentence why not."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor.errors import SceneError

_MAX_FILE_BYTES = 1 << 31
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frame headers: baseline, progressive and rarer kinds (ITU-T T.81, table B.1)."""
_AS_STORED = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
"""Unlike ``IMREAD_UNCHANGED``, these apply the EXIF orientation."""


def read_image(path: str | Path) -> NDArray[Any]:
    """Return the pixels of a picture file as stored: grey or RGB, 8 or 16 bit.

    16-bit files stay 16-bit and grey ones stay grey. Alpha is dropped and the stored colour under it kept, as
    OpenCV does. An EXIF orientation is applied. Files that end too early are refused, where OpenCV would return a
    picture with a grey lower part. Bytes that were changed inside a JPEG may go unseen: the format has no checksum,
    and most wrong bits decode to some other picture (PNG and TIFF with deflate have one).

    Parameters
    ----------
    path : str or Path
        JPEG, PNG, WebP, TIFF, BMP, PNM or what else OpenCV reads.

    Returns
    -------
    ndarray of uint8 or uint16, shape (H, W) or (H, W, 3)

    Raises
    ------
    SceneError
        Naming the file, when it is missing, empty, cut short, no picture, or not of 8 or 16 bits.
    """
    data, components = _whole_file(path)
    # libjpeg writes either order; of other files it is not known yet which of them are grey and have to stay so.
    is_rgb = components == 3
    image = _decoded(path, data, cv2.IMREAD_COLOR_RGB if is_rgb else _AS_STORED)
    if image.dtype not in (np.uint8, np.uint16):
        raise SceneError(f"{path}: pixels of type {image.dtype}; give an 8 or 16 bit picture, or use Scene.from_array")
    if image.ndim == 3 and not is_rgb:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(image)


def decoded_image(path: str | Path) -> Any:
    """Return what OpenCV decodes from a whole picture file: any type of number, colours as BGR; errors likewise."""
    return _decoded(path, _whole_file(path)[0], _AS_STORED)


def _whole_file(path: str | Path) -> tuple[bytes, int]:
    """Return the bytes of a file that has its end, and the number of colour components if it is a JPEG, else 0."""
    data, components = _read_bytes(Path(path)), 0
    if data.startswith(b"\xff\xd8\xff"):
        scan, components = _jpeg_scan(data)
        is_cut_short = data.rfind(b"\xff\xd9", scan) < 0  # from the end, where it nearly always is
    else:
        is_cut_short = _is_cut_short(data)
    if is_cut_short:
        raise SceneError(f"{path}: the picture is cut short; the file ends before its last pixel")
    return data, components


def _decoded(path: str | Path, data: bytes, flags: int) -> Any:
    image: Any = None
    with contextlib.suppress(cv2.error):  # OpenCV raises for some damaged files and returns None for others
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise SceneError(f"{path}: not a picture that can be read; is it damaged, too large, or another kind of file?")
    return image


def _read_bytes(path: Path) -> bytes:
    try:
        status = os.stat(path)  # before opening it, because a pipe would never open
        if stat.S_ISDIR(status.st_mode):
            raise SceneError(f"{path}: this is a folder, not a picture")
        if status.st_size == 0:
            raise SceneError(f"{path}: the file is empty")
        if status.st_size > _MAX_FILE_BYTES:
            raise SceneError(f"{path}: the file is over 2 GB; give a smaller picture")
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        raise SceneError(f"{path}: cannot read the picture ({error.strerror})") from None


def _is_cut_short(data: bytes) -> bool:
    """Tell whether a PNG or WebP lacks its end; other kinds are left to their decoders."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return not _png_has_end(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return False


def _jpeg_scan(data: bytes) -> tuple[int, int]:
    """Return where the first scan of a JPEG begins, or its length without one, and how many components it has.

    An end-of-image marker before the scan would be that of an embedded thumbnail (ITU-T T.81, annex B).
    """
    at, components = 2, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1  # a fill byte
            continue
        if marker == 0xDA:
            return at, components
        if marker in _JPEG_FRAMES and at + 9 < len(data):
            components = data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return len(data), components


def _png_has_end(data: bytes) -> bool:
    """Walk the chunks to IEND (ISO/IEC 15948, section 5)."""
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False

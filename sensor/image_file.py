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
    image = decoded_image(path)
    if image.dtype not in (np.uint8, np.uint16):
        raise SceneError(f"{path}: pixels of type {image.dtype}; give an 8 or 16 bit picture, or use Scene.from_array")
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return np.ascontiguousarray(image)


def decoded_image(path: str | Path) -> Any:
    """Return what OpenCV decodes from a whole picture file: any type of number, colours as BGR; errors likewise."""
    data = _read_bytes(Path(path))
    if _is_cut_short(data):
        raise SceneError(f"{path}: the picture is cut short; the file ends before its last pixel")
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH  # unlike UNCHANGED, these apply the EXIF orientation
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
    """Tell whether a JPEG, PNG or WebP lacks its end; other kinds are left to their decoders."""
    if data.startswith(b"\xff\xd8\xff"):
        return not _jpeg_has_end(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return not _png_has_end(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return int.from_bytes(data[4:8], "little") + 8 > len(data)
    return False


def _jpeg_has_end(data: bytes) -> bool:
    """Walk the segments to the first scan, then look for the end-of-image marker behind it.

    Looking in the whole file would find the marker of an embedded thumbnail (ITU-T T.81, annex B).
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1  # a fill byte
            continue
        if marker == 0xDA:
            return data.rfind(b"\xff\xd9", at) >= 0  # from the end, where it nearly always is
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _png_has_end(data: bytes) -> bool:
    """Walk the chunks to IEND (ISO/IEC 15948, section 5)."""
    at = 8
    while at + 12 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return False

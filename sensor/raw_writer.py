"""Save a frame as DNG: any converter opens it, and ours finds what it needs to unshuffle it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scrambler.files import atomic_file
from sensor.cfa import MONO, cfa_tile
from sensor.colour import camera_from_xyz
from sensor.dng import (
    ASCII,
    BYTE,
    DOUBLE,
    PRIVATE_DATA,
    RATIONAL,
    SHORT,
    SRATIONAL,
    UNDEFINED,
    Tags,
    dng_header,
    dng_pixels,
)  # fmt: skip
from sensor.errors import RawFileError
from sensor.raw_file import MAX_PX

if TYPE_CHECKING:
    from sensor.raw_frame import RawFrame

FORMAT_VERSION = 1
PRIVATE_PREFIX = b"ShuffleCam\0"

_TEMPLATES: dict[object, tuple[bytes, bytes]] = {}
_MOST_TEMPLATES = 16

MIN_SIDE_PX = 22
"""LibRaw refuses smaller frames."""


def save_dng(frame: RawFrame, path: str | Path, *, packed: bool = False) -> None:
    """Write a frame as DNG 1.4: uncompressed, in readout order.

    The file is written under a temporary name in the same folder and then renamed, so nobody ever sees half of it.
    Standard tags describe the picture; key id, nonce, pattern and unit go to tag DNGPrivateData, which other
    software leaves alone. The key is not in the file.

    Parameters
    ----------
    frame : RawFrame
        At least 22 photosites high and wide: LibRaw takes smaller files for thumbnails and refuses them.
    path : str or Path
        Must end in ``.dng``.
    packed : bool
        Store the bits of the resolution only, without gaps: 12 bits take three quarters of the room of 16-bit words.

    Raises
    ------
    RawFileError
        When the frame is too small, the name has another ending, or the file cannot be written.
    """
    parts = dng_parts(frame, path, packed=packed)
    try:
        with atomic_file(path) as file:
            for part in parts:
                file.write(part)
    except OSError as error:
        raise RawFileError(f"{path}: cannot write the file ({error.strerror})") from None


def dng_parts(frame: RawFrame, path: str | Path, *, packed: bool = False) -> tuple[bytes, memoryview]:
    """Return what :func:`save_dng` writes, header and pixels, without writing it; parameters and errors likewise."""
    if os.path.splitext(path)[1].lower() != ".dng":
        raise RawFileError(f"{path}: frames are saved as DNG; let the name end in .dng")
    height, width = frame.shape
    if min(height, width) < MIN_SIDE_PX:
        raise RawFileError(
            f"{path}: a frame of {height} x {width} is too small for DNG;"
            f" LibRaw opens {MIN_SIDE_PX} x {MIN_SIDE_PX} and larger"
        )
    if height * width > MAX_PX:
        raise RawFileError(f"{path}: a frame of {height} x {width} is too large; {MAX_PX} photosites are the most")
    if packed and int(frame.mosaic.max()) >> frame.bit_depth:
        raise RawFileError(
            f"{path}: the frame has codes of more than {frame.bit_depth} bits; save it with packed=False"
        )
    bits = frame.bit_depth if packed else 16
    return _header(frame, bits), dng_pixels(frame.mosaic, bits).data


def _header(frame: RawFrame, bits: int) -> bytes:
    """Return a frame's header, which is that of other frames of the camera but for the nonce: laid out once."""
    described = tuple(
        part.tobytes() if isinstance(part, np.ndarray) else part
        for name, part in vars(frame).items()
        if name not in ("mosaic", "nonce")
    )
    nonce = b"" if frame.nonce is None else f'"nonce": "{frame.nonce.hex()}"'.encode("ascii")
    template = _TEMPLATES.get((frame.shape, bits, described))
    if template is None:
        header = dng_header(frame.shape, _tags(frame), _exif(frame), bits)
        at = header.rindex(nonce)  # the last, because names may hold anything and come before it
        template = header[:at], header[at + len(nonce) :]
        if len(_TEMPLATES) >= _MOST_TEMPLATES:
            _TEMPLATES.clear()
        _TEMPLATES[frame.shape, bits, described] = template
    return template[0] + nonce + template[1]


def _tags(frame: RawFrame) -> Tags:
    tile = cfa_tile(frame.cfa)
    rows, columns = tile.shape
    make, model = "ShuffleCam", frame.sensor or "camera"
    tags: Tags = {
        262: (SHORT, [34892 if frame.cfa == MONO else 32803]),  # linear raw, or colour filter array
        271: (ASCII, make),
        272: (ASCII, model),
        274: (SHORT, [frame.orientation]),
        305: (ASCII, "ShuffleCam"),
        50706: (BYTE, [1, 4, 0, 0]),
        50707: (BYTE, [1, 1, 0, 0]),
        50708: (ASCII, f"{make} {model}"),
        50713: (SHORT, [rows, columns]),
        50714: (RATIONAL, [float(level) for level in frame.black_level.ravel()]),
        50717: (SHORT, [frame.white_level]),
        50778: (SHORT, [21]),  # D65
        PRIVATE_DATA: (BYTE, PRIVATE_PREFIX + json.dumps(_private(frame)).encode("ascii")),
    }
    if frame.cfa != MONO:
        tags |= {
            33421: (SHORT, [rows, columns]),
            33422: (BYTE, tile.tobytes()),
            50710: (BYTE, [0, 1, 2]),
            50711: (SHORT, [1]),
            50721: (SRATIONAL, camera_from_xyz(frame.color_matrix, frame.white_balance).ravel().tolist()),
            50728: (RATIONAL, (1 / frame.white_balance).tolist()),
        }
    if frame.gain_dn_per_e and frame.read_noise_e is not None:
        # Variance S x + O of a linear value x between black 0 and white 1 (DNG 1.4, NoiseProfile).
        span = frame.white_level - float(frame.black_level.mean())
        scale = frame.gain_dn_per_e / span
        tags[51041] = (DOUBLE, [scale, (scale * frame.read_noise_e) ** 2])
    return tags


def _exif(frame: RawFrame) -> Tags:
    exif: Tags = {36864: (UNDEFINED, b"0230")}
    if frame.exposure_s:
        exif[33434] = (RATIONAL, [frame.exposure_s])
    return exif


def _private(frame: RawFrame) -> dict[str, Any]:
    """Return what :func:`sensor.raw_reader.load_raw` needs to give the same frame back, in plain JSON types."""
    height, width = frame.shape
    readout = None
    if frame.nonce is not None:
        readout = {
            "key_id": frame.key_id,
            "nonce": frame.nonce.hex(),
            "pattern": frame.pattern,
            "unit": frame.unit,
            "stage": frame.stage,
            "generator": frame.generator,
        }
    return {
        "format": "shufflecam-raw",
        "version": FORMAT_VERSION,
        "height": height,
        "width": width,
        "cfa": frame.cfa,
        "bit_depth": frame.bit_depth,
        "black_level": frame.black_level.tolist(),
        "white_level": frame.white_level,
        "white_balance": frame.white_balance.tolist(),
        "color_matrix": frame.color_matrix.tolist(),
        "exposure_s": frame.exposure_s,
        "gain_dn_per_e": frame.gain_dn_per_e,
        "read_noise_e": frame.read_noise_e,
        "sensor": frame.sensor,
        "readout": readout,
    }

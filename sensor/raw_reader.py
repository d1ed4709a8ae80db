"""Read a RAW file, ours or anybody's, into the parts of a frame."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensor.cfa import MONO
from sensor.dng import private_data
from sensor.errors import RawFileError
from sensor.orientation import orientation_of_flip
from sensor.raw_file import colour_pattern, open_raw, raw_image
from sensor.raw_writer import FORMAT_VERSION, PRIVATE_PREFIX


def load_raw(path: str | Path) -> dict[str, Any]:
    """Return the attributes of a :class:`sensor.RawFrame`, read from a file.

    Our own DNG gives the frame back exactly as it was saved. For other files LibRaw tells colour order, black level
    of each colour, white level, the camera's white balance (daylight's when the file has none; scaled so that the
    smallest gain is 1) and colour matrix (the identity when LibRaw knows none). Gain and read noise are None
    then, and so is the exposure time where the file does not tell it. The mosaic is LibRaw's whole ``raw_image``,
    margins included, as the sensor lay; how the camera was held is the orientation.

    Raises
    ------
    RawFileError
        Naming the file, when it is missing, damaged, no RAW file, or has a filter array that is not supported.
    """
    with open_raw(path) as raw:
        own = _own_metadata(path)
        mosaic = np.array(raw_image(path, raw), np.uint16)
        mosaic.flags.writeable = False
        attributes = _foreign_attributes(path, raw) if own is None else _own_attributes(path, own, mosaic.shape)
        # Never kept among our own data, so that turning a file with other software works.
        orientation = orientation_of_flip(raw.sizes.flip)
    return {"mosaic": mosaic, "orientation": orientation, **attributes}


def _own_metadata(path: str | Path) -> dict[str, Any] | None:
    """Return what we wrote into a DNG, or None when the file is not ours."""
    data = private_data(Path(path), PRIVATE_PREFIX)
    if data is None:
        return None
    try:
        content = json.loads(data[len(PRIVATE_PREFIX) :].decode("ascii"))
        version = content["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _damaged(path) from None
    if version != FORMAT_VERSION:
        raise RawFileError(f"{path}: written in format {version!r}; this release reads format {FORMAT_VERSION}")
    return dict(content)


def _own_attributes(path: str | Path, content: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    if (content.get("height"), content.get("width")) != shape:
        raise RawFileError(f"{path}: the picture of this DNG was replaced; its ShuffleCam data are for another size")
    try:
        attributes = {name: _typed(content[name], kinds) for name, kinds in _KINDS.items()}
        for name in _ARRAYS:
            attributes[name] = np.array(content[name], np.float64)
        if content["readout"] is not None:
            readout = {
                name: _typed(content["readout"][name], (str,)) for name in ("key_id", "pattern", "unit", "nonce")
            }
            # Files of the first releases do not tell the stage; all their command line could write was digital.
            stage = _typed(content["readout"].get("stage", "post-adc"), (str,))
            # Nor did they know any generator but the table.
            generator = _typed(content["readout"].get("generator", "table"), (str,))
            nonce = bytes.fromhex(readout["nonce"])
            attributes |= {**readout, "nonce": nonce, "stage": stage, "generator": generator}
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _damaged(path) from None
    return attributes


_ARRAYS = ("black_level", "white_balance", "color_matrix")
_NUMBER = (int, float, type(None))
_KINDS: dict[str, tuple[type, ...]] = {
    "cfa": (str,),
    "bit_depth": (int,),
    "white_level": (int,),
    "sensor": (str,),
    "exposure_s": _NUMBER,
    "gain_dn_per_e": _NUMBER,
    "read_noise_e": _NUMBER,
}


def _typed(value: Any, kinds: tuple[type, ...]) -> Any:
    if type(value) not in kinds:
        raise TypeError(f"expected {kinds}, got {type(value)}")
    return value


def _damaged(path: str | Path) -> RawFileError:
    return RawFileError(f"{path}: the ShuffleCam data of this DNG are damaged")


def _foreign_attributes(path: str | Path, raw: Any) -> dict[str, Any]:
    index_tile, letters = _colour_indices(path, raw)
    levels = raw.black_level_per_channel
    black = np.array([[levels[index] for index in row] for row in index_tile], np.float64)
    cfa = "".join(letters[index] for index in index_tile.ravel())
    white = int(raw.white_level)
    gains = _gains(raw)
    matrix = np.array(raw.color_matrix, np.float64)[:, :3]
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-6:
        matrix = np.eye(3)
    return {
        "cfa": cfa,
        "bit_depth": min(16, max(8, white.bit_length())),
        "black_level": black,
        "white_level": white,
        "white_balance": gains,
        "color_matrix": matrix,
        # LibRaw gives 0 when the file does not tell.
        "exposure_s": float(raw.other.shutter_speed) or None,
    }


def _colour_indices(path: str | Path, raw: Any) -> tuple[NDArray[np.uint8], str]:
    """Return LibRaw's colour index for each place in the tile at the mosaic's first pixel, and the indices' letters."""
    letters = raw.color_desc.decode("ascii", "replace")
    if raw.num_colors == 1:
        return np.zeros((1, 1), np.uint8), MONO
    pattern = colour_pattern(path, raw)
    if pattern is None or set(letters) - set("RGB"):
        raise RawFileError(f"{path}: a colour filter array of kind {letters!r} is not supported")
    side = pattern.shape[0]
    # raw_pattern starts at the visible picture, raw_colors at the mosaic's own first pixel.
    return np.array(raw.raw_colors[:side, :side]), letters


def _gains(raw: Any) -> NDArray[np.float64]:
    for source in (raw.camera_whitebalance, raw.daylight_whitebalance):
        gains = np.array(source[:3], np.float64)
        if np.isfinite(gains).all() and gains.min() > 0:
            return np.asarray(gains / gains.min(), np.float64)
    return np.ones(3)

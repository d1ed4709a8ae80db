"""LibRaw's demosaicing algorithms, for natural Bayer frames."""

import tempfile
from pathlib import Path

import numpy as np
import rawpy
from numpy.typing import NDArray

from sensor.cfa import BAYER
from sensor.errors import DevelopError
from sensor.raw_file import open_raw
from sensor.raw_frame import RawFrame
from sensor.raw_writer import save_dng

ALGORITHMS = ("linear", "vng", "ppg", "ahd", "dcb", "dht", "aahd")
"""Those that LibRaw has without its packs under another licence."""


def libraw_rows(frame: RawFrame, algorithm: str) -> NDArray[np.float32]:
    """Return white-balanced camera colours of a natural frame, before the colour matrix.

    LibRaw reads the frame from a DNG in a temporary folder, with our black level, white level and gains, and no
    brightening, colour conversion or tone curve of its own; highlights are clipped.

    Parameters
    ----------
    frame : RawFrame
        Natural, with a Bayer array.
    algorithm : str
        One of :data:`ALGORITHMS`.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1], 16 bits inside.

    Raises
    ------
    DevelopError
        For a shuffled frame or another filter array.
    RawFileError
        For a frame that LibRaw does not open, such as one smaller than 22 photosites.
    """
    if frame.is_shuffled:
        raise DevelopError(f"LibRaw's {algorithm!r} works on natural frames; unshuffle the frame first")
    if frame.cfa not in BAYER:
        raise DevelopError(f"LibRaw's {algorithm!r} works on Bayer arrays, not {frame.cfa}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frame.dng")
        save_dng(frame, path)
        red, green, blue = frame.white_balance.tolist()
        with open_raw(path) as raw:
            codes = raw.postprocess(
                demosaic_algorithm=rawpy.DemosaicAlgorithm[algorithm.upper()],
                user_wb=[red, green, blue, green],
                output_color=rawpy.ColorSpace.raw,
                output_bps=16,
                gamma=(1, 1),
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                user_flip=0,
            )
    return np.asarray(codes / np.float32(65535), np.float32)

"""The image pipeline: from a RAW frame, natural or shuffled, to a picture."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler import Key
from sensor.bands import for_each_band
from sensor.cfa import BAYER, MONO, cfa_tile
from sensor.demosaic import BORDER_PX, METHODS, demosaic_rows
from sensor.demosaic_any import BORDER_PX as BORDER_ANY_PX
from sensor.demosaic_any import demosaic_any_rows
from sensor.errors import DevelopError
from sensor.libraw_demosaic import ALGORITHMS, libraw_rows
from sensor.raw_frame import RawFrame
from sensor.white_balance import balanced_rows

TONES = ("srgb", "linear")


def develop(
    frame: RawFrame, key: Key | None = None, *, demosaic: str = "malvar", tone: str = "srgb", force: bool = False
) -> NDArray[np.float32]:
    """Turn a RAW frame into a picture.

    In this order: black level, white level and white balance, clip to [0, 1] (so highlights stay neutral), demosaic
    with mirrored borders (reflect-101), colour matrix to linear sRGB, clip to [0, 1], tone curve. All in float32.

    A shuffled frame is developed as it lies: with the key, each photosite's neighbours are looked up where the
    readout put them, a band of rows at a time. The natural mosaic is never built, and the picture is bit for bit
    the one of the unshuffled frame, in natural order.

    Parameters
    ----------
    frame : RawFrame
        With any colour filter array, or none (grey in all channels).
    key : Key, optional
        Needed for a shuffled frame.
    demosaic : str
        ``"malvar"`` or ``"bilinear"`` for Bayer arrays, see :func:`sensor.demosaic.demosaic_rows`. Others, such as
        quad-Bayer and X-Trans, have one method: :func:`sensor.demosaic_any.demosaic_any_rows`. For natural Bayer frames
        also LibRaw's, see :mod:`sensor.libraw_demosaic`.
    tone : str
        ``"srgb"`` for a picture to look at, ``"linear"`` for linear light.
    force : bool
        Take any key, even one whose id is not the frame's: for studies of wrong keys.

    Returns
    -------
    ndarray of float32, shape (H, W, 3)
        In [0, 1].

    Raises
    ------
    MissingKeyError, WrongKeyError
        When the frame is shuffled and the key is missing or another one.
    DevelopError
        For an unknown option, a filter array that lacks a colour, or a frame smaller than its period.
    """
    if demosaic not in (*METHODS, *ALGORITHMS):
        raise DevelopError(f"demosaic must be one of {', '.join((*METHODS, *ALGORITHMS))}, got {demosaic!r}")
    if tone not in TONES:
        raise DevelopError(f"tone must be one of {', '.join(TONES)}, got {tone!r}")
    height, width = frame.shape
    tile = cfa_tile(frame.cfa)
    if frame.cfa != MONO and set(tile.ravel()) != {0, 1, 2}:
        raise DevelopError(
            f"frames with the filter array {frame.cfa} cannot be developed; it needs red, green and blue"
        )
    smallest = 2 if frame.cfa in (*BAYER, MONO) else tile.shape[0]
    if min(height, width) < smallest:
        raise DevelopError(
            f"a frame of {height} x {width} cannot be developed; {smallest} x {smallest} is the least for {frame.cfa}"
        )
    permutation = frame.readout_permutation(key, force=force)
    slot = None if permutation is None else permutation.slot
    matrix = np.eye(3) if frame.cfa == MONO else frame.color_matrix
    out = np.empty((height, width, 3), np.float32)
    ready = libraw_rows(frame, demosaic) if demosaic in ALGORITHMS else None

    def develop_band(first: int, end: int) -> None:
        if ready is not None:
            rgb = ready[first:end]
        elif frame.cfa == MONO:
            rgb = np.repeat(balanced_rows(frame, slot, first, end, 0)[:, :, None], 3, axis=2)
        elif frame.cfa in BAYER:
            rgb = demosaic_rows(balanced_rows(frame, slot, first, end, BORDER_PX), tile, demosaic)
        else:
            rgb = demosaic_any_rows(balanced_rows(frame, slot, first, end, BORDER_ANY_PX), tile, first, height)
        _finish(rgb, matrix.astype(np.float32), tone == "srgb", out[first:end])

    for_each_band(height, width, tile.shape[0], develop_band)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(rgb: NDArray[Any], matrix: NDArray[Any], encode: bool, out: NDArray[Any]) -> None:
    """Set ``out`` to the clipped product of the colour matrix with each pixel, then encode it as sRGB if asked."""
    height, width, _ = out.shape
    zero, one = np.float32(0), np.float32(1)
    for y in range(height):
        for x in range(width):
            r, g, b = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
            for k in range(3):
                value = (matrix[k, 0] * r + matrix[k, 1] * g) + matrix[k, 2] * b
                out[y, x, k] = min(max(value, zero), one)
    if encode:
        flat = out.reshape(out.size)
        for i in range(flat.size):
            v = flat[i]
            if v <= np.float32(0.0031308):
                flat[i] = np.float32(12.92) * v
            else:
                flat[i] = np.float32(1.055) * v ** np.float32(1 / 2.4) - np.float32(0.055)

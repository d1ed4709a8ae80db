"""The image pipeline: from a RAW frame, natural or shuffled, to a picture."""

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from scrambler import Key
from sensor.bands import for_each_band
from sensor.cfa import BAYER, MONO, cfa_tile
from sensor.demosaic_any import BORDER_PX, demosaic_any_rows
from sensor.errors import DevelopError
from sensor.libraw_demosaic import ALGORITHMS, libraw_rows
from sensor.orientation import upright
from sensor.picture_rows import BAYER_METHODS, bayer_picture_rows, finish_rows
from sensor.raw_frame import RawFrame
from sensor.white_balance import balanced_rows

TONES = ("srgb", "linear")

# Each band loads four rows that its neighbours load too; looking them up in a shuffled frame is what takes longest.
_BAYER_BAND_PX = 1 << 19


@overload
def develop(
    frame: RawFrame, key: Key | None = None, *, demosaic: str = ..., tone: str = ..., force: bool = ...
) -> NDArray[np.float32]: ...
@overload
def develop(
    frame: RawFrame,
    key: Key | None = None,
    *,
    demosaic: str = ...,
    tone: str = ...,
    force: bool = ...,
    dtype: type[Any],
) -> NDArray[Any]: ...
def develop(
    frame: RawFrame,
    key: Key | None = None,
    *,
    demosaic: str = "malvar",
    tone: str = "srgb",
    force: bool = False,
    dtype: type[Any] = np.float32,
) -> NDArray[Any]:
    """Turn a RAW frame into a picture.

    In this order: black level, white level and white balance, clip to [0, 1] (so highlights stay neutral), demosaic
    with mirrored borders (reflect-101), colour matrix to linear sRGB, clip to [0, 1], tone curve, turn upright. All in
    float32.

    A shuffled frame is developed as it lies: with the key, each photosite's neighbours are looked up where the
    readout put them, a row at a time. The natural mosaic is never built, and the picture is bit for bit the one of
    the unshuffled frame, in natural order.

    Before it: :func:`sensor.correct_defects`, :func:`sensor.correct_shading`, :func:`sensor.balance_grey_world`; after
    it: :func:`sensor.resize`, :func:`sensor.sharpen`.

    Parameters
    ----------
    frame : RawFrame
        With any colour filter array, or none (grey in all channels).
    key : Key, optional
        Needed for a shuffled frame.
    demosaic : str
        ``"malvar"`` or ``"bilinear"`` for Bayer arrays, see :func:`sensor.picture_rows.bayer_picture_rows`. Others,
        such as quad-Bayer and X-Trans, have one method: :func:`sensor.demosaic_any.demosaic_any_rows`. For natural
        Bayer frames also LibRaw's, see :mod:`sensor.libraw_demosaic`.
    tone : str
        ``"srgb"`` for a picture to look at, ``"linear"`` for linear light.
    force : bool
        Take any key, even one whose id is not the frame's: for studies of wrong keys.
    dtype : numpy.float32 or numpy.uint8
        Of the result; uint8 is 255 times the float32 one, halves rounded up, made in the same pass.

    Returns
    -------
    ndarray of ``dtype``, shape (H, W, 3)
        In [0, 1], or 0 to 255; upright, so (W, H, 3) for a frame whose camera lay on its side.

    Raises
    ------
    MissingKeyError, WrongKeyError
        When the frame is shuffled and the key is missing or another one.
    DevelopError
        For an unknown option, a filter array that lacks a colour, or a frame smaller than its period.
    """
    if demosaic not in (*BAYER_METHODS, *ALGORITHMS):
        raise DevelopError(f"demosaic must be one of {', '.join((*BAYER_METHODS, *ALGORITHMS))}, got {demosaic!r}")
    if tone not in TONES:
        raise DevelopError(f"tone must be one of {', '.join(TONES)}, got {tone!r}")
    if dtype not in (np.float32, np.uint8):
        raise DevelopError(f"dtype must be numpy.float32 or numpy.uint8, got {dtype!r}")
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
    matrix = np.asarray(np.eye(3) if frame.cfa == MONO else frame.color_matrix, np.float32)
    encode = tone == "srgb"
    out = np.empty((height, width, 3), dtype)
    ready = libraw_rows(frame, demosaic) if demosaic in ALGORITHMS else None

    def develop_bayer(first: int, end: int) -> None:
        bayer_picture_rows(frame, slot, demosaic, matrix, encode, first, out[first:end])

    def develop_band(first: int, end: int) -> None:
        if ready is not None:
            rgb = ready[first:end]
        elif frame.cfa == MONO:
            rgb = np.repeat(balanced_rows(frame, slot, first, end, 0)[:, :, None], 3, axis=2)
        else:
            rgb = demosaic_any_rows(balanced_rows(frame, slot, first, end, BORDER_PX), tile, first, height)
        finish_rows(rgb, matrix, encode, out[first:end])

    if frame.cfa in BAYER and ready is None:
        for_each_band(height, width, 2, develop_bayer, _BAYER_BAND_PX)
    else:
        for_each_band(height, width, tile.shape[0], develop_band)
    return upright(out, frame.orientation)

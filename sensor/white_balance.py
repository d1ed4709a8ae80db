"""From codes to light: black level, white balance and highlight clipping, photosite by photosite."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.cfa import cfa_tile
from sensor.raw_frame import RawFrame

BORDER_PX = 2
"""Rows and columns that :func:`balanced_rows` adds on each side, as wide as the widest demosaic kernel needs."""


def balanced_rows(frame: RawFrame, slot: NDArray[Any] | None, first: int, end: int) -> NDArray[np.float32]:
    r"""Return rows of the natural picture in white-balanced light, with a border of two photosites all round.

    .. math:: v_n = \mathrm{clip}\Big(g_{c(n)}\,\frac{q_n - b_n}{w - b_n},\; 0,\; 1\Big)

    with q the code, b and w black and white level, g the gain of the photosite's colour. Clipping at 1 keeps
    highlights neutral: there all colours reach 1 together. Beyond the frame's edge the picture is mirrored about its
    last photosite (reflect-101), which keeps the colours of the filter array in step.

    Parameters
    ----------
    frame : RawFrame
        Natural or shuffled.
    slot : ndarray of integers, shape (H*W,), optional
        Where each photosite was read to; None for a natural frame.
    first, end : int
        Rows of the natural picture.

    Returns
    -------
    ndarray of float32, shape (end - first + 4, W + 4)
        Each photosite's code is looked up where the readout put it; the frame is not unshuffled anywhere.
    """
    tile = cfa_tile(frame.cfa)
    gains = np.append(frame.white_balance, 1.0)  # a clear photosite has no colour to balance
    scale = gains[tile] / (frame.white_level - frame.black_level)
    out = np.empty((end - first + 2 * BORDER_PX, frame.shape[1] + 2 * BORDER_PX), np.float32)
    keyed = slot is not None
    table = np.empty(0, np.int64) if slot is None else slot
    black = frame.black_level.astype(np.float32)
    _balance(frame.mosaic, table, keyed, first, black, scale.astype(np.float32), out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _balance(
    codes: NDArray[Any],
    slot: NDArray[Any],
    keyed: bool,
    first: int,
    black: NDArray[Any],
    scale: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Fill ``out`` with rows from ``first - 2`` on; ``codes`` C-contiguous, at least 2 x 2."""
    height, width = codes.shape
    flat = codes.reshape(height * width)
    rows, columns = black.shape
    turn = 2 * (height - 1)
    for i in range(out.shape[0]):
        y = abs(first + i - 2) % turn
        y = min(y, turn - y)
        start = y * width
        for phase in range(columns):
            offset = black[y % rows, phase]
            factor = scale[y % rows, phase]
            for x in range(phase, width, columns):
                code = flat[slot[start + x]] if keyed else flat[start + x]
                value = (np.float32(code) - offset) * factor
                out[i, x + 2] = min(max(value, np.float32(0)), np.float32(1))
        # Mirrored photosites have the same colour, so their values can be copied.
        last = width + 1
        out[i, 1] = out[i, 3]
        out[i, last + 1] = out[i, last - 1]
        out[i, 0] = out[i, 4] if width > 2 else out[i, 2]
        out[i, last + 2] = out[i, last - 2] if width > 2 else out[i, last]

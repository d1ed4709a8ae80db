"""From codes to light: black level, white balance and highlight clipping, photosite by photosite."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.cfa import cfa_tile
from sensor.raw_frame import RawFrame

NO_SLOT = np.empty(0, np.uint32)
"""What kernels get for a natural frame: of the type that slot tables have, so that they are compiled once."""
NO_SLOT.flags.writeable = False


def balanced_rows(
    frame: RawFrame, slot: NDArray[Any] | None, first: int, end: int, border_px: int
) -> NDArray[np.float32]:
    r"""Return rows of the natural picture in white-balanced light, with a border all round.

    .. math:: v_n = \mathrm{clip}\Big(g_{c(n)}\,\frac{q_n - b_n}{w - b_n},\; 0,\; 1\Big)

    with q the code, b and w black and white level, g the gain of the photosite's colour. Clipping at 1 keeps
    highlights neutral: there all colours reach 1 together. Beyond the frame's edge the picture is mirrored about its
    last photosite (reflect-101), which keeps the colours of a Bayer array in step.

    Parameters
    ----------
    frame : RawFrame
        Natural or shuffled.
    slot : ndarray of integers, shape (H*W,), optional
        Where each photosite was read to; None for a natural frame.
    first, end : int
        Rows of the natural picture.
    border_px : int
        Rows and columns to add on each side.

    Returns
    -------
    ndarray of float32, shape (end - first + 2 * border_px, W + 2 * border_px)
        Each photosite's code is looked up where the readout put it; the frame is not unshuffled anywhere.
    """
    black, scale = response(frame)
    out = np.empty((end - first + 2 * border_px, frame.shape[1] + 2 * border_px), np.float32)
    keyed = slot is not None
    table = NO_SLOT if slot is None else slot
    _balance(frame.mosaic, table, keyed, first - border_px, black, scale, out)
    return out


def response(frame: RawFrame) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return offset and factor that turn codes into white-balanced light, for each place in the filter's tile."""
    gains = np.append(frame.white_balance, 1.0)  # a clear photosite has no colour to balance
    scale = gains[cfa_tile(frame.cfa)] / (frame.white_level - frame.black_level)
    return frame.black_level.astype(np.float32), scale.astype(np.float32)


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
    """Fill ``out`` with rows from ``first`` on, which may lie outside; ``codes`` C-contiguous, at least 2 x 2."""
    height, width = codes.shape
    border = (out.shape[1] - width) // 2
    flat = codes.reshape(height * width)
    rows, columns = black.shape
    turn_y, turn_x = 2 * (height - 1), 2 * (width - 1)
    for i in range(out.shape[0]):
        y = abs(first + i) % turn_y
        y = min(y, turn_y - y)
        start = y * width
        for phase in range(columns):
            offset = black[y % rows, phase]
            factor = scale[y % rows, phase]
            for x in range(phase, width, columns):
                code = flat[slot[start + x]] if keyed else flat[start + x]
                value = (np.float32(code) - offset) * factor
                out[i, x + border] = min(max(value, np.float32(0)), np.float32(1))
        for k in range(1, border + 1):
            mirrored = k % turn_x
            mirrored = min(mirrored, turn_x - mirrored)
            out[i, border - k] = out[i, border + mirrored]
            out[i, border + width - 1 + k] = out[i, border + width - 1 - mirrored]

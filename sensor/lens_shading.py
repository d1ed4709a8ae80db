"""Lens shading: corners get less light than the centre; what a lens takes and what a developer gives back."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler import Key
from sensor.bands import for_each_band
from sensor.cfa import cfa_tile
from sensor.errors import DevelopError
from sensor.raw_frame import RawFrame


def correct_shading(frame: RawFrame, key: Key | None = None, *, falloff: float, force: bool = False) -> RawFrame:
    r"""Return the frame with the fall-off of its lens undone.

    .. math:: q' = \mathrm{clip}\Big(\Big\lfloor b + \frac{q - b}{v(\rho)} + \tfrac12 \Big\rfloor,\; 0,\; w\Big),
              \qquad v(\rho) = \frac{1}{(1 + a \rho^2)^2}

    with b and w black and white level and :math:`\rho` the distance from the centre, 1 in the corners. With a the
    squared tangent of the field angle in the corner, v is the cosine-to-the-fourth law.

    A shuffled frame is corrected as it lies, into the same order, equal to correcting the unshuffled frame.

    Parameters
    ----------
    frame : RawFrame
        Natural or shuffled.
    key : Key, optional
        Needed for a shuffled frame.
    falloff : float
        The number a, 0 to 10; 0 changes nothing.
    force : bool
        Take any key, even one whose id is not the frame's: for studies of wrong keys.

    Raises
    ------
    MissingKeyError, WrongKeyError
        When the frame is shuffled and the key is missing or another one.
    DevelopError
        For an impossible fall-off.
    """
    if not 0 <= falloff <= 10:
        raise DevelopError(f"falloff must be a number from 0 to 10, got {falloff!r}")
    permutation = frame.readout_permutation(key, force=force)
    if falloff == 0:
        return frame
    slot = np.empty(0, np.uint32) if permutation is None else permutation.slot
    black = np.ascontiguousarray(np.broadcast_to(frame.black_level, cfa_tile(frame.cfa).shape))
    out = np.empty(frame.shape, np.uint16)
    keyed, flat = permutation is not None, out.reshape(-1)

    def brighten(first: int, end: int) -> None:
        _brighten(frame.mosaic, slot, keyed, black, falloff, frame.white_level, first, end, flat)

    for_each_band(*frame.shape, 1, brighten)
    out.flags.writeable = False
    return replace(frame, mosaic=out)


def relative_illumination(shape: tuple[int, int], falloff: float, first: int, end: int) -> NDArray[np.float32]:
    """Return what the lens lets through to rows ``first`` to ``end`` of a frame, float32; the equation is above.

    Examples
    --------
    >>> relative_illumination((3, 3), 1.0, 0, 3)[0].tolist()  # corner, edge
    [0.25, 0.4444444477558136, 0.25]
    """
    height, width = shape
    y, x = np.mgrid[first:end, :width].astype(np.float64)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    corner = max(middle_y**2 + middle_x**2, 1e-9)
    distance2 = ((y - middle_y) ** 2 + (x - middle_x) ** 2) / corner
    return np.asarray(1 / (1 + falloff * distance2) ** 2, np.float32)


@njit(cache=True, nogil=True)
def _brighten(
    codes: NDArray[Any],
    slot: NDArray[Any],
    keyed: bool,
    black: NDArray[Any],
    falloff: float,
    white: int,
    first: int,
    end: int,
    out: NDArray[Any],
) -> None:
    """Fill ``out``, in readout order, with the photosites of rows ``first`` to ``end``; ``codes`` C-contiguous."""
    height, width = codes.shape
    flat = codes.reshape(height * width)
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    corner = max(middle_y**2 + middle_x**2, 1e-9)
    for y in range(first, end):
        for x in range(width):
            gain = (1 + falloff * ((y - middle_y) ** 2 + (x - middle_x) ** 2) / corner) ** 2
            offset = black[y % black.shape[0], x % black.shape[1]]
            here = np.int64(slot[y * width + x]) if keyed else y * width + x
            value = np.floor(offset + (np.float64(flat[here]) - offset) * gain + 0.5)
            # A code above white level is no light; it stays what it is.
            out[here] = max(0.0, min(value, max(np.float64(white), np.float64(flat[here]))))

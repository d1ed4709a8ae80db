"""Which way up a picture is: cameras held upright store what they saw lying on its side, and a number beside it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Orientation by LibRaw's flip: bits 1 and 2 mirror left-right and up-down, bit 4 then swaps rows and columns.
_ORIENTATION_OF_FLIP = (1, 2, 4, 3, 5, 8, 6, 7)


def orientation_of_flip(flip: int) -> int:
    """Return the TIFF orientation that LibRaw calls ``flip``; 1, upright, for a number that it does not define.

    Examples
    --------
    >>> [orientation_of_flip(flip) for flip in (0, 3, 5, 6)]  # as it is, half a turn, a quarter left, a quarter right
    [1, 3, 8, 6]
    """
    return _ORIENTATION_OF_FLIP[flip] if 0 <= flip < 8 else 1


def upright(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a picture turned and mirrored the way its orientation says it is to be looked at.

    Parameters
    ----------
    picture : ndarray, shape (H, W) or (H, W, C)
        As it lies on the sensor.
    orientation : int
        1 to 8, tag 274 of TIFF 6.0: 1 as it lies, 3 half a turn, 6 a quarter to the right, 8 a quarter to the left;
        2, 4, 5 and 7 mirrored ones.

    Returns
    -------
    ndarray, shape (H, W, ...) or (W, H, ...)
        C-contiguous; the picture itself when there is nothing to do.

    Examples
    --------
    >>> upright(np.array([[1, 2, 3], [4, 5, 6]]), 6).tolist()
    [[4, 1], [5, 2], [6, 3]]
    """
    flip = _ORIENTATION_OF_FLIP.index(orientation)
    turned = picture[:: -1 if flip & 2 else 1, :: -1 if flip & 1 else 1]
    return np.ascontiguousarray(turned.swapaxes(0, 1) if flip & 4 else turned)

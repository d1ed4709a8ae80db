"""Demosaicing of any colour filter array, quad-Bayer and X-Trans among them."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

BORDER_PX = 3
"""Border that the kernel needs: the window reaches a photosite of each colour anywhere in a quad-Bayer array."""


def demosaic_any_rows(
    padded: NDArray[np.float32], tile: NDArray[np.uint8], first: int, frame_height: int
) -> NDArray[np.float32]:
    r"""Return red, green and blue of each photosite by weighted means of its neighbours (normalised convolution).

    .. math:: x_{n,k} = \frac{\sum_m w_{m-n}\,[c(m) = k]\,v_m}{\sum_m w_{m-n}\,[c(m) = k]}, \qquad
              w_{dy,dx} = (4 - |dy|)(4 - |dx|), \; |dy|, |dx| \le 3

    over photosites m inside the frame; the photosite's own colour is kept as it is. Source of the form: H. Knutsson,
    C.-F. Westin, "Normalized and differential convolution", CVPR 1993.

    Parameters
    ----------
    padded : ndarray of float32, shape (h + 6, W + 6)
        Mosaic with three more rows and columns on each side.
    tile : ndarray of uint8, shape (n, n)
        Colour numbers; the frame's first photosite lies on its first.
    first, frame_height : int
        Row of the frame on which the first row inside the border lies, and the frame's height.

    Returns
    -------
    ndarray of float32, shape (h, W, 3)
    """
    out = np.empty((padded.shape[0] - 2 * BORDER_PX, padded.shape[1] - 2 * BORDER_PX, 3), np.float32)
    _weighted(padded, tile, first, frame_height, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted(p: NDArray[Any], tile: NDArray[Any], first: int, frame_height: int, out: NDArray[Any]) -> None:
    """Fill ``out``; ``p`` has a border of three on each side."""
    height, width, _ = out.shape
    side = tile.shape[0]
    total = np.empty(3, np.float32)
    weights = np.empty(3, np.float32)
    for i in range(height):
        y = first + i
        for x in range(width):
            total[:] = 0
            weights[:] = 0
            for near_y in range(max(0, y - 3), min(frame_height, y + 4)):
                row_weight = 4 - abs(near_y - y)
                for near_x in range(max(0, x - 3), min(width, x + 4)):
                    weight = np.float32(row_weight * (4 - abs(near_x - x)))
                    colour = tile[near_y % side, near_x % side]
                    total[colour] += weight * p[near_y - first + 3, near_x + 3]
                    weights[colour] += weight
            for k in range(3):
                out[i, x, k] = total[k] / weights[k]
            out[i, x, tile[y % side, x % side]] = p[i + 3, x + 3]

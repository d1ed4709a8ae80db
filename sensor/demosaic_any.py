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
    # The weights are a product of one along the row and one along the column: sums of rows first, seven of them kept.
    masks = np.zeros((side, 3, width + 6), np.float32)
    reach = np.empty((side, 3, width), np.float32)
    for phase in range(side):
        for x in range(width):
            masks[phase, tile[phase, x % side], x + 3] = 1
        for k in range(3):
            _tent_along(masks[phase, k], reach[phase, k])
    sums, none = np.zeros((7, 3, width), np.float32), np.zeros((3, width), np.float32)
    # What a colour's weights add up to; away from the upper and lower edge it repeats with the tile.
    totals, known = np.empty((side + 1, 3, width), np.float32), np.zeros(side + 1, np.bool_)
    masked, colour = np.empty(width + 6, np.float32), np.empty(width, np.float32)
    for y in range(first - 3, first + height + 3):
        inside = 0 <= y < frame_height
        for k in range(3):
            if inside:
                _keep(p[y - first + 3], masks[y % side, k], masked)
                _tent_along(masked, sums[(y + 7) % 7, k])
            else:
                sums[(y + 7) % 7, k] = 0
        ready = y - 3
        if ready < first:
            continue
        edge = ready < 3 or ready + 3 >= frame_height
        which = side if edge else ready % side
        row = out[ready - first]
        for k in range(3):
            if edge or not known[which]:
                near = [
                    none[k] if not 0 <= r < frame_height else reach[r % side, k] for r in range(ready - 3, ready + 4)
                ]
                _tent(near[0], near[1], near[2], near[3], near[4], near[5], near[6], totals[which, k])
            near = [sums[(r + 7) % 7, k] for r in range(ready - 3, ready + 4)]
            _tent(near[0], near[1], near[2], near[3], near[4], near[5], near[6], colour)
            for x in range(width):
                row[x, k] = colour[x] / totals[which, k, x]
        known[which] = True
        own = p[ready - first + 3]
        for x in range(width):
            row[x, tile[ready % side, x % side]] = own[x + 3]


@njit(cache=True, nogil=True)
def _keep(row: NDArray[Any], mask: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out`` to the photosites of one colour, and the others to 0."""
    for x in range(out.size):
        out[x] = row[x] * mask[x]


@njit(cache=True, nogil=True)
def _tent_along(row: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out`` to the tent-weighted sums along a row that has a border of three on each side."""
    n = out.size
    _tent(row[:n], row[1 : n + 1], row[2 : n + 2], row[3 : n + 3], row[4 : n + 4], row[5 : n + 5], row[6 : n + 6], out)


@njit(cache=True, nogil=True)
def _tent(
    a: NDArray[Any],
    b: NDArray[Any],
    c: NDArray[Any],
    d: NDArray[Any],
    e: NDArray[Any],
    f: NDArray[Any],
    g: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Set ``out`` to the sum of seven rows, weighted 1, 2, 3, 4, 3, 2, 1."""
    two, three, four = np.float32(2), np.float32(3), np.float32(4)
    for x in range(out.size):
        out[x] = (four * d[x] + three * (c[x] + e[x])) + (two * (b[x] + f[x]) + (a[x] + g[x]))

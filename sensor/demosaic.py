"""Demosaicing of Bayer mosaics: three colours for every photosite. Other arrays: :mod:`sensor.demosaic_any`."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

METHODS = ("malvar", "bilinear")
BORDER_PX = 2
"""Border that these kernels need."""


def demosaic_rows(padded: NDArray[np.float32], tile: NDArray[np.uint8], method: str) -> NDArray[np.float32]:
    r"""Return red, green and blue of each photosite.

    ``"bilinear"``: the mean of the nearest photosites of each colour. ``"malvar"``: that, corrected by the
    Laplacian of the photosite's own colour, with the 5x5 kernels of H. Malvar, L. He, R. Cutler, "High-quality linear
    interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004; in eighths:

    * green at red or blue: centre 4, four neighbours 2, next but one -1;
    * red at green in a red row: centre 5, left and right 4, diagonals -1, next but one -1 in the row and 1/2 in the
      column; turned by a quarter in a blue row; likewise blue;
    * red at blue and blue at red: centre 6, diagonals 2, next but one -3/2.

    Parameters
    ----------
    padded : ndarray of float32, shape (h + 4, W + 4)
        Mosaic with two more rows and columns on each side.
    tile : ndarray of uint8, shape (2, 2)
        Colour numbers at the first two photosites inside the border.
    method : str
        ``"malvar"`` or ``"bilinear"``.

    Returns
    -------
    ndarray of float32, shape (h, W, 3)
        Linear; Malvar's may lie a little outside the range of its input.
    """
    out = np.empty((padded.shape[0] - 4, padded.shape[1] - 4, 3), np.float32)
    kernel = _malvar if method == "malvar" else _bilinear
    kernel(padded, tile, out)
    return out


@njit(cache=True, nogil=True)
def _bilinear(p: NDArray[Any], tile: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill ``out``; ``p`` has a border of two on each side."""
    height, width, _ = out.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    for i in range(height):
        y = i + 2
        for phase in range(2):
            colour = tile[i % 2, phase]
            in_row = tile[i % 2, 1 - phase]
            for j in range(phase, width, 2):
                x = j + 2
                if colour == 1:
                    out[i, j, 1] = p[y, x]
                    out[i, j, in_row] = half * (p[y, x - 1] + p[y, x + 1])
                    out[i, j, 2 - in_row] = half * (p[y - 1, x] + p[y + 1, x])
                else:
                    out[i, j, colour] = p[y, x]
                    out[i, j, 1] = quarter * ((p[y, x - 1] + p[y, x + 1]) + (p[y - 1, x] + p[y + 1, x]))
                    diagonal = (p[y - 1, x - 1] + p[y - 1, x + 1]) + (p[y + 1, x - 1] + p[y + 1, x + 1])
                    out[i, j, 2 - colour] = quarter * diagonal


@njit(cache=True, nogil=True)
def _malvar(p: NDArray[Any], tile: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill ``out``; ``p`` has a border of two on each side."""
    height, width, _ = out.shape
    eighth, half = np.float32(0.125), np.float32(0.5)
    two, four, five, six = np.float32(2), np.float32(4), np.float32(5), np.float32(6)
    three_halves = np.float32(1.5)
    for i in range(height):
        y = i + 2
        for phase in range(2):
            colour = tile[i % 2, phase]
            in_row = tile[i % 2, 1 - phase]
            for j in range(phase, width, 2):
                x = j + 2
                centre = p[y, x]
                row = p[y, x - 1] + p[y, x + 1]
                column = p[y - 1, x] + p[y + 1, x]
                far_row = p[y, x - 2] + p[y, x + 2]
                far_column = p[y - 2, x] + p[y + 2, x]
                diagonal = (p[y - 1, x - 1] + p[y - 1, x + 1]) + (p[y + 1, x - 1] + p[y + 1, x + 1])
                if colour == 1:
                    out[i, j, 1] = centre
                    base = five * centre - diagonal
                    out[i, j, in_row] = eighth * (base + four * row - far_row + half * far_column)
                    out[i, j, 2 - in_row] = eighth * (base + four * column - far_column + half * far_row)
                else:
                    far = far_row + far_column
                    out[i, j, colour] = centre
                    out[i, j, 1] = eighth * (four * centre + two * (row + column) - far)
                    out[i, j, 2 - colour] = eighth * (six * centre + two * diagonal - three_halves * far)

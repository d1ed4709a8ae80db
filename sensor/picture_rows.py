"""Development of Bayer frames and the end of everybody's: from codes to a picture, row by row."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensor.cfa import cfa_tile
from sensor.picture_kernels import bayer_rows, finished_rows
from sensor.raw_frame import RawFrame
from sensor.white_balance import NO_SLOT, response

BAYER_METHODS = ("malvar", "bilinear")


def bayer_picture_rows(
    frame: RawFrame,
    slot: NDArray[Any] | None,
    method: str,
    matrix: NDArray[np.float32],
    encode: bool,
    first: int,
    out: NDArray[Any],
) -> None:
    r"""Develop rows of a Bayer frame: light, three colours for each photosite, colour matrix, tone curve.

    ``"bilinear"``: the mean of the nearest photosites of each colour. ``"malvar"``: that, corrected by the
    Laplacian of the photosite's own colour, with the 5x5 kernels of H. Malvar, L. He, R. Cutler, "High-quality linear
    interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004; in eighths:

    * green at red or blue: centre 4, four neighbours 2, next but one -1;
    * red at green in a red row: centre 5, left and right 4, diagonals -1, next but one -1 in the row and 1/2 in the
      column; turned by a quarter in a blue row; likewise blue;
    * red at blue and blue at red: centre 6, diagonals 2, next but one -3/2.

    Light as in :func:`sensor.white_balance.balanced_rows`; the rest as in :func:`finish_rows`. Nothing larger than a
    few rows is kept between the codes and the picture.

    Parameters
    ----------
    frame : RawFrame
        Natural or shuffled, at least 2 x 2.
    slot : ndarray of integers, shape (H*W,), optional
        Where each photosite was read to; None for a natural frame.
    method : str
        One of :data:`BAYER_METHODS`.
    matrix : ndarray of float32, shape (3, 3)
        White-balanced camera colours to linear sRGB.
    encode : bool
        Whether the sRGB curve is applied.
    first : int
        Row of the natural picture that ``out`` begins with.
    out : ndarray of float32 or uint8, shape (h, W, 3)
        Filled.
    """
    black, scale = response(frame)
    table = NO_SLOT if slot is None else slot
    tile = cfa_tile(frame.cfa)
    malvar = method == "malvar"
    bayer_rows(frame.mosaic, table, slot is not None, tile, black, scale, malvar, matrix, encode, first, out)


def finish_rows(rgb: NDArray[np.float32], matrix: NDArray[np.float32], encode: bool, out: NDArray[Any]) -> None:
    r"""Turn demosaiced rows into a picture.

    .. math:: x_k = t\Big(\mathrm{clip}\Big(\sum_l M_{k,l}\, c_l,\; 0,\; 1\Big)\Big), \qquad
              \text{as 8 bits } \Big\lfloor 255\,x_k + \tfrac12 \Big\rfloor

    with t the sRGB curve, within 5e-7 of :func:`sensor.srgb_encode`, or nothing.

    Parameters
    ----------
    rgb : ndarray of float32, shape (h, W, 3)
        White-balanced camera colours.
    matrix, encode, out
        As in :func:`bayer_picture_rows`.
    """
    finished_rows(rgb, matrix, encode, out)

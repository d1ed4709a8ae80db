"""The inner loops of development: from codes to a picture, one row at a time, in the processor's own caches.

All kernels that call each other lie in this file, because Numba's cache knows nothing of changes in another one.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.cfa import cfa_tile
from sensor.raw_frame import RawFrame
from sensor.white_balance import NO_SLOT, response

BAYER_METHODS = ("malvar", "bilinear")

# 1.055 v^(1/2.4) - 0.055 as a polynomial of the fourth root of v, fitted for the smallest largest error (8e-8) on
# 0.0031308 to 1: with float32 arithmetic within 5e-7 of the curve, and free of calls that processors do one by one.
_CURVE = tuple(
    np.float32(c)
    for c in (
        -0.0577182919, 0.111458614, 1.54633617, -1.48225963, 1.9654386, -1.98121059, 1.33219182, -0.526037037,
        0.0918004364,
    )
)  # fmt: skip


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
    _bayer_rows(frame.mosaic, table, slot is not None, tile, black, scale, malvar, matrix, encode, first, out)


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
    _finish_rows(rgb, matrix, encode, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _bayer_rows(
    codes: NDArray[Any],
    slot: NDArray[Any],
    keyed: bool,
    tile: NDArray[Any],
    black: NDArray[Any],
    scale: NDArray[Any],
    malvar: bool,
    matrix: NDArray[Any],
    encode: bool,
    first: int,
    out: NDArray[Any],
) -> None:
    """Fill ``out``; ``codes`` C-contiguous, at least 2 x 2."""
    height, width = codes.shape
    pairs = (width + 1) // 2
    row = np.empty(width, np.uint16)
    # Five lines at a time, even and odd columns apart: neighbours of one kind then lie side by side, as vector units
    # want them. Place k + 1 of a half line is column 2k or 2k + 1; a border of two columns on each side.
    lines = np.zeros((5, 2, pairs + 2), np.float32)
    sites = np.empty((2, 3, pairs), np.float32)
    planes = np.empty((3, 2 * pairs), np.float32)
    turn = 2 * (height - 1)
    for y in range(first - 2, first + out.shape[0] + 2):
        source = abs(y) % turn
        source = min(source, turn - source)
        _load(codes, slot, keyed, source, black[source % 2], scale[source % 2], row, lines[(y + 10) % 5])
        ready = y - 2
        if ready < first:
            continue
        column = 1 if tile[ready % 2, 0] == 1 else 0  # of the row's red or blue photosites
        up, here, down = lines[(ready + 9) % 5], lines[ready % 5], lines[(ready + 1) % 5]
        if malvar:
            _malvar(lines[(ready + 8) % 5], up, here, down, lines[(ready + 2) % 5], column, sites)
        else:
            _bilinear(up, here, down, column, sites)
        red = 0 if tile[ready % 2, column] == 0 else 2  # sites hold the row's own colour, green, the other one
        _finish(sites[column], sites[1 - column], red, matrix, encode, planes, out[ready - first])


@njit(cache=True, nogil=True, error_model="numpy")
def _load(
    codes: NDArray[Any],
    slot: NDArray[Any],
    keyed: bool,
    y: int,
    black: NDArray[Any],
    scale: NDArray[Any],
    row: NDArray[Any],
    line: NDArray[Any],
) -> None:
    """Fill one line, in halves, with the light of row y and mirrored borders; ``row`` is scratch."""
    width = row.size
    if keyed:
        flat = codes.reshape(codes.size)
        places = slot[y * width : (y + 1) * width]
        for x in range(width):
            row[x] = flat[places[x]]
        _split(row, black, scale, line)
    else:
        _split(codes[y], black, scale, line)
    turn = 2 * (width - 1)
    for x in (-2, -1, width, width + 1):
        source = abs(x) % turn
        source = min(source, turn - source)
        line[x & 1, (x >> 1) + 1] = line[source & 1, (source >> 1) + 1]


@njit(cache=True, nogil=True)
def _split(row: NDArray[Any], black: NDArray[Any], scale: NDArray[Any], line: NDArray[Any]) -> None:
    """Fill a line but for its borders: the light of even columns in one half, of odd ones in the other."""
    zero, one = np.float32(0), np.float32(1)
    for phase in range(2):
        offset, factor = black[phase], scale[phase]
        half, own = line[phase, 1:], row[phase:]
        for k in range((row.size + 1 - phase) // 2):
            half[k] = min(max((np.float32(own[2 * k]) - offset) * factor, zero), one)


@njit(cache=True, nogil=True)
def _malvar(
    far_up: NDArray[Any],
    up: NDArray[Any],
    here: NDArray[Any],
    down: NDArray[Any],
    far_down: NDArray[Any],
    column: int,
    sites: NDArray[Any],
) -> None:
    """Fill ``sites``: first the photosites that are not green, then the green ones."""
    n = sites.shape[2]
    eighth, half, three_halves = np.float32(0.125), np.float32(0.5), np.float32(1.5)
    two, four, five, six = np.float32(2), np.float32(4), np.float32(5), np.float32(6)
    for site in range(2):
        # Columns of these photosites and of those beside them; where the left neighbour lies in its half line.
        own = column if site == 0 else 1 - column
        beside, left = 1 - own, own
        centre, before, after = here[own, 1 : n + 1], here[own, :n], here[own, 2 : n + 2]
        west, east = here[beside, left : left + n], here[beside, left + 1 : left + n + 1]
        north, south = up[own, 1 : n + 1], down[own, 1 : n + 1]
        far_north, far_south = far_up[own, 1 : n + 1], far_down[own, 1 : n + 1]
        north_west, north_east = up[beside, left : left + n], up[beside, left + 1 : left + n + 1]
        south_west, south_east = down[beside, left : left + n], down[beside, left + 1 : left + n + 1]
        in_row, green, other = sites[site, 0], sites[site, 1], sites[site, 2]
        if site == 0:
            for k in range(n):
                far = (before[k] + after[k]) + (far_north[k] + far_south[k])
                cross = (west[k] + east[k]) + (north[k] + south[k])
                diagonal = (north_west[k] + north_east[k]) + (south_west[k] + south_east[k])
                in_row[k] = centre[k]
                green[k] = eighth * ((four * centre[k] + two * cross) - far)
                other[k] = eighth * ((six * centre[k] + two * diagonal) - three_halves * far)
        else:
            for k in range(n):
                far_row, far_column = before[k] + after[k], far_north[k] + far_south[k]
                diagonal = (north_west[k] + north_east[k]) + (south_west[k] + south_east[k])
                base = five * centre[k] - diagonal
                in_row[k] = eighth * (((base + four * (west[k] + east[k])) - far_row) + half * far_column)
                green[k] = centre[k]
                other[k] = eighth * (((base + four * (north[k] + south[k])) - far_column) + half * far_row)


@njit(cache=True, nogil=True)
def _bilinear(up: NDArray[Any], here: NDArray[Any], down: NDArray[Any], column: int, sites: NDArray[Any]) -> None:
    """Fill ``sites``: first the photosites that are not green, then the green ones."""
    n = sites.shape[2]
    half, quarter = np.float32(0.5), np.float32(0.25)
    for site in range(2):
        own = column if site == 0 else 1 - column
        beside, left = 1 - own, own
        centre, north, south = here[own, 1 : n + 1], up[own, 1 : n + 1], down[own, 1 : n + 1]
        west, east = here[beside, left : left + n], here[beside, left + 1 : left + n + 1]
        north_west, north_east = up[beside, left : left + n], up[beside, left + 1 : left + n + 1]
        south_west, south_east = down[beside, left : left + n], down[beside, left + 1 : left + n + 1]
        in_row, green, other = sites[site, 0], sites[site, 1], sites[site, 2]
        if site == 0:
            for k in range(n):
                in_row[k] = centre[k]
                green[k] = quarter * ((west[k] + east[k]) + (north[k] + south[k]))
                other[k] = quarter * ((north_west[k] + north_east[k]) + (south_west[k] + south_east[k]))
        else:
            for k in range(n):
                in_row[k] = half * (west[k] + east[k])
                green[k] = centre[k]
                other[k] = half * (north[k] + south[k])


@njit(cache=True, nogil=True)
def _finish(
    even: NDArray[Any],
    odd: NDArray[Any],
    first: int,
    matrix: NDArray[Any],
    encode: bool,
    planes: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Fill one row of the picture, (W, 3), from the camera colours of its even and odd columns, (3, W / 2) each.

    Red is their row ``first``, 0 or 2, and blue the other one; ``planes`` is scratch, (3, W) or one more.
    """
    zero, one = np.float32(0), np.float32(1)
    for channel in range(3):
        plane = planes[channel]
        of_red, of_green, of_blue = matrix[channel, 0], matrix[channel, 1], matrix[channel, 2]
        r, g, b = even[first], even[1], even[2 - first]
        s, h, c = odd[first], odd[1], odd[2 - first]
        for k in range(r.size):
            plane[2 * k] = min(max((of_red * r[k] + of_green * g[k]) + of_blue * b[k], zero), one)
            plane[2 * k + 1] = min(max((of_red * s[k] + of_green * h[k]) + of_blue * c[k], zero), one)
    if encode:
        flat = planes.reshape(planes.size)
        for i in range(flat.size):
            v = flat[i]
            s = math.sqrt(math.sqrt(v))
            t = (_CURVE[8] * s + _CURVE[7]) * s + _CURVE[6]
            t = ((t * s + _CURVE[5]) * s + _CURVE[4]) * s + _CURVE[3]
            t = ((t * s + _CURVE[2]) * s + _CURVE[1]) * s + _CURVE[0]
            flat[i] = np.float32(12.92) * v if v <= np.float32(0.0031308) else min(t, one)
    # Eight bits: 255 v + 1/2, cut to a whole number by the assignment.
    eight = out.itemsize == 1
    factor, shift = np.float32(255 if eight else 1), np.float32(0.5 if eight else 0)
    red, green, blue = planes[0], planes[1], planes[2]
    codes = out.reshape(out.size)
    for x in range(out.shape[0]):
        codes[3 * x] = red[x] * factor + shift
        codes[3 * x + 1] = green[x] * factor + shift
        codes[3 * x + 2] = blue[x] * factor + shift


@njit(cache=True, nogil=True)
def _finish_rows(rgb: NDArray[Any], matrix: NDArray[Any], encode: bool, out: NDArray[Any]) -> None:
    """Fill ``out`` row by row."""
    width = rgb.shape[1]
    halves = np.zeros((2, 3, (width + 1) // 2), np.float32)
    planes = np.empty((3, width + width % 2), np.float32)
    for y in range(rgb.shape[0]):
        for x in range(width):
            for channel in range(3):
                halves[x & 1, channel, x >> 1] = rgb[y, x, channel]
        _finish(halves[0], halves[1], 0, matrix, encode, planes, out[y])

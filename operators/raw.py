"""From a shuffled RAW mosaic straight to a network's RGB input, in one pass that stores no picture in between."""

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from operators.demosaic import bayer_colours
from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.resample import cropped_area
from operators.tables import PixelOrder

# Below this many photosites, starting threads costs more than it saves.
_PARALLEL_PHOTOSITES = 100_000
# Cells are dealt to threads in this many parts.
_JOBS = 64


@njit(cache=True, nogil=True)
def _load_line(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    y: int,
    left: int,
    size: tuple[int, int],
    response: NDArray[Any],
    line: NDArray[Any],
) -> None:
    """Fill a line with the photosites (y, left), (y, left + 1), ...: mirrored into the frame, levelled, clipped."""
    H, W = size
    if y < 0:
        y = -y
    if y >= H:
        y = 2 * (H - 1) - y
    for k in range(line.size):
        x = left + k
        if x < 0:
            x = -x
        if x >= W:
            x = 2 * (W - 1) - x
        n = y * W + x
        code = mosaic[slot[n]] if slot.size else mosaic[n]
        value = (code - response[0, y & 1, x & 1]) * response[1, y & 1, x & 1]
        line[k] = min(max(value, 0.0), 1.0)


@njit(cache=True, nogil=True)
def _add_row(
    up: NDArray[Any],
    middle: NDArray[Any],
    down: NDArray[Any],
    shares: NDArray[Any],
    own_colours: NDArray[Any],
    x: int,
    sums: NDArray[Any],
) -> None:
    """Add one row of a cell, demosaiced and weighted, to sums (3,); element k + 1 of a line is photosite x + k."""
    for k in range(shares.size):
        share = shares[k]
        own = own_colours[(x + k) & 1]
        sums[own] += share * middle[k + 1]
        across = middle[k] + middle[k + 2]
        along = up[k + 1] + down[k + 1]
        if own == 1:
            beside = own_colours[(x + k + 1) & 1]
            sums[beside] += share * 0.5 * across
            sums[2 - beside] += share * 0.5 * along
        else:
            sums[1] += share * 0.25 * (across + along)
            sums[2 - own] += share * 0.25 * (up[k] + up[k + 2] + down[k] + down[k + 2])


@njit(cache=True, nogil=True)
def _average_cells(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    cells: NDArray[Any],
    geometry: tuple[int, int, int, int, int, int, int, int],
    colours: NDArray[Any],
    response: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Set out[:, i] to the mean demosaiced colour of output cell cells[i]; three lines of one cell are all it keeps."""
    H, W, top, left, height, width, h, w = geometry
    widest = -(-width // w) + 1
    lines = np.empty((3, widest + 2))
    shares = np.empty(widest)
    sums = np.empty(3)
    for i in range(cells.size):
        cell_y, cell_x = cells[i] // w, cells[i] % w
        # In units of 1 / h (or 1 / w) of a photosite, places and overlaps are integers.
        begin_y, end_y = cell_y * height, (cell_y + 1) * height
        begin_x, end_x = cell_x * width, (cell_x + 1) * width
        first_y, last_y = begin_y // h, -(-end_y // h)
        first_x, last_x = begin_x // w, -(-end_x // w)
        count = last_x - first_x
        sums[:] = 0.0
        for y in range(first_y - 1, last_y + 1):
            _load_line(mosaic, slot, top + y, left + first_x - 1, (H, W), response, lines[(y + 1) % 3, : count + 2])
            inner = y - 1
            if inner < first_y:
                continue
            rows = min((inner + 1) * h, end_y) - max(inner * h, begin_y)
            for k in range(count):
                x = first_x + k
                shares[k] = float(rows * (min((x + 1) * w, end_x) - max(x * w, begin_x)))
            _add_row(
                lines[inner % 3],
                lines[(inner + 1) % 3],
                lines[(inner + 2) % 3],
                shares[:count],
                colours[(top + inner) & 1],
                left + first_x,
                sums,
            )
        for c in range(3):
            out[c, i] = sums[c] / (float(height) * float(width))


@njit(cache=True, nogil=True, parallel=True)
def _average_cells_parallel(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    cells: NDArray[Any],
    geometry: tuple[int, int, int, int, int, int, int, int],
    colours: NDArray[Any],
    response: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Do :func:`_average_cells` on all threads; every cell is one thread's, so the result is the same."""
    jobs = min(_JOBS, cells.size)
    for job in prange(jobs):
        first, last = job * cells.size // jobs, (job + 1) * cells.size // jobs
        _average_cells(mosaic, slot, cells[first:last], geometry, colours, response, out[:, first:last])


@njit(cache=True, nogil=True)
def _encode(linear: NDArray[Any], matrix: NDArray[Any], out: NDArray[Any]) -> None:
    """Set out to the colour matrix applied to linear (3, M), clipped to 0..1, on the sRGB curve (IEC 61966-2-1)."""
    for i in range(linear.shape[1]):
        for c in range(3):
            mixed = matrix[c, 0] * linear[0, i] + matrix[c, 1] * linear[1, i] + matrix[c, 2] * linear[2, i]
            light = min(max(mixed, 0.0), 1.0)
            out[c, i] = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055


def keyed_raw_to_rgb(
    mosaic: ArrayLike,
    size: IntOrPair,
    *,
    slot: NDArray[Any] | None = None,
    cfa: str = "RGGB",
    black_level: ArrayLike = 0.0,
    white_level: float = 65535.0,
    white_balance: ArrayLike = (1.0, 1.0, 1.0),
    color_matrix: ArrayLike | None = None,
    permutation_out: PixelOrder | None = None,
    crop: bool = True,
) -> Tensor:
    r"""Develop a (shuffled) RAW mosaic and shrink it to a network's input, without unshuffling it.

    Photosite n of colour c becomes

    .. math:: v_n = \mathrm{clip}\big(g_c\, (code[slot[n]] - black) / (white - black),\ 0,\ 1\big),

    then bilinear demosaicing (3x3, borders mirrored without repeating the edge), the average by area over the output's
    cell in linear light, the colour matrix, a clip to 0..1 and the sRGB curve. The sums run in the same order whatever
    the key, so the result is bit for bit the plain result, moved to the output's order.

    Parameters
    ----------
    mosaic : array of uint8 or uint16, shape (H, W)
        Codes in readout order; H and W at least 2.
    size : int or (int, int)
        Height and width of the result, in pixels; may exceed the mosaic's.
    slot : ndarray of integers, shape (H * W,), optional
        Slot of every natural photosite; None for a mosaic in natural order.
    cfa : {"RGGB", "BGGR", "GRBG", "GBRG"}
        Colours of the natural frame's upper left 2x2 photosites.
    black_level : float or array, shape (2, 2)
        Code without light, one for all or by place in the colour filter's tile.
    white_level : float
        Code at saturation.
    white_balance : array, shape (3,)
        Gains of red, green and blue.
    color_matrix : array, shape (3, 3), optional
        From the camera's linear RGB to linear sRGB; None leaves the colours alone.
    permutation_out : permutation of h * w, optional
        Pixel order of the result; None for natural order.
    crop : bool
        Whether the largest centred square is taken, or the whole frame.

    Returns
    -------
    Tensor of float32, shape (3, h, w)
        sRGB-encoded, 0 to 1.

    Raises
    ------
    OperatorError
        When a shape, type, level or permutation does not fit.

    Examples
    --------
    >>> keyed_raw_to_rgb(np.full((4, 6), 1000, np.uint16), 1, white_level=1000)[:, 0, 0].tolist()
    [1.0, 1.0, 1.0]
    """
    codes = np.asarray(mosaic)
    if codes.ndim != 2 or min(codes.shape) < 2 or codes.dtype not in (np.uint8, np.uint16):
        raise OperatorError(f"mosaic must be uint8 or uint16, (H, W), at least 2 x 2; got {codes.dtype}, {codes.shape}")
    h, w = pair(size, "size", 1)
    H, W = codes.shape
    colours = bayer_colours(cfa)
    response = _response(colours, black_level, white_level, white_balance)
    matrix = _numbers(np.eye(3) if color_matrix is None else color_matrix, (3, 3), "color_matrix")
    cells = np.arange(h * w) if permutation_out is None else np.asarray(permutation_out.source)
    if len(cells) != h * w:
        raise OperatorError(f"permutation_out arranges {len(cells)} pixels and the result has {h * w}")
    geometry = (H, W, *cropped_area((H, W), crop), h, w)
    threaded = geometry[4] * geometry[5] >= _PARALLEL_PHOTOSITES and torch.get_num_threads() > 1
    linear = np.empty((3, h * w))
    (_average_cells_parallel if threaded else _average_cells)(
        np.ascontiguousarray(codes).reshape(-1),
        _slots(slot, H * W),
        np.ascontiguousarray(cells, dtype=np.int64),
        geometry,
        colours,
        response,
        linear,
    )
    rgb = np.empty((3, h * w), np.float32)
    _encode(linear, matrix, rgb)
    return torch.from_numpy(rgb.reshape(3, h, w))


def _slots(slot: NDArray[Any] | None, size: int) -> NDArray[Any]:
    """Return the slot table as uint32, empty for natural order; raise unless every entry is a slot."""
    if slot is None:
        return np.empty(0, np.uint32)
    table = np.asarray(slot)
    if table.shape != (size,) or table.dtype.kind not in "iu":
        raise OperatorError(f"slot must hold {size} integers, one for each photosite; got {table.dtype}, {table.shape}")
    # Kernels do not check bounds.
    if int(table.min()) < 0 or int(table.max()) >= size:
        raise OperatorError(f"slot must hold numbers from 0 to {size - 1}")
    return np.ascontiguousarray(table, dtype=np.uint32)


def _numbers(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Return finite numbers as float64 of the given shape, or raise."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise OperatorError(f"{name} must hold finite numbers of the shape {shape}; got the shape {array.shape}")
    return array


def _response(
    colours: NDArray[Any], black_level: ArrayLike, white_level: float, white_balance: ArrayLike
) -> NDArray[Any]:
    """Return offset and scale of every place in the colour filter's tile: (2, 2, 2)."""
    black = np.asarray(black_level, dtype=np.float64)
    black = _numbers(np.full((2, 2), black) if black.ndim == 0 else black, (2, 2), "black_level")
    gains = _numbers(white_balance, (3,), "white_balance")
    if not white_level > black.max():
        raise OperatorError(f"white_level {white_level} must exceed every black level; the highest is {black.max()}")
    return np.stack([black, gains[colours] / (white_level - black)])

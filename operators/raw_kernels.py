"""The inner loops of :mod:`operators.raw`: light, three colours for each photosite, and their mean over a cell.

Geometry is (H, W, top, left, height, width, h, w): the frame, the area of it that is used, and the output.
"""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

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
    black, scale = response[0, y % response.shape[1]], response[1, y % response.shape[1]]
    for k in range(line.size):
        x = left + k
        if x < 0:
            x = -x
        if x >= W:
            x = 2 * (W - 1) - x
        n = y * W + x
        code = mosaic[slot[n]] if slot.size else mosaic[n]
        line[k] = min(max((code - black[x]) * scale[x], 0.0), 1.0)


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
def _shares_of_row(inner: int, begin_y: int, begin_x: int, geometry: Any, shares: NDArray[Any]) -> None:
    """Set shares to what each photosite of a row has of a cell's area, in units of 1 / (h w) of a photosite."""
    _, _, _, _, height, width, h, w = geometry
    rows = min((inner + 1) * h, begin_y + height) - max(inner * h, begin_y)
    for k in range(shares.size):
        x = begin_x // w + k
        shares[k] = float(rows * (min((x + 1) * w, begin_x + width) - max(x * w, begin_x)))


@njit(cache=True, nogil=True)
def bayer_cells(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    cells: NDArray[Any],
    geometry: tuple[int, int, int, int, int, int, int, int],
    colours: NDArray[Any],
    response: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Set out[:, i] to the mean colour, bilinear, of output cell cells[i]; three lines of one cell are all it keeps."""
    H, W, top, left, height, width, h, w = geometry
    widest = -(-width // w) + 1
    lines = np.empty((3, widest + 2))
    shares = np.empty(widest)
    sums = np.empty(3)
    for i in range(cells.size):
        # In units of 1 / h (or 1 / w) of a photosite, places and overlaps are integers.
        begin_y, begin_x = cells[i] // w * height, cells[i] % w * width
        first_y, last_y = begin_y // h, -(-(begin_y + height) // h)
        first_x, last_x = begin_x // w, -(-(begin_x + width) // w)
        count = last_x - first_x
        sums[:] = 0.0
        for y in range(first_y - 1, last_y + 1):
            _load_line(mosaic, slot, top + y, left + first_x - 1, (H, W), response, lines[(y + 1) % 3, : count + 2])
            inner = y - 1
            if inner < first_y:
                continue
            _shares_of_row(inner, begin_y, begin_x, geometry, shares[:count])
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
def bayer_cells_parallel(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    cells: NDArray[Any],
    geometry: tuple[int, int, int, int, int, int, int, int],
    colours: NDArray[Any],
    response: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Do :func:`bayer_cells` on all threads; every cell is one thread's, so the result is the same."""
    jobs = min(_JOBS, cells.size)
    for job in prange(jobs):
        first, last = job * cells.size // jobs, (job + 1) * cells.size // jobs
        bayer_cells(mosaic, slot, cells[first:last], geometry, colours, response, out[:, first:last])


@njit(cache=True, nogil=True)
def _weigh_line(line: NDArray[Any], masks: NDArray[Any], reach: int, weighted: NDArray[Any]) -> None:
    """Set weighted (3, count) to the tent-weighted sums along a line of the photosites of each colour."""
    count = weighted.shape[1]
    weighted[:] = 0.0
    for c in range(3):
        of_colour, mask = weighted[c], masks[c]
        for d in range(2 * reach + 1):
            weight = float(reach + 1 - abs(d - reach))
            for k in range(count):
                of_colour[k] += weight * (mask[k + d] * line[k + d])


@njit(cache=True, nogil=True)
def tent_cells(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    cells: NDArray[Any],
    geometry: tuple[int, int, int, int, int, int, int, int],
    masks: NDArray[Any],
    inverse: NDArray[Any],
    kind_of_row: NDArray[Any],
    reach: int,
    response: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Set out[:, i] to the mean colour of output cell cells[i], each colour a tent-weighted mean of what is near."""
    H, W, top, left, height, width, h, w = geometry
    side, depth = masks.shape[0], 2 * reach + 1
    widest = -(-width // w) + 1
    lines = np.empty((depth, widest + 2 * reach))
    weighted = np.empty((depth, 3, widest))
    shares, total, sums = np.empty(widest), np.empty(widest), np.empty(3)
    for i in range(cells.size):
        begin_y, begin_x = cells[i] // w * height, cells[i] % w * width
        first_y, last_y = begin_y // h, -(-(begin_y + height) // h)
        first_x, last_x = begin_x // w, -(-(begin_x + width) // w)
        count, x = last_x - first_x, left + first_x
        begin, end = max(x - reach, 0), min(x + count + reach, W)
        sums[:] = 0.0
        for y in range(first_y - reach, last_y + reach):
            line, weighted_line = lines[y % depth], weighted[y % depth, :, :count]
            if 0 <= top + y < H:
                line[:] = 0.0
                inside = line[begin - x + reach : end - x + reach]
                _load_line(mosaic, slot, top + y, begin, (H, W), response, inside)
                _weigh_line(line, masks[(top + y) % side, :, x:], reach, weighted_line)
            else:
                weighted_line[:] = 0.0
            inner = y - reach
            if inner < first_y:
                continue
            _shares_of_row(inner, begin_y, begin_x, geometry, shares[:count])
            middle, own = lines[inner % depth], masks[(top + inner) % side]
            for c in range(3):
                total[:] = 0.0
                for d in range(-reach, reach + 1):
                    weight, near = float(reach + 1 - abs(d)), weighted[(inner + d) % depth, c]
                    for k in range(count):
                        total[k] += weight * near[k]
                factor = inverse[kind_of_row[top + inner], c]
                for k in range(count):
                    of_colour = own[c, x + k + reach] > 0.0
                    sums[c] += shares[k] * (middle[k + reach] if of_colour else total[k] * factor[x + k])
        for c in range(3):
            out[c, i] = sums[c] / (float(height) * float(width))


@njit(cache=True, nogil=True, parallel=True)
def tent_cells_parallel(
    mosaic: NDArray[Any],
    slot: NDArray[Any],
    cells: NDArray[Any],
    geometry: tuple[int, int, int, int, int, int, int, int],
    masks: NDArray[Any],
    inverse: NDArray[Any],
    kind_of_row: NDArray[Any],
    reach: int,
    response: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Do :func:`tent_cells` on all threads; every cell is one thread's, so the result is the same."""
    jobs = min(_JOBS, cells.size)
    for job in prange(jobs):
        first, last = job * cells.size // jobs, (job + 1) * cells.size // jobs
        part = out[:, first:last]
        tent_cells(mosaic, slot, cells[first:last], geometry, masks, inverse, kind_of_row, reach, response, part)


@njit(cache=True, nogil=True)
def encode(linear: NDArray[Any], matrix: NDArray[Any], out: NDArray[Any]) -> None:
    """Set out to the colour matrix applied to linear (3, M), clipped to 0..1, on the sRGB curve (IEC 61966-2-1)."""
    for i in range(linear.shape[1]):
        for c in range(3):
            mixed = matrix[c, 0] * linear[0, i] + matrix[c, 1] * linear[1, i] + matrix[c, 2] * linear[2, i]
            light = min(max(mixed, 0.0), 1.0)
            out[c, i] = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055

"""The inner loops of development: from codes to a picture, one row at a time, in the processor's own caches.

All kernels that call each other lie in this file, because Numba's cache knows nothing of changes in another one.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

# 1.055 v^(1/2.4) - 0.055 as the ratio of two polynomials of v, fitted for the smallest largest error (1.2e-7) on
# 0.0031308 to 1: with float32 arithmetic within 5e-7 of the curve, and free of roots, which take processors longest.
_ABOVE = tuple(
    np.float32(c)
    for c in (-0.0285132416, 23.5962601, 13351.3027, 943711.875, 14870248.0, 55989032.0, 42531584.0, 2720885.25)
)
_BELOW = tuple(np.float32(c) for c in (1.0, 887.207764, 123130.797, 3935288.25, 31867496.0, 61317848.0, 19824170.0))

_BLOCK_PAIRS = 1024
"""Pairs of columns that are finished at a time: what they need stays in the first cache."""


# As in fast_kernels.py, and not shared: Numba's cache would not see a change in another file.
@intrinsic
def _vectors(typing_context: Any) -> Any:
    """Ask for vectors of 512 bits in the kernel that calls this, where the processor has them."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        # llvmlite's own add() knows attributes with a name only, not those that are strings.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


# Numba types an intrinsic as if it were called with its typing context.
_wide_vectors: Any = _vectors


@njit(cache=True, nogil=True, error_model="numpy")
def bayer_rows(
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
    """Do what :func:`sensor.picture_rows.bayer_picture_rows` says; ``codes`` C-contiguous, at least 2 x 2."""
    height, width = codes.shape
    row = np.empty(width, np.uint16)
    blocks, block = _blocks(width)
    # Five lines at a time, even and odd columns apart: neighbours of one kind then lie side by side, as vector units
    # want them. Place k + 1 of a half line is column 2k or 2k + 1; a border of two columns on each side.
    lines = np.zeros((5, 2, blocks * block + 2), np.float32)
    sites, packed = np.zeros((2, 3, block), np.float32), np.empty((2, block), np.uint32)
    turn = 2 * (height - 1)
    for y in range(first - 2, first + out.shape[0] + 2):
        source = abs(y) % turn
        source = min(source, turn - source)
        _load(codes, slot, keyed, source, black[source % 2], scale[source % 2], row, lines[(y + 10) % 5])
        ready = y - 2
        if ready < first:
            continue
        column = 1 if tile[ready % 2, 0] == 1 else 0  # of the row's red or blue photosites
        red = 0 if tile[ready % 2, column] == 0 else 2  # sites hold the row's own colour, green, the other one
        up, here, down = lines[(ready + 9) % 5], lines[ready % 5], lines[(ready + 1) % 5]
        for start in range(0, blocks * block, block):
            if malvar:
                _malvar(lines[(ready + 8) % 5], up, here, down, lines[(ready + 2) % 5], column, start, sites)
            else:
                _bilinear(up, here, down, column, start, sites)
            _finish(sites, column, red, matrix, encode, packed, out[ready - first, 2 * start : 2 * (start + block)])


@njit(cache=True, nogil=True)
def _blocks(width: int) -> tuple[int, int]:
    """Return how many blocks a row has, and how many pairs of columns a block: whole vectors, always."""
    vectors = (width + 127) // 128
    blocks = (64 * vectors + _BLOCK_PAIRS - 1) // _BLOCK_PAIRS
    return blocks, 64 * ((vectors + blocks - 1) // blocks)


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


# "contract" lets a multiplication and the addition behind it round once: measured, a tenth of the time.
@njit(cache=True, nogil=True, fastmath={"contract"})
def _malvar(
    far_up: NDArray[Any],
    up: NDArray[Any],
    here: NDArray[Any],
    down: NDArray[Any],
    far_down: NDArray[Any],
    column: int,
    start: int,
    sites: NDArray[Any],
) -> None:
    """Fill ``sites`` from pair ``start`` on: first the photosites that are not green, then the green ones."""
    _wide_vectors()
    n, end = sites.shape[2], start + sites.shape[2]
    sixteenth, eighth, quarter, half = np.float32(0.0625), np.float32(0.125), np.float32(0.25), np.float32(0.5)
    three_sixteenths, five_eighths, three_quarters = np.float32(0.1875), np.float32(0.625), np.float32(0.75)
    for site in range(2):
        # Columns of these photosites and of those beside them; where the left neighbour lies in its half line.
        own = column if site == 0 else 1 - column
        beside, left = 1 - own, own
        centre, before, after = here[own, start + 1 : end + 1], here[own, start:end], here[own, start + 2 : end + 2]
        west, east = here[beside, start + left : end + left], here[beside, start + left + 1 : end + left + 1]
        north, south = up[own, start + 1 : end + 1], down[own, start + 1 : end + 1]
        far_north, far_south = far_up[own, start + 1 : end + 1], far_down[own, start + 1 : end + 1]
        north_west, north_east = up[beside, start + left : end + left], up[beside, start + left + 1 : end + left + 1]
        south_west, south_east = (
            down[beside, start + left : end + left],
            down[beside, start + left + 1 : end + left + 1],
        )
        in_row, green, other = sites[site, 0], sites[site, 1], sites[site, 2]
        if site == 0:
            for k in range(n):
                far = (before[k] + after[k]) + (far_north[k] + far_south[k])
                cross = (west[k] + east[k]) + (north[k] + south[k])
                diagonal = (north_west[k] + north_east[k]) + (south_west[k] + south_east[k])
                in_row[k] = centre[k]
                green[k] = (half * centre[k] + quarter * cross) - eighth * far
                other[k] = (three_quarters * centre[k] + quarter * diagonal) - three_sixteenths * far
        else:
            for k in range(n):
                far_row, far_column = before[k] + after[k], far_north[k] + far_south[k]
                diagonal = (north_west[k] + north_east[k]) + (south_west[k] + south_east[k])
                base = five_eighths * centre[k] - eighth * diagonal
                in_row[k] = ((base + half * (west[k] + east[k])) - eighth * far_row) + sixteenth * far_column
                green[k] = centre[k]
                other[k] = ((base + half * (north[k] + south[k])) - eighth * far_column) + sixteenth * far_row


@njit(cache=True, nogil=True)
def _bilinear(
    up: NDArray[Any], here: NDArray[Any], down: NDArray[Any], column: int, start: int, sites: NDArray[Any]
) -> None:
    """Fill ``sites`` from pair ``start`` on: first the photosites that are not green, then the green ones."""
    _wide_vectors()
    n, end = sites.shape[2], start + sites.shape[2]
    half, quarter = np.float32(0.5), np.float32(0.25)
    for site in range(2):
        own = column if site == 0 else 1 - column
        beside, left = 1 - own, own
        centre, north, south = (
            here[own, start + 1 : end + 1],
            up[own, start + 1 : end + 1],
            down[own, start + 1 : end + 1],
        )
        west, east = here[beside, start + left : end + left], here[beside, start + left + 1 : end + left + 1]
        north_west, north_east = up[beside, start + left : end + left], up[beside, start + left + 1 : end + left + 1]
        south_west, south_east = (
            down[beside, start + left : end + left],
            down[beside, start + left + 1 : end + left + 1],
        )
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
    sites: NDArray[Any],
    column: int,
    red: int,
    matrix: NDArray[Any],
    encode: bool,
    packed: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Fill a block of a row, (w, 3), from the camera colours ``sites``, which change; ``packed`` is scratch.

    Columns of the parity ``column`` are ``sites[0]``; red is row ``red``, 0 or 2, of the three, and blue the other one.
    """
    _to_srgb(sites, red, matrix)
    if encode:
        _curve(sites.reshape(sites.size))
    even, odd = sites[column], sites[1 - column]
    if out.itemsize == 1:
        _pack(even, packed[0])
        _pack(odd, packed[1])
        _store_codes(packed, out.reshape(out.size))
    else:
        _store_light(even, odd, out.reshape(out.size))


@njit(cache=True, nogil=True, fastmath={"contract"})
def _to_srgb(sites: NDArray[Any], red: int, matrix: NDArray[Any]) -> None:
    """Turn camera colours into red, green and blue in rows 0, 1 and 2, clipped to [0, 1]."""
    _wide_vectors()
    zero, one = np.float32(0), np.float32(1)
    # The matrix for the order in which the colours lie.
    a, b, c = matrix[0, red], matrix[0, 1], matrix[0, 2 - red]
    d, e, f = matrix[1, red], matrix[1, 1], matrix[1, 2 - red]
    g, h, i = matrix[2, red], matrix[2, 1], matrix[2, 2 - red]
    for site in range(2):
        x, y, z = sites[site, 0], sites[site, 1], sites[site, 2]
        for k in range(x.size):
            u, v, w = x[k], y[k], z[k]
            x[k] = min(max((a * u + b * v) + c * w, zero), one)
            y[k] = min(max((d * u + e * v) + f * w, zero), one)
            z[k] = min(max((g * u + h * v) + i * w, zero), one)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _curve(values: NDArray[Any]) -> None:
    """Apply the sRGB curve to values in [0, 1]."""
    _wide_vectors()
    one = np.float32(1)
    for k in range(values.size):
        v = values[k]
        above = ((_ABOVE[7] * v + _ABOVE[6]) * v + _ABOVE[5]) * v + _ABOVE[4]
        above = (((above * v + _ABOVE[3]) * v + _ABOVE[2]) * v + _ABOVE[1]) * v + _ABOVE[0]
        below = ((_BELOW[6] * v + _BELOW[5]) * v + _BELOW[4]) * v + _BELOW[3]
        below = ((below * v + _BELOW[2]) * v + _BELOW[1]) * v + _BELOW[0]
        values[k] = np.float32(12.92) * v if v <= np.float32(0.0031308) else min(above / below, one)


@njit(cache=True, nogil=True)
def _pack(colours: NDArray[Any], packed: NDArray[Any]) -> None:
    """Set ``packed`` to the colours' codes of 8 bits, red in the lowest: 255 x + 1/2, cut to a whole number."""
    _wide_vectors()
    top, half = np.float32(255), np.float32(0.5)
    red, green, blue = colours[0], colours[1], colours[2]
    for k in range(packed.size):
        low = np.int32(red[k] * top + half) | np.int32(np.int32(green[k] * top + half) << np.int32(8))
        packed[k] = low | np.int32(np.int32(blue[k] * top + half) << np.int32(16))


@njit(cache=True, nogil=True)
def _store_codes(packed: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out`` to the three codes of each column, in turn; even columns are ``packed[0]``."""
    even, odd = packed[0], packed[1]
    # Four columns are twelve bytes; the last ones go one by one.
    quads = out.size // 12
    words = out[: 12 * quads].view(np.uint32)
    eight, sixteen, whole = np.uint32(8), np.uint32(16), np.uint32(24)
    for j in range(quads):
        first, second, third, fourth = even[2 * j], odd[2 * j], even[2 * j + 1], odd[2 * j + 1]
        words[3 * j] = first | np.uint32(second << whole)
        words[3 * j + 1] = np.uint32(second >> eight) | np.uint32(third << sixteen)
        words[3 * j + 2] = np.uint32(third >> sixteen) | np.uint32(fourth << eight)
    for at in range(12 * quads, out.size):
        x = at // 3
        out[at] = np.uint8(packed[x & 1, x >> 1] >> np.uint32(8 * (at % 3)))


@njit(cache=True, nogil=True)
def _store_light(even: NDArray[Any], odd: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out`` to the three colours of each column, in turn."""
    for k in range(out.size // 6):
        for channel in range(3):
            out[6 * k + channel] = even[channel, k]
            out[6 * k + 3 + channel] = odd[channel, k]
    if out.size % 6:
        for channel in range(3):
            out[out.size - 3 + channel] = even[channel, out.size // 6]


@njit(cache=True, nogil=True)
def finished_rows(rgb: NDArray[Any], matrix: NDArray[Any], encode: bool, out: NDArray[Any]) -> None:
    """Do what :func:`sensor.picture_rows.finish_rows` says."""
    width = rgb.shape[1]
    _, block = _blocks(width)
    sites, packed = np.zeros((2, 3, block), np.float32), np.empty((2, block), np.uint32)
    for y in range(rgb.shape[0]):
        for start in range(0, width, 2 * block):
            end = min(start + 2 * block, width)
            for x in range(start, end):
                for channel in range(3):
                    sites[x & 1, channel, (x - start) >> 1] = rgb[y, x, channel]
            _finish(sites, 0, 0, matrix, encode, packed, out[y, start:end])

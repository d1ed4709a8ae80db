"""The colour filter array: which colour each photosite sees.

A pattern is the letters of its square tile, row by row: ``"RGGB"`` and its shifts for Bayer, 16 letters for
quad-Bayer, 36 for X-Trans, ``"W"`` for a sensor without filters.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.errors import RawFrameError

BAYER = ("RGGB", "GRBG", "GBRG", "BGGR")
QUAD_BAYER = "RRGGRRGGGGBBGGBB"
X_TRANS = "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"
MONO = "W"

_COLOURS = "RGBW"


@lru_cache(maxsize=32)
def cfa_tile(cfa: str) -> NDArray[np.uint8]:
    """Return the tile of a pattern as colour numbers.

    Parameters
    ----------
    cfa : str
        1, 4, 16 or 36 letters out of R, G, B and W.

    Returns
    -------
    ndarray of uint8, shape (n, n)
        0 red, 1 green, 2 blue, 3 clear; read-only.

    Raises
    ------
    RawFrameError
        When the letters do not form such a tile.

    Examples
    --------
    >>> cfa_tile("GRBG").tolist()
    [[1, 0], [2, 1]]
    """
    side = {1: 1, 4: 2, 16: 4, 36: 6}.get(len(cfa))
    if side is None or set(cfa) - set(_COLOURS):
        raise RawFrameError(
            f"colour filter pattern {cfa!r} is not known; give the letters of its tile row by row, such as 'RGGB'"
        )
    tile = np.array([_COLOURS.index(letter) for letter in cfa], np.uint8).reshape(side, side)
    tile.flags.writeable = False
    return tile


def sample_mosaic(light: NDArray[np.float32], tile: NDArray[np.uint8], response: NDArray[np.float64]) -> NDArray[Any]:
    r"""Return what each photosite sees of a linear picture.

    .. math:: s_n = \max\Big(0, \sum_k R_{c(n), k}\, x_{n, k}\Big), \qquad c(n) = \mathrm{tile}[y \bmod h, x \bmod w]

    Parameters
    ----------
    light : ndarray of float32, shape (H, W, 3) or (H, W)
        Linear sRGB, or grey that stands for all three; the first row lies on the tile's first row.
    tile : ndarray of uint8, shape (h, w)
        Colour numbers, see :func:`cfa_tile`.
    response : ndarray of float64, shape (4, 3)
        Linear sRGB to camera red, green, blue and clear, see :func:`sensor.colour.camera_response`.

    Returns
    -------
    ndarray of float32, shape (H, W)
        1.0 is what saturates the most sensitive colour at the reference exposure.
    """
    out = np.empty(light.shape[:2], np.float32)
    kernel = _sample if light.ndim == 3 else _sample_grey
    kernel(np.ascontiguousarray(light, np.float32), tile, response.astype(np.float32), out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _sample(rgb: NDArray[Any], tile: NDArray[Any], response: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out[y, x]`` to the clipped response of the photosite's own colour; all C-contiguous."""
    height, width = out.shape
    tile_height, tile_width = tile.shape
    for y in range(height):
        for start in range(tile_width):
            colour = tile[y % tile_height, start]
            r, g, b = response[colour, 0], response[colour, 1], response[colour, 2]
            for x in range(start, width, tile_width):
                seen = r * rgb[y, x, 0] + g * rgb[y, x, 1] + b * rgb[y, x, 2]
                out[y, x] = max(seen, np.float32(0))


@njit(cache=True, nogil=True, error_model="numpy")
def _sample_grey(grey: NDArray[Any], tile: NDArray[Any], response: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out[y, x]`` as :func:`_sample` does for a picture with this grey in all three channels."""
    height, width = out.shape
    tile_height, tile_width = tile.shape
    for y in range(height):
        source, target = grey[y], out[y]
        if tile_width == 1:
            r, g, b = response[tile[y % tile_height, 0]]
            for x in range(width):
                target[x] = max(r * source[x] + g * source[x] + b * source[x], np.float32(0))
        else:
            for start in range(tile_width):
                r, g, b = response[tile[y % tile_height, start]]
                for x in range(start, width, tile_width):
                    target[x] = max(r * source[x] + g * source[x] + b * source[x], np.float32(0))

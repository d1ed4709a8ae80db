"""Resizing: each pixel of the result is the mean light of the area it covers."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.bands import for_each_band
from sensor.errors import DevelopError


def resize(picture: NDArray[np.float32], size: tuple[int, int], *, tone: str = "srgb") -> NDArray[np.float32]:
    r"""Return the picture averaged by area to another size, in linear light.

    .. math:: x'_o = t\Big(\frac{1}{|A_o|} \sum_p |A_o \cap p|\; t^{-1}(x_p)\Big)

    with :math:`A_o` the area that output pixel o covers, pixels of the picture cut in fractions where need be, and t
    the sRGB curve. Averaging encoded values instead would darken fine detail. Enlarging repeats pixels.

    Works on what :func:`sensor.develop` returns, which is the same for a natural and a shuffled frame. For large
    frames develop with ``tone="linear"``, resize, and encode the small picture with :func:`sensor.srgb_encode`: that
    decodes nothing.

    Parameters
    ----------
    picture : ndarray of float, shape (H, W, 3)
        In [0, 1].
    size : (int, int)
        Height and width of the result, in pixels, at least 1.
    tone : str
        ``"srgb"`` when the picture is encoded, ``"linear"`` when it is linear light; the result is alike.

    Returns
    -------
    ndarray of float32, shape (*size, 3)

    Raises
    ------
    DevelopError
        For a picture of another shape or type, an impossible size or an unknown tone.

    Examples
    --------
    >>> black_and_white = np.array([[[0, 0, 0], [1, 1, 1]]], np.float32)
    >>> (255 * resize(black_and_white, (1, 1))).round().tolist()  # half the light
    [[[188.0, 188.0, 188.0]]]
    """
    given = np.asarray(picture)
    if given.ndim != 3 or given.shape[2] != 3 or given.size == 0 or given.dtype.kind != "f":
        raise DevelopError(f"a picture to resize is float, of shape (H, W, 3), got {given.dtype} {given.shape}")
    if tone not in ("srgb", "linear"):
        raise DevelopError(f"tone must be srgb or linear, got {tone!r}")
    if len(size) != 2 or not all(isinstance(side, (int, np.integer)) and 1 <= side <= 1 << 16 for side in size):
        raise DevelopError(f"size must be height and width, 1 to 65536 pixels, got {size!r}")
    height, width = int(size[0]), int(size[1])
    source = np.ascontiguousarray(given, np.float32)
    out = np.empty((height, width, 3), np.float32)

    def average(first: int, end: int) -> None:
        _average(source, tone == "srgb", first, height, out[first:end])

    # A band is the work of reading, not of writing.
    for_each_band(height, max(width, source.shape[0] * source.shape[1] // height), 1, average)
    return out


@njit(cache=True, nogil=True)
def _average(source: NDArray[Any], encoded: bool, first: int, out_height: int, out: NDArray[Any]) -> None:
    """Fill rows of the result from row ``first`` on; sums in double precision."""
    height, width, _ = source.shape
    out_width = out.shape[1]
    # In units of 1 / out_height (or 1 / out_width) of a pixel, places and overlaps are integers.
    line = np.empty((width, 3))
    for i in range(out.shape[0]):
        begin, end = (first + i) * height, (first + i + 1) * height
        line[:] = 0
        for y in range(begin // out_height, -(-end // out_height)):
            share = (min((y + 1) * out_height, end) - max(y * out_height, begin)) / height
            for x in range(width):
                for k in range(3):
                    v = np.float64(source[y, x, k])
                    if encoded:
                        v = v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4
                    line[x, k] += share * v
        for j in range(out_width):
            left, right = j * width, (j + 1) * width
            for k in range(3):
                light = 0.0
                for x in range(left // out_width, -(-right // out_width)):
                    overlap = min((x + 1) * out_width, right) - max(x * out_width, left)
                    light += overlap / width * line[x, k]
                if encoded:
                    light = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
                out[i, j, k] = light

"""Test charts, as scenes."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sensor.errors import SceneError
from sensor.scene import Scene
from sensor.srgb import srgb_decode

_Side = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]

COLOUR_CHECKER_SRGB = (
    "735244 c29682 627a9d 576c43 8580b1 67bdaa d67e2c 505ba6 c15a63 5e3c6c 9dbc40 e0a32e"
    " 383d96 469449 af363c e7c71f bb5695 0885a1 f3f3f2 c8c8c8 a0a0a0 7a7a79 555555 343434"
)
"""The 24 fields as 8-bit sRGB. Source: X-Rite, "ColorChecker Classic" data, in the usual sRGB rounding."""


def flat_chart(shape: tuple[int, int], level: float = 0.5) -> Scene:
    """Return even light."""
    height, width = _checked(shape)
    return Scene.from_array(np.full((height, width), float(level)))


def ramp_chart(shape: tuple[int, int], low: float = 0.0, high: float = 1.0) -> Scene:
    """Return light that rises evenly from the first column to the last."""
    height, width = _checked(shape)
    return Scene.from_array(np.tile(np.linspace(low, high, width), (height, 1)))


def slanted_edge_chart(
    shape: tuple[int, int], *, angle_deg: float = 5.0, dark: float = 0.1, bright: float = 0.8
) -> Scene:
    r"""Return an edge through the centre, tilted from the vertical, for measuring sharpness (ISO 12233).

    Each pixel's light is its mean over 16 x 16 points, so the edge itself has the sharpness of a perfect pixel.
    """
    slope = np.tan(np.deg2rad(angle_deg))

    def side(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(x + y * slope > 0, np.bool_)

    return _two_tone(shape, side, dark, bright)


def star_chart(shape: tuple[int, int], *, rays: int = 36, dark: float = 0.1, bright: float = 0.8) -> Scene:
    """Return a Siemens star: ``rays`` dark and as many bright sectors that meet in the centre."""
    if not 1 <= rays <= 1000:
        raise SceneError(f"a star has 1 to 1000 rays, got {rays!r}")

    def side(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray(np.sin(rays * np.arctan2(y, x)) > 0, np.bool_)

    return _two_tone(shape, side, dark, bright)


def colour_chart(shape: tuple[int, int], level: float = 1.0) -> Scene:
    """Return the 24 fields of a colour checker, 4 x 6, without gaps; ``level`` scales their light.

    Examples
    --------
    >>> colour_chart((40, 60))
    Scene(40 x 60)
    """
    height, width = _checked(shape)
    codes = np.array([list(bytes.fromhex(field)) for field in COLOUR_CHECKER_SRGB.split()], np.float64)
    fields = level * srgb_decode(codes / 255).reshape(4, 6, 3)
    return Scene.from_array(fields[np.arange(height) * 4 // height][:, np.arange(width) * 6 // width])


CHARTS: dict[str, Callable[[tuple[int, int]], Scene]] = {
    "flat": flat_chart,
    "ramp": ramp_chart,
    "slanted-edge": slanted_edge_chart,
    "colour-checker": colour_chart,
    "star": star_chart,
}
"""Every chart by name, each a function of the shape."""


def _checked(shape: tuple[int, int]) -> tuple[int, int]:
    height, width = shape
    if not (0 < height <= 1 << 16 and 0 < width <= 1 << 16):
        raise SceneError(f"a chart has a shape (H, W) of 1 to 65536, got {shape!r}")
    return height, width


def _two_tone(shape: tuple[int, int], side: _Side, dark: float, bright: float) -> Scene:
    height, width = _checked(shape)
    points = (np.arange(16) - 7.5) / 16
    x = np.arange(width) - (width - 1) / 2
    share = np.zeros((height, width))
    for dy in points:
        y = (np.arange(height) - (height - 1) / 2 + dy)[:, None]
        for dx in points:
            share += side(y, x + dx)
    return Scene.from_array(dark + (bright - dark) * share / points.size**2)

"""The lens: what it does to the picture before the sensor sees it."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor.errors import SceneError
from sensor.lens_shading import relative_illumination
from sensor.point_spread import normalised_psf, read_psf
from sensor.scene import Scene


@dataclass(frozen=True, kw_only=True, eq=False)
class Lens:
    """A lens as three effects, each with a value that turns it off.

    Attributes
    ----------
    blur_px : float
        Standard deviation of a Gaussian point-spread function; 0 is off.
    psf : ndarray of float, shape (n, m), or path, optional
        A measured point-spread function instead, odd in both directions, not negative; it is scaled to a sum of 1.
        A path is read by :func:`sensor.read_psf`.
    falloff : float
        Relative illumination, see :func:`sensor.correct_shading`; 0 is off.
    red_shift_px, blue_shift_px : float
        How far red and blue land outside green in the corners (lateral chromatic aberration); 0 is off.
    """

    blur_px: float = 0.0
    psf: NDArray[np.floating] | str | Path | None = None
    falloff: float = 0.0
    red_shift_px: float = 0.0
    blue_shift_px: float = 0.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("blur_px", 0, 100),
            ("falloff", 0, 10),
            ("red_shift_px", -100, 100),
            ("blue_shift_px", -100, 100),
        ):
            # NaN fails the comparison, so it is refused too.
            if not low <= getattr(self, name) <= high:
                raise SceneError(f"{name} of a lens must be from {low} to {high}, got {getattr(self, name)!r}")
        if self.psf is None:
            return
        psf = read_psf(self.psf) if isinstance(self.psf, str | Path) else normalised_psf(self.psf)
        object.__setattr__(self, "psf", psf)
        if self.blur_px != 0:
            raise SceneError("give a lens either blur_px or psf, not both")

    def image(self, scene: Scene) -> Scene:
        """Return the scene as this lens lays it on the sensor; the scene itself when everything is off.

        Colours shift first, then the point spreads (edges are mirrored), then the corners darken. Light that spreads
        is not lost: the sum stays, but for what crosses the edges.
        """
        if self.psf is None and not (self.blur_px or self.falloff or self.red_shift_px or self.blue_shift_px):
            return scene
        height, width = scene.shape
        shifts = self.red_shift_px or self.blue_shift_px
        light = scene.rows(0, height) if shifts else scene.light(0, height)
        if shifts:
            light = np.dstack(
                [
                    _scaled(light[:, :, 0], self.red_shift_px),
                    light[:, :, 1],
                    _scaled(light[:, :, 2], self.blue_shift_px),
                ]
            )
        if isinstance(self.psf, np.ndarray):
            # filter2D correlates; the flipped kernel makes it the convolution that light does.
            kernel = np.ascontiguousarray(self.psf[::-1, ::-1])
            light = np.asarray(cv2.filter2D(light, -1, kernel, borderType=cv2.BORDER_REFLECT_101), np.float32)
        elif self.blur_px:
            blurred = cv2.GaussianBlur(light, (0, 0), self.blur_px, borderType=cv2.BORDER_REFLECT_101)
            light = np.asarray(blurred, np.float32)
        if self.falloff:
            shade = relative_illumination((height, width), self.falloff, 0, height)
            light = light * (shade if light.ndim == 2 else shade[:, :, None])
        return Scene(np.ascontiguousarray(light, np.float32))


def _scaled(channel: NDArray[np.float32], corner_px: float) -> NDArray[np.float32]:
    """Return a channel magnified about the centre, so that its corners move out by ``corner_px``."""
    if corner_px == 0:
        return channel
    height, width = channel.shape
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    grow = 1 + corner_px / max(np.hypot(middle_x, middle_y), 1e-9)
    matrix = np.array([[grow, 0, middle_x * (1 - grow)], [0, grow, middle_y * (1 - grow)]])
    moved = cv2.warpAffine(
        np.ascontiguousarray(channel), matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.float32)

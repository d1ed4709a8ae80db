"""Sharpening: what a blur takes away is added once more."""

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor.errors import DevelopError
from sensor.srgb import LUMINANCE


def sharpen(picture: NDArray[np.float32], amount: float, radius_px: float = 1.0) -> NDArray[np.float32]:
    r"""Return the picture with its luminance sharpened by unsharp masking.

    .. math:: x'_k = \mathrm{clip}\big(x_k + a\,(y - G_\sigma y),\; 0,\; 1\big), \qquad y = \sum_k l_k x_k

    Luminance alone, so that colour noise is not sharpened; all three channels get the same, so hue stays.

    Parameters
    ----------
    picture : ndarray of float32, shape (H, W, 3)
        In [0, 1], linear or encoded.
    amount : float
        Strength a, 0 to 10; 0 returns the picture itself.
    radius_px : float
        Standard deviation of the Gaussian G, above 0.

    Raises
    ------
    DevelopError
        For numbers outside these ranges.
    """
    if not 0 <= amount <= 10 or not 0 < radius_px <= 100:
        raise DevelopError(f"sharpening takes an amount of 0 to 10 and a radius of 0 to 100, got {amount}, {radius_px}")
    if amount == 0:
        return picture
    grey = picture @ LUMINANCE.astype(np.float32)
    blurred = cv2.GaussianBlur(grey, (0, 0), radius_px, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(np.clip(picture + np.float32(amount) * (grey - blurred)[:, :, None], 0, 1), np.float32)

"""The camera's own colours: linear sRGB to what its filters see, and the way back."""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensor.srgb import LUMINANCE, XYZ_FROM_SRGB

_SRGB_FROM_XYZ = np.linalg.inv(XYZ_FROM_SRGB)


def camera_response(color_matrix: ArrayLike, white_balance: ArrayLike) -> NDArray[np.float64]:
    r"""Return the matrix from linear sRGB to camera colours.

    .. math:: R = \mathrm{diag}(1/g)\, M^{-1}

    so that white balance g and colour matrix M of :func:`sensor.develop` give the scene back. Identity matrix and
    gains of 1 turn the effect off.

    Parameters
    ----------
    color_matrix : array_like, shape (3, 3)
        M: white-balanced camera colours to linear sRGB.
    white_balance : array_like, shape (3,)
        g: gains of red, green and blue.

    Returns
    -------
    ndarray of float64, shape (4, 3)
        Rows red, green, blue and clear; a photosite without a filter sees luminance.
    """
    matrix, gains = np.asarray(color_matrix, np.float64), np.asarray(white_balance, np.float64)
    return _response(matrix.tobytes(), gains.tobytes()).copy()


@lru_cache(maxsize=64)  # all frames of a camera ask for the same, and the inverse of a matrix takes longer to find
def _response(color_matrix: bytes, white_balance: bytes) -> NDArray[np.float64]:
    matrix, gains = np.frombuffer(color_matrix).reshape(3, 3), np.frombuffer(white_balance)
    return np.vstack([np.linalg.inv(matrix) / gains[:, None], LUMINANCE])


def camera_from_xyz(color_matrix: ArrayLike, white_balance: ArrayLike) -> NDArray[np.float64]:
    """Return DNG's ColorMatrix: CIE XYZ (illuminant D65) to camera colours, shape (3, 3).

    Source: Adobe, "Digital Negative Specification", version 1.4, chapter 6.
    """
    return np.asarray(camera_response(color_matrix, white_balance)[:3] @ _SRGB_FROM_XYZ, np.float64)

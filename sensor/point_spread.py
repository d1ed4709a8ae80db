"""Point-spread functions that were measured, from arrays and files."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sensor.errors import SceneError
from sensor.image_file import decoded_image

_MOST_PX = 1023


def read_psf(path: str | Path) -> NDArray[np.float64]:
    """Read a point-spread function from a grey picture of it or from an array.

    Parameters
    ----------
    path : str or Path
        A grey PNG or TIFF, of 8, 16 or 32 bits (float) and linear in light, or a NumPy array (``.npy``). Subtract the
        background first: its sum over all pixels counts as light.

    Returns
    -------
    ndarray of float64, shape (n, m)
        See :func:`sensor.point_spread.normalised_psf`.

    Raises
    ------
    SceneError
        Naming the file, when it cannot be read or holds no point-spread function.
    """
    where = Path(path)
    if where.suffix.lower() == ".npy":
        try:
            # Plain numbers only: a pickle in the file is refused.
            with where.open("rb") as file:
                values = np.lib.format.read_array(file, allow_pickle=False)
        except OSError as error:
            raise SceneError(f"{path}: cannot read the point-spread function ({error.strerror or error})") from None
        except (ValueError, EOFError, MemoryError, SyntaxError) as error:
            raise SceneError(f"{path}: not a NumPy array of numbers ({error})") from None
    else:
        values = decoded_image(where)
    try:
        return normalised_psf(values)
    except SceneError as error:
        raise SceneError(f"{path}: {error}") from None


def normalised_psf(values: ArrayLike) -> NDArray[np.float64]:
    """Return a point-spread function scaled to a sum of 1.

    Parameters
    ----------
    values : array_like of numbers, shape (n, m)
        Both odd, so that it has a centre, at most 1023; none negative, not all 0.

    Raises
    ------
    SceneError
        For anything else.

    Examples
    --------
    >>> normalised_psf([[1, 2, 1]]).tolist()
    [[0.25, 0.5, 0.25]]
    """
    psf = np.asarray(values)
    if psf.dtype.kind not in "fiu" or psf.ndim != 2 or psf.shape[0] % 2 == 0 or psf.shape[1] % 2 == 0:
        raise SceneError(f"a point-spread function is odd x odd numbers in grey, got {psf.dtype} of shape {psf.shape}")
    if max(psf.shape) > _MOST_PX:
        raise SceneError(f"a point-spread function has at most {_MOST_PX} pixels a side, got {psf.shape}")
    psf = psf.astype(np.float64)
    # NaN fails the comparisons, so it is refused too.
    if not (psf.min() >= 0 and 0 < psf.sum() < np.inf):
        raise SceneError("a point-spread function has no negative numbers, and a sum above 0")
    return np.asarray(psf / psf.sum(), np.float64)

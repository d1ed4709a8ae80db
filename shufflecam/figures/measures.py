"""Numbers that say how much of a picture shows: entropy, neighbours, and likeness to another picture."""

import math

import numpy as np
from numpy.typing import NDArray


def entropy_bits(values: NDArray[np.generic]) -> float:
    r"""Return the entropy of the values, in bits a value.

    .. math:: H = -\sum_v p_v \log_2 p_v

    Parameters
    ----------
    values : array
        Whole numbers are counted as they are; real numbers in 256 steps between the least and the largest.

    Notes
    -----
    A shuffle does not change it: that is the point of showing it beside a mask's.

    Examples
    --------
    >>> entropy_bits(np.array([[0, 1], [2, 3]], np.uint8))
    2.0
    """
    if values.size == 0:
        return 0.0
    if values.dtype in (np.uint8, np.uint16):
        counts = np.bincount(values.reshape(-1))
    elif np.issubdtype(values.dtype, np.integer):
        counts = np.unique(values, return_counts=True)[1]
    else:
        counts = np.histogram(values, bins=256)[0]
    shares = counts[counts > 0] / values.size
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def neighbour_correlation(picture: NDArray[np.generic], down: int = 0, right: int = 1) -> float:
    r"""Return how alike neighbours are: Pearson's correlation of each pixel with the one ``(down, right)`` away.

    Near 1 for photographs, near 0 for a good shuffle or mask.

    Parameters
    ----------
    picture : array, shape (H, W) or (H, W, C)
        Channels are correlated one by one, and the mean is returned.
    down, right : int
        The step, in pixels, 0 or more.

    Returns
    -------
    float
        In [-1, 1]; NaN where a picture is too small, or no channel varies.

    Examples
    --------
    >>> neighbour_correlation(np.arange(12.0).reshape(3, 4))
    1.0
    """
    height, width = picture.shape[:2]
    if height <= down or width <= right:
        return math.nan
    planes = picture.reshape(height, width, -1).astype(np.float64)
    found = []
    for channel in np.moveaxis(planes, 2, 0):
        one, other = channel[: height - down, : width - right], channel[down:, right:]
        one, other = one - one.mean(), other - other.mean()
        spread = math.sqrt(float((one**2).sum() * (other**2).sum()))
        # Against rounding: a constant channel has no correlation.
        if spread > 1e-12 * max(1.0, float(np.abs(channel).max()) ** 2):
            found.append(float((one * other).sum()) / spread)
    return float(np.clip(np.mean(found), -1, 1)) if found else math.nan


def psnr_db(one: NDArray[np.generic], other: NDArray[np.generic], full_scale: float = 255) -> float:
    r"""Return the peak signal-to-noise ratio :math:`10 \log_{10}(\mathrm{full\ scale}^2 / \mathrm{MSE})`, in dB.

    Infinite for equal pictures.

    Examples
    --------
    >>> psnr_db(np.zeros((2, 2)), np.full((2, 2), 25.5))
    20.0
    """
    error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
    return 10 * math.log10(full_scale**2 / error) if error else math.inf


def ssim(one: NDArray[np.generic], other: NDArray[np.generic], full_scale: float = 255) -> float:
    """Return the structural similarity of two pictures of one shape: 1 if equal, near 0 if unrelated.

    Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE Transactions on
    Image Processing 13 (2004), as scikit-image computes it with a 7 x 7 window. NaN for pictures below that size.
    """
    from skimage.metrics import structural_similarity

    if min(one.shape[:2]) < 7:
        return math.nan
    channel_axis = 2 if one.ndim == 3 else None
    return float(structural_similarity(one, other, data_range=full_scale, channel_axis=channel_axis))

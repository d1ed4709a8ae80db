"""Hot pixels: a few photosites with much more dark current than the rest."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def hot_pixels(
    mean_e: NDArray[np.float32], fraction: float, mean_surplus_e: float, noise: NoiseSource
) -> NDArray[np.float32]:
    r"""Add the surplus dark signal of hot photosites.

    .. math:: \mu'_n = \mu_n + [u_n < p]\; h\,(-\ln w_n), \qquad u_n, w_n \sim \mathcal U(0, 1)

    Which photosites are hot, and how hot, belongs to the camera. An exponential tail is what dark-current histograms
    of real sensors show beyond their Gaussian core.

    Parameters
    ----------
    mean_e : ndarray of float32, shape (H, W)
        Expected electrons.
    fraction : float
        Share p of hot photosites; 0 turns the effect off.
    mean_surplus_e : float
        Mean surplus h of a hot photosite in this exposure, in electrons; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if fraction == 0 or mean_surplus_e == 0:
        return mean_e
    height, width = mean_e.shape
    hot = noise.uniforms(Stream.HOT_SITE, (height, width), fixed=True) < fraction
    size = -np.log(noise.uniforms(Stream.HOT_SIZE, (height, width), fixed=True))
    return mean_e + np.where(hot, mean_surplus_e * size, 0.0).astype(np.float32)

"""Photo-response non-uniformity: photosites differ a little in sensitivity."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def prnu(signal_e: NDArray[np.float32], percent: float, noise: NoiseSource) -> NDArray[np.float32]:
    r"""Multiply the signal by each photosite's own sensitivity.

    .. math:: \mu'_n = \mu_n\,(1 + p\,z_n / 100), \qquad z_n \sim \mathcal N(0, 1)

    The map belongs to the camera: it depends on the seed and the photosite, not on the frame. Its mean is 1.

    Parameters
    ----------
    signal_e : ndarray of float32, shape (H, W)
        Mean electrons from light.
    percent : float
        Standard deviation p, in percent; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off. Source: EMVA 1288 release 4.0, PRNU1288.
    """
    if percent == 0:
        return signal_e
    height, width = signal_e.shape
    return signal_e * (1 + np.float32(percent / 100) * noise.normals(Stream.PRNU, (height, width), fixed=True))

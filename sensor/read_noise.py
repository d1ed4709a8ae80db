"""Read noise: what the pixel's amplifier and the converter add each time a charge is read."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def read_noise(charge_e: NDArray[np.float32], spread_e: float, noise: NoiseSource) -> NDArray[np.float32]:
    r"""Add a new Gaussian number to each photosite in each frame.

    .. math:: v'_n = v_n + \sigma\,z_n, \qquad z_n \sim \mathcal N(0, 1)

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal, in electrons.
    spread_e : float
        Standard deviation, in electrons; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites in this frame.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if spread_e == 0:
        return charge_e
    height, width = charge_e.shape
    return charge_e + np.float32(spread_e) * noise.normals(Stream.READ, (height, width))

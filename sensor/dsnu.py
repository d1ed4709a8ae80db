"""Dark-signal non-uniformity: photosites differ a little in their offset."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def dsnu(charge_e: NDArray[np.float32], spread_e: float, noise: NoiseSource) -> NDArray[np.float32]:
    r"""Add each photosite's own offset.

    .. math:: v'_n = v_n + d\,z_n, \qquad z_n \sim \mathcal N(0, 1)

    The map belongs to the camera: it depends on the seed and the photosite, not on the frame. Its mean is 0.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal, in electrons.
    spread_e : float
        Standard deviation d, in electrons; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off. Source: EMVA 1288 release 4.0, DSNU1288.
    """
    if spread_e == 0:
        return charge_e
    height, width = charge_e.shape
    return charge_e + np.float32(spread_e) * noise.normals(Stream.DSNU, (height, width), fixed=True)

"""Row noise: what all converters have in common while one row is read."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def row_noise(charge_e: NDArray[np.float32], spread_e: float, noise: NoiseSource) -> NDArray[np.float32]:
    r"""Add one Gaussian number to each row of each frame.

    .. math:: v'_{y,x} = v_{y,x} + \sigma\,z_y, \qquad z_y \sim \mathcal N(0, 1)

    Rows are rows of the readout: a row of the shuffled frame when the shuffle lies before the converters.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal at the converters, in electrons.
    spread_e : float
        Standard deviation, in electrons; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these rows in this frame.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if spread_e == 0:
        return charge_e
    return charge_e + np.float32(spread_e) * noise.normals(Stream.ROW, (charge_e.shape[0], 1))

"""Column pattern: every column has its own amplifier and converter, and no two are alike."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def column_pattern(
    charge_e: NDArray[np.float32], offset_e: float, gain_percent: float, noise: NoiseSource
) -> NDArray[np.float32]:
    r"""Apply each column's own gain and offset.

    .. math:: v'_{y,x} = v_{y,x}\,(1 + g\,a_x / 100) + o\,b_x, \qquad a_x, b_x \sim \mathcal N(0, 1)

    Columns are columns of converters. They belong to the camera, and do not move with a photosite that a multiplexer
    before the converters sends elsewhere.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal at the converters, in electrons, of whole rows.
    offset_e : float
        Standard deviation o of the offsets, in electrons; 0 turns them off.
    gain_percent : float
        Standard deviation g of the gains, in percent; 0 turns them off.
    noise : NoiseSource
        Random numbers of the camera.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when both are off.
    """
    columns = NoiseSource(seed=noise.seed)
    shape = (1, charge_e.shape[1])
    if gain_percent != 0:
        gains = columns.normals(Stream.COLUMN_GAIN, shape, fixed=True)
        charge_e = charge_e * (1 + np.float32(gain_percent / 100) * gains)
    if offset_e != 0:
        charge_e = charge_e + np.float32(offset_e) * columns.normals(Stream.COLUMN_OFFSET, shape, fixed=True)
    return charge_e

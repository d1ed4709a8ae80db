"""Defects: photosites that never answer, and photosites that are always full."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream

STUCK_E = np.float32(1e9)
"""Charge of a stuck photosite: above the top code of every converter."""


def defects(charge_e: NDArray[np.float32], fraction: float, noise: NoiseSource) -> NDArray[np.float32]:
    """Empty or fill the defective photosites; half of them are dead, half stuck at white.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Collected electrons.
    fraction : float
        Share of defective photosites; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites; which are defective belongs to the camera.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if fraction == 0:
        return charge_e
    height, width = charge_e.shape
    draw = noise.uniforms(Stream.DEFECT, (height, width), fixed=True)
    out = np.where(draw < fraction, np.where(draw < fraction / 2, np.float32(0), STUCK_E), charge_e)
    return np.asarray(out, np.float32)

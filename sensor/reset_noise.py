r"""Reset noise: a switch that opens leaves a capacitor at a level that is never twice the same.

.. math:: \sigma_V = \sqrt{k_B T / C}

Correlated double sampling reads the level after the reset and again after the charge transfer; the same error is in
both, so it cancels. Source: J. R. Janesick, "Photon Transfer", SPIE 2007, chapter 12.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream

BOLTZMANN_J_PER_K = 1.380649e-23
"""Exact since the SI of 2019."""


def capacitor_noise_v(capacitance_f: float, temperature_k: float) -> float:
    """Return the kTC noise of a capacitor, in volts; 0 for an infinite one.

    Examples
    --------
    >>> round(1e6 * capacitor_noise_v(1e-12, 300.0), 1)  # microvolts, 1 pF
    64.4
    """
    return math.sqrt(BOLTZMANN_J_PER_K * temperature_k / capacitance_f)


def reset_noise(
    charge_e: NDArray[np.float32], spread_e: float, noise: NoiseSource, *, cds: bool
) -> NDArray[np.float32]:
    """Add the reset noise of each photosite in each frame.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal, in electrons.
    spread_e : float
        Standard deviation, in electrons; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites in this frame.
    cds : bool
        True turns the effect off: correlated double sampling cancels it.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if spread_e == 0 or cds:
        return charge_e
    height, width = charge_e.shape
    return charge_e + np.float32(spread_e) * noise.normals(Stream.RESET, (height, width))

"""Random telegraph noise: a trap in the pixel's transistor catches and frees one electron, and the level jumps."""

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def telegraph_noise(
    charge_e: NDArray[np.float32], fraction: float, amplitude_e: float, noise: NoiseSource, *, cds: bool
) -> NDArray[np.float32]:
    r"""Add each affected photosite's jump.

    A share of the photosites has a trap; its step A is exponentially distributed and belongs to the camera. Half the
    time the trap is full, independently at each sample. A single sample then has two levels, A/2 and -A/2. Double
    sampling takes the difference of two samples, which has three: -A, 0 and A, with odds 1 : 2 : 1.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal, in electrons.
    fraction : float
        Share of photosites with a trap; 0 turns the effect off.
    amplitude_e : float
        Mean step, in electrons; 0 turns the effect off.
    noise : NoiseSource
        Random numbers of these photosites in this frame.
    cds : bool
        Correlated double sampling.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off. Source of the levels: X. Wang, P. R. Rao, A. Mierop, A. J. P. Theuwissen, "Random
        telegraph signal in CMOS image sensor pixels", IEDM 2006.
    """
    if fraction == 0 or amplitude_e == 0:
        return charge_e
    height, width = charge_e.shape
    has_trap = noise.uniforms(Stream.TELEGRAPH_SITE, (height, width), fixed=True) < fraction
    step = -amplitude_e * np.log(noise.uniforms(Stream.TELEGRAPH_SIZE, (height, width), fixed=True))
    state = noise.words(Stream.TELEGRAPH_STATE, (height, width))
    first, second = (state & 1).astype(np.float64), (state >> 1 & 1).astype(np.float64)
    level = second - first if cds else second - 0.5
    return charge_e + np.where(has_trap, step * level, 0.0).astype(np.float32)

"""Read noise with heavier or lighter tails than a Gaussian's: Tukey's lambda distribution."""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def tukey_noise(
    charge_e: NDArray[np.float32], scale_e: float, shape_lambda: float, noise: NoiseSource
) -> NDArray[np.float32]:
    r"""Add a new Tukey-lambda number to each photosite in each frame.

    .. math:: v'_n = v_n + s\,\frac{u_n^\lambda - (1 - u_n)^\lambda}{\lambda}, \qquad u_n \sim \mathcal U(0, 1)

    With :math:`\lambda \to 0` the logistic distribution, :math:`\ln\frac{u}{1-u}`. Source: K. Wei, Y. Fu, J. Yang,
    H. Huang, "A physics-based noise formation model for extreme low-light raw denoising", CVPR 2020.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal, in electrons.
    scale_e : float
        Scale s, in electrons; 0 turns the effect off. The standard deviation is :func:`tukey_deviation` times this.
    shape_lambda : float
        Shape, above -0.5.
    noise : NoiseSource
        Random numbers of these photosites in this frame.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if scale_e == 0:
        return charge_e
    height, width = charge_e.shape
    words = noise.words(Stream.TUKEY, (height, width))
    out = np.empty(charge_e.shape, np.float32)
    _add(np.ascontiguousarray(charge_e).reshape(-1), words.reshape(-1), scale_e, shape_lambda, out.reshape(-1))
    return out


def tukey_deviation(shape_lambda: float) -> float:
    r"""Return the standard deviation of the distribution with scale 1.

    .. math:: \sigma^2 = \frac{2}{\lambda^2}\Big(\frac{1}{1 + 2\lambda}
              - \frac{\Gamma(\lambda + 1)^2}{\Gamma(2\lambda + 2)}\Big)

    Examples
    --------
    >>> round(tukey_deviation(1.0), 6), round(tukey_deviation(0.0), 6)  # uniform on -1..1, and logistic
    (0.57735, 1.813799)
    """
    lam = shape_lambda
    if abs(lam) < 1e-4:
        # The formula loses its digits here; its series begins like this, and the next term is below 1e-7.
        return math.pi / math.sqrt(3) * (1 - 1.73077 * lam)
    return math.sqrt(2 / lam**2 * (1 / (1 + 2 * lam) - math.gamma(lam + 1) ** 2 / math.gamma(2 * lam + 2)))


@njit(cache=True, nogil=True, error_model="numpy")
def _add(charge: NDArray[Any], words: NDArray[Any], scale: float, lam: float, out: NDArray[Any]) -> None:
    """Set ``out`` to the charge plus noise; 1-D, contiguous."""
    for i in range(charge.size):
        u = (np.float64(words[i]) + 0.5) * 2.0**-32
        low, high = np.log(u), np.log1p(-u)
        value = low - high if abs(lam) < 1e-9 else (np.exp(lam * low) - np.exp(lam * high)) / lam
        out[i] = np.float32(np.float64(charge[i]) + scale * value)

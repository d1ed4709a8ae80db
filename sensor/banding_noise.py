"""Banding: a hum from the supply or the lamps' mains that drifts through the frame as rows are read."""

import math

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream


def banding_noise(
    charge_e: NDArray[np.float32], rms_e: float, frequency_hz: float, row_s: float, noise: NoiseSource
) -> NDArray[np.float32]:
    r"""Add a sine in time, sampled when each row is read.

    .. math:: v'_{y,x} = v_{y,x} + \sqrt2\,b\,\sin(2\pi f\,y\,T_\mathrm{row} + \varphi)

    The phase belongs to the frame. Rows are rows of the readout, as for :func:`sensor.row_noise.row_noise`.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Signal at the converters, in electrons.
    rms_e : float
        Root-mean-square b, in electrons; 0 turns the effect off.
    frequency_hz : float
        Frequency f.
    row_s : float
        Time between two rows.
    noise : NoiseSource
        Random numbers of this frame; its origin tells the first row.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off.
    """
    if rms_e == 0:
        return charge_e
    phase = NoiseSource(seed=noise.seed, frame=noise.frame).uniforms(Stream.BANDING, (1, 1))[0, 0]
    rows = noise.origin[0] + np.arange(charge_e.shape[0])
    wave = math.sqrt(2) * rms_e * np.sin(2 * np.pi * (frequency_hz * row_s * rows + phase))
    return np.asarray(charge_e + wave.astype(np.float32)[:, None], np.float32)

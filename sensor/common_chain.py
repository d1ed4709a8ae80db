"""The effects that nearly every sensor has, in two passes over a band: what the single effects do, bit for bit, sooner.

Each effect has its own module, with its equation and its off switch; tests hold these loops equal to them.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def expected_electrons(
    seen: NDArray[np.float32], electrons: np.float32, spread: np.float32, sensitivity: NDArray[Any], dark_e: np.float32
) -> NDArray[np.float32]:
    """Return exposure, PRNU and dark current: ``seen * electrons * (1 + spread * sensitivity) + dark_e``.

    Parameters
    ----------
    seen : ndarray of float32, shape (H, W)
        Light, changed in place.
    electrons : float32
        Electrons of light 1.0.
    spread : float32
        PRNU as a share; with 0, ``sensitivity`` may be empty.
    sensitivity : ndarray of float32, shape (H, W)
        Standard normal map of the camera.
    dark_e : float32
        Mean dark signal.
    """
    flat = seen.reshape(-1)
    _expect(flat, electrons, spread, sensitivity.reshape(-1), dark_e)
    return seen


@njit(cache=True, nogil=True, error_model="numpy")
def _expect(
    light: NDArray[Any], electrons: np.float32, spread: np.float32, sensitivity: NDArray[Any], dark: np.float32
) -> None:
    one = np.float32(1)
    if sensitivity.size == 0:
        for i in range(light.size):
            light[i] = light[i] * electrons + dark
    else:
        for i in range(light.size):
            light[i] = light[i] * electrons * (one + spread * sensitivity[i]) + dark


def charge_with_noise(
    counts: NDArray[np.float32],
    capacity_e: float,
    offset_e: np.float32,
    offsets: NDArray[Any],
    noise_e: np.float32,
    normals: NDArray[Any],
) -> NDArray[np.float32]:
    """Return full well, DSNU and read noise: ``min(counts, capacity) + offset * offsets + noise * normals``.

    Parameters
    ----------
    counts : ndarray of float32, shape (H, W)
        Collected electrons, changed in place.
    capacity_e : float
        Full well, ``inf`` is off.
    offset_e, noise_e : float32
        Spreads; with 0, the array that follows may be empty.
    offsets, normals : ndarray of float32, shape (H, W)
        Standard normal numbers of the camera and of the frame.
    """
    _charge(counts.reshape(-1), np.float32(capacity_e), offset_e, offsets.reshape(-1), noise_e, normals.reshape(-1))
    return counts


@njit(cache=True, nogil=True, error_model="numpy")
def _charge(
    counts: NDArray[Any],
    capacity: np.float32,
    offset: np.float32,
    offsets: NDArray[Any],
    noise: np.float32,
    normals: NDArray[Any],
) -> None:
    # An effect that is off is left out, not added as zero: -0.0 + 0.0 would already be another number.
    if offsets.size and normals.size:
        for i in range(counts.size):
            counts[i] = min(counts[i], capacity) + offset * offsets[i] + noise * normals[i]
        return
    for i in range(counts.size):
        counts[i] = min(counts[i], capacity)
    for i in range(offsets.size):
        counts[i] = counts[i] + offset * offsets[i]
    for i in range(normals.size):
        counts[i] = counts[i] + noise * normals[i]

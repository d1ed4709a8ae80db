"""Storage leakage: with a global shutter, charge waits beside the photodiode, in a node that is not quite dark."""

import numpy as np
from numpy.typing import NDArray


def storage_leakage(
    mean_e: NDArray[np.float32],
    light_e_per_s: NDArray[np.float32],
    wait_s: NDArray[np.float32],
    *,
    parasitic_share: float,
    dark_e_per_s: float,
) -> NDArray[np.float32]:
    r"""Add what light and heat free in the storage nodes until they are read.

    .. math:: \mu'_n = \mu_n + (p\,r_n + D)\,w_n

    Rows that are read late wait long, so the frame brightens along the readout: from top to bottom, or in the order of
    the key. The scene is taken to stand still meanwhile. The node's sensitivity is no part of the photodiode's, so
    PRNU does not apply.

    Parameters
    ----------
    mean_e : ndarray of float32, shape (H, W)
        Expected electrons at the end of the exposure.
    light_e_per_s : ndarray of float32, shape (H, W)
        Electrons that light frees in the photodiode, each second.
    wait_s : ndarray of float32, shape (H, 1) or (H, W)
        Time from the end of the exposure until a photosite is read, see :func:`sensor.readout_timing.storage_wait_s`.
    parasitic_share : float
        Parasitic light sensitivity p: the node's sensitivity as a share of the photodiode's; 0 turns it off.
    dark_e_per_s : float
        Dark current D of the node at the sensor's temperature; 0 turns it off.

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when both are off. Source: docs: sensor, section 2; EMVA 1288 has no figure for it.

    Examples
    --------
    >>> mean, rate = np.array([[100], [100]], np.float32), np.array([[5000], [5000]], np.float32)
    >>> late = np.array([[0], [0.02]], np.float32)
    >>> storage_leakage(mean, rate, late, parasitic_share=0.01, dark_e_per_s=50).ravel().tolist()
    [100.0, 102.0]
    """
    if parasitic_share == 0 and dark_e_per_s == 0:
        return mean_e
    leak = np.float32(parasitic_share) * light_e_per_s + np.float32(dark_e_per_s)
    return np.asarray(mean_e + leak * wait_s, np.float32)

"""Blooming: what a full photosite cannot hold spills into its neighbours in the column."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def blooming(charge_e: NDArray[np.float32], capacity_e: float, fraction: float) -> NDArray[np.float32]:
    r"""Spread the charge beyond the full well along the columns.

    Of a photosite's excess :math:`\max(0, N - F)` a share f escapes the drain, half of it up and half of it down. Each
    neighbour takes what it has room for and passes the share f of the rest on. The downward stream is settled first.

    Parameters
    ----------
    charge_e : ndarray of float32, shape (H, W)
        Collected electrons of the whole frame.
    capacity_e : float
        Full-well capacity F, in electrons.
    fraction : float
        Share f, 0 to 1; 0 turns the effect off (a perfect drain).

    Returns
    -------
    ndarray of float32, shape (H, W)
        The input itself when off; else every value at most F. With f = 1, charge leaves at the frame's edges only.

    Examples
    --------
    >>> blooming(np.array([[0], [10], [90], [300], [0]], np.float32), 100.0, 1.0).ravel().tolist()
    [0.0, 100.0, 100.0, 100.0, 100.0]
    """
    if fraction == 0 or not np.isfinite(capacity_e):
        return charge_e
    out = np.ascontiguousarray(charge_e, np.float32).copy()
    _spill(out, capacity_e, fraction)
    return out


@njit(cache=True, nogil=True)
def _spill(charge: NDArray[Any], capacity: float, fraction: float) -> None:
    """Clip ``charge`` in place and hand the excess down, then up, each column."""
    height, width = charge.shape
    excess = np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            excess[y, x] = max(np.float64(charge[y, x]) - capacity, 0.0)
            charge[y, x] = min(np.float64(charge[y, x]), capacity)
    for direction in range(2):
        stream = np.zeros(width, np.float64)
        for step in range(height):
            y = step if direction == 0 else height - 1 - step
            for x in range(width):
                taken = min(stream[x], capacity - np.float64(charge[y, x]))
                charge[y, x] += taken
                # What does not fit goes on, less what the drain takes at each photosite.
                stream[x] = fraction * (stream[x] - taken + np.float64(excess[y, x]) / 2)

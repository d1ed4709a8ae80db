"""Full well: a photosite holds so many electrons and no more."""

import math

import numpy as np
from numpy.typing import NDArray


def full_well(charge_e: NDArray[np.float32], capacity_e: float, knee: float = 1.0) -> NDArray[np.float32]:
    r"""Limit the charge to the full well, abruptly or along a soft knee.

    .. math:: N' = \min(N, F) \text{ for a knee of 1, else for } N > kF: \quad
              N' = kF + (1 - k) F\,\Big(1 - e^{-\frac{N - kF}{(1 - k) F}}\Big)

    Value and slope are continuous at the knee; the well fills ever more slowly as its potential falls.

    Parameters
    ----------
    charge_e : ndarray of float32
        Collected electrons.
    capacity_e : float
        Full-well capacity F, in electrons; ``inf`` turns the effect off, and the input itself is returned.
    knee : float
        Share k of the capacity at which the bend begins, 0 to 1; 1 turns the bend off.

    Examples
    --------
    >>> full_well(np.array([10, 100, 1000], np.float32), 100.0).tolist()
    [10.0, 100.0, 100.0]
    >>> full_well(np.array([50, 80, 90, 1000], np.float32), 100.0, knee=0.8).astype(float).round(1).tolist()
    [50.0, 80.0, 87.9, 100.0]
    """
    if math.isinf(capacity_e):
        return charge_e
    if knee == 1:
        return np.minimum(charge_e, np.float32(capacity_e))
    start, room = knee * capacity_e, (1 - knee) * capacity_e
    beyond = np.maximum(charge_e - np.float32(start), np.float32(0))
    return np.where(charge_e <= start, charge_e, start - room * np.expm1(-beyond / room)).astype(np.float32)

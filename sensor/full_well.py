"""Full well: a photosite holds so many electrons and no more."""

import math

import numpy as np
from numpy.typing import NDArray


def full_well(charge_e: NDArray[np.float32], capacity_e: float) -> NDArray[np.float32]:
    """Return ``min(charge_e, capacity_e)``; the input itself when the capacity is infinite (off).

    Parameters
    ----------
    charge_e : ndarray of float32
        Collected electrons.
    capacity_e : float
        Full-well capacity, in electrons; ``inf`` turns the effect off.

    Examples
    --------
    >>> full_well(np.array([10, 100, 1000], np.float32), 100.0).tolist()
    [10.0, 100.0, 100.0]
    """
    if math.isinf(capacity_e):
        return charge_e
    return np.minimum(charge_e, np.float32(capacity_e))

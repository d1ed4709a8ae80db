"""Frame sizes, given as (H, W) or as a number of photosites."""

from typing import Any

import numpy as np

from scrambler.errors import PermutationError

MOST_ITEMS = 2**32 - 1


def check_shape(shape: Any) -> tuple[int, int]:
    """Return a frame size as a pair of ints.

    Raises
    ------
    PermutationError
        If it is not a pair of integers, 0 or more each.
    """
    try:
        height, width = (int(side) for side in shape if isinstance(side, (int, np.integer)) and side >= 0)
    except (TypeError, ValueError):
        raise PermutationError(f"a frame size is a pair of integers (H, W), got {shape!r}.") from None
    return height, width


def count_and_shape(size: int | tuple[int, int]) -> tuple[int, tuple[int, int] | None]:
    """Return the number of photosites and the (H, W) shape, or None, of a size given as N or as (H, W).

    Raises
    ------
    PermutationError
        If it is neither, or larger than 2**32 - 1.

    Examples
    --------
    >>> count_and_shape(6), count_and_shape((2, 3))
    ((6, None), (6, (2, 3)))
    """
    if isinstance(size, (int, np.integer)):
        count, shape = int(size), None
    else:
        shape = check_shape(size)
        count = shape[0] * shape[1]
    if not 0 <= count <= MOST_ITEMS:
        raise PermutationError(f"size must be from 0 to {MOST_ITEMS} photosites, got {count}.")
    return count, shape

"""Indirection tables of the ``indirect`` engine: where in memory every tap of every output is read."""

from typing import Any

from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def fill_table(
    places: NDArray[Any], slot: NDArray[Any], images: int, size: int, channels: int, table: NDArray[Any]
) -> bool:
    """Write where every row of every tile reads; return whether all slots are those of pixels.

    Parameters
    ----------
    places : ndarray of int32, shape (M, K)
        Natural input positions in the order of the outputs' slots; ``size`` for padding.
    slot : ndarray of int32, shape (0, N), (1, N) or (images, N)
        Slot of every natural position; none for natural order.
    images, size, channels : int
        Images of the table, and pixels N and channels C of one.
    table : ndarray of int32, shape (tiles, K, ROWS)
        Offsets, in floats, from the first image of the table; rows beyond the images read the border.
    """
    outputs, taps = places.shape
    lanes = table.shape[2]
    for row in range(images * outputs, table.shape[0] * lanes):
        for k in range(taps):
            table[row // lanes, k, row % lanes] = -1
    for image in range(images):
        for i in range(outputs):
            row = image * outputs + i
            tile, lane = row // lanes, row % lanes
            for k in range(taps):
                place = places[i, k]
                if place >= size:
                    table[tile, k, lane] = -1
                    continue
                if slot.shape[0] > 0:
                    place = slot[image % slot.shape[0], place]
                    if place < 0 or place >= size:
                        return False
                table[tile, k, lane] = (image * size + place) * channels
    return True

"""Indirection tables of the ``indirect`` engine: where in memory every tap of every output is read."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def fill_table(
    places: NDArray[Any], source: NDArray[Any], slot: NDArray[Any], images: int, size: int, channels: int,
    table: NDArray[Any],
) -> bool:  # fmt: skip
    """Write where every row of every tile reads; return whether all slots are those of pixels.

    Parameters
    ----------
    places : ndarray of int32, shape (M, K)
        Natural input positions; ``size`` or a negative number for padding.
    source : ndarray of int32, shape (M,) or (0,)
        Row of ``places`` for every output slot; none where they are in that order already.
    slot : ndarray of int32, shape (0, N), (1, N) or (images, N)
        Slot of every natural position; none for natural order.
    images, size, channels : int
        Images of the table, and pixels N and channels C of one.
    table : ndarray of int32, shape (tiles, K, ROWS)
        Offsets, in floats, from the first image of the table; rows beyond the images read the border.
    """
    outputs, taps = places.shape
    lanes = table.shape[2]
    for one in range(slot.shape[0]):
        for pixel in range(size):
            if slot[one, pixel] < 0 or slot[one, pixel] >= size:
                return False
    tile, lane = 0, 0
    for image in range(images):
        own, base = image % slot.shape[0] if slot.shape[0] > 0 else 0, image * size
        for i in range(outputs):
            row = source[i] if source.shape[0] > 0 else i
            for k in range(taps):
                place = places[row, k]
                if place < 0 or place >= size:
                    table[tile, k, lane] = -1
                else:
                    found = slot[own, place] if slot.shape[0] > 0 else place
                    table[tile, k, lane] = (base + found) * channels
            lane += 1
            if lane == lanes:
                tile, lane = tile + 1, 0
    for row in range(images * outputs, table.shape[0] * lanes):
        for k in range(taps):
            table[row // lanes, k, row % lanes] = -1
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def fill_squares(
    reads: NDArray[Any], writes: NDArray[Any], places: NDArray[Any], source: NDArray[Any], slot: NDArray[Any],
    size: int, channels: int, table: NDArray[Any],
) -> bool:  # fmt: skip
    """Write where every square of Winograd's transforms reads and writes; return whether all slots are those of pixels.

    Parameters
    ----------
    reads, writes : ndarray of int32, shapes (T, 16), (T, 4)
        Of each square in natural order: entries of a natural table (M, 9), 9 * M for none; and outputs, M for none.
    places : ndarray of int32, shape (M, 9)
        As for :func:`fill_table`.
    source : ndarray of int32, shape (M,) or (0,)
        Natural position of every output slot; none for natural order.
    slot, size, channels
        As for :func:`fill_table`, with one table for each row of ``slot``, and one for none.
    table : ndarray of int32, shape (tables, T, 20)
        Offsets in floats, negative for padding; and output slots, -1 for none.
    """
    outputs, taps = places.shape
    target = np.arange(outputs)
    for j in range(source.shape[0]):
        target[source[j]] = j
    for image in range(table.shape[0]):
        for pixel in range(slot.shape[1] if slot.shape[0] > 0 else 0):
            if slot[image, pixel] < 0 or slot[image, pixel] >= size:
                return False
        for t in range(reads.shape[0]):
            for k in range(16):
                entry = reads[t, k]
                place = size if entry == outputs * taps else places[target[entry // taps], entry % taps]
                if place < size and slot.shape[0] > 0:
                    place = slot[image, place]
                table[image, t, k] = place * channels if place < size else -1
            for k in range(4):
                table[image, t, 16 + k] = target[writes[t, k]] if writes[t, k] < outputs else -1
    return True

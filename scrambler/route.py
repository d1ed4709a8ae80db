"""`Route`: a large permutation as two short trips, each of which stays in the cache.

First every item goes to one of 256 buckets, in its order (octets); then each bucket is rearranged on its own (local).
A table that sends items straight across the frame takes 4 bytes an item and misses the cache each time; a route takes
3 and is about twice as fast.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.threads import share

BUCKETS = 256
CHUNKS = 64
_TASKS = 16


@njit(cache=True, nogil=True)
def count_octets(octets: NDArray[Any], begin: int, end: int, counts: NDArray[Any]) -> None:
    """Count each octet in the chunks from `begin` to `end`; `counts` has the shape (64, 256)."""
    chunks = counts.shape[0]
    for c in range(begin, end):
        tally = counts[c]
        for octet in octets[octets.size * c // chunks : octets.size * (c + 1) // chunks]:
            tally[octet] += 1


@njit(cache=True, nogil=True)
def _distribute(
    octets: NDArray[Any], places: NDArray[Any], begin: int, end: int, row: NDArray[Any], buckets: NDArray[Any]
) -> None:
    """Put each item of the chunks from `begin` to `end` into the next place of its octet and chunk."""
    chunks = places.shape[0]
    for c in range(begin, end):
        first = octets.size * c // chunks
        chunk = octets[first : octets.size * (c + 1) // chunks]
        items = row[first : octets.size * (c + 1) // chunks]
        place = places[c].copy()
        for i in range(chunk.size):
            n = place[chunk[i]]
            # An unsigned index spares the test for counting from the end, here and below: twice as fast.
            buckets[np.uint64(n)] = items[i]
            place[chunk[i]] = n + 1


@njit(cache=True, nogil=True)
def _distribute_numbers(
    octets: NDArray[Any], places: NDArray[Any], begin: int, end: int, buckets: NDArray[Any]
) -> None:
    """Do the same with 0, 1, 2, ... for a row."""
    chunks = places.shape[0]
    for c in range(begin, end):
        first = octets.size * c // chunks
        chunk = octets[first : octets.size * (c + 1) // chunks]
        place = places[c].copy()
        for i in range(chunk.size):
            n = place[chunk[i]]
            buckets[np.uint64(n)] = first + i
            place[chunk[i]] = n + 1


@njit(cache=True, nogil=True)
def _collect(
    octets: NDArray[Any], places: NDArray[Any], begin: int, end: int, buckets: NDArray[Any], row: NDArray[Any]
) -> None:
    """Undo `_distribute`."""
    chunks = places.shape[0]
    for c in range(begin, end):
        first = octets.size * c // chunks
        chunk = octets[first : octets.size * (c + 1) // chunks]
        items = row[first : octets.size * (c + 1) // chunks]
        place = places[c].copy()
        for i in range(chunk.size):
            n = place[chunk[i]]
            items[i] = buckets[np.uint64(n)]
            place[chunk[i]] = n + 1


@njit(cache=True, nogil=True)
def _gather_buckets(local: NDArray[Any], bounds: NDArray[Any], begin: int, end: int, row: NDArray[Any]) -> None:
    """Read slot k of each bucket from `begin` to `end` from its item ``local[k]``, in place."""
    for b in range(begin, end):
        source = local[bounds[b] : bounds[b + 1]]
        shuffled = row[bounds[b] : bounds[b + 1]]
        plain = shuffled.copy()
        for k in range(source.size):
            shuffled[k] = plain[source[k]]


@njit(cache=True, nogil=True)
def _scatter_buckets(
    local: NDArray[Any], bounds: NDArray[Any], begin: int, end: int, row: NDArray[Any], buckets: NDArray[Any]
) -> None:
    """Undo `_gather_buckets`, from `row` into `buckets`."""
    for b in range(begin, end):
        source = local[bounds[b] : bounds[b + 1]]
        plain = buckets[bounds[b] : bounds[b + 1]]
        shuffled = row[bounds[b] : bounds[b + 1]]
        for k in range(source.size):
            plain[source[k]] = shuffled[k]


def places_of(counts: NDArray[Any]) -> NDArray[Any]:
    """Return the place in the buckets where each chunk's first item of each octet goes, int64, shape (64, 256).

    Places run through the buckets, and inside a bucket through the chunks.
    """
    by_bucket = counts.T.ravel()
    places: NDArray[Any] = (np.cumsum(by_bucket) - by_bucket).reshape(BUCKETS, CHUNKS).T.copy()
    return places


def bucket_bounds(counts: NDArray[Any]) -> NDArray[Any]:
    """Return where each bucket begins, and where the last one ends, int64, shape (257,)."""
    return np.append(0, np.cumsum(counts.sum(axis=0)))


def distribute_numbers(octets: NDArray[Any], counts: NDArray[Any], buckets: NDArray[Any]) -> None:
    """Write the numbers 0, 1, 2, ... into the buckets of their octets."""
    places = places_of(counts)
    share(_TASKS, lambda t: _distribute_numbers(octets, places, *_part(CHUNKS, t), buckets))


def _part(whole: int, task: int) -> tuple[int, int]:
    """Return which of so many chunks or buckets a task takes."""
    return whole * task // _TASKS, whole * (task + 1) // _TASKS


class Route:
    """A permutation of N items through 256 buckets.

    Parameters
    ----------
    octets : array of uint8, shape (N,)
        Bucket of each item.
    counts : array of int64, shape (64, 256)
        How often each octet comes in each of 64 chunks of equal length.
    local : array of uint16 or uint32, shape (N,)
        For the buckets one after the other: the item of the bucket, in order of arrival, that is read into each slot.
    """

    __slots__ = ("_bounds", "_local", "_octets", "_places")

    def __init__(self, octets: NDArray[Any], counts: NDArray[Any], local: NDArray[Any]) -> None:
        self._octets = octets
        self._local = local
        self._bounds = bucket_bounds(counts)
        self._places = places_of(counts)

    def gather(self, row: NDArray[Any], out: NDArray[Any]) -> None:
        """Write 1-D `row` into `out` in shuffled order; inverse of :meth:`scatter`."""
        octets, places, local, bounds = self._octets, self._places, self._local, self._bounds
        share(_TASKS, lambda t: _distribute(octets, places, *_part(CHUNKS, t), row, out))
        share(_TASKS, lambda t: _gather_buckets(local, bounds, *_part(BUCKETS, t), out))

    def scatter(self, row: NDArray[Any], out: NDArray[Any]) -> None:
        """Write 1-D `row` into `out` in natural order; inverse of :meth:`gather`."""
        octets, places, local, bounds = self._octets, self._places, self._local, self._bounds
        buckets = np.empty_like(row)
        share(_TASKS, lambda t: _scatter_buckets(local, bounds, *_part(BUCKETS, t), row, buckets))
        share(_TASKS, lambda t: _collect(octets, places, *_part(CHUNKS, t), buckets, out))

    def slot(self) -> NDArray[Any]:
        """Return the inverse of the gather table, uint32, shape (N,)."""
        table = np.empty(self._octets.size, np.uint32)
        self.scatter(np.arange(table.size, dtype=np.uint32), table)
        return table

"""One pass for every scheme that moves values and turns some into their negatives: a flat gather with signs.

A scheme composes its steps on small tables once for all images that share a key; the images are then read and written
once. The inverse is a scatter by the same tables.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.schemes.draws import Secret

_PARALLEL_FROM = 100_000


@njit(cache=True, nogil=True)
def _gather_row(row: NDArray[Any], source: NDArray[Any], negative: NDArray[Any], top: int, out: NDArray[Any]) -> None:
    for j in range(source.size):
        out[j] = row[source[j]] ^ (negative[j] * top)


@njit(cache=True, nogil=True)
def _scatter_row(row: NDArray[Any], source: NDArray[Any], negative: NDArray[Any], top: int, out: NDArray[Any]) -> None:
    for j in range(source.size):
        out[source[j]] = row[j] ^ (negative[j] * top)


@njit(cache=True, nogil=True)
def _serial(
    rows: NDArray[Any], source: NDArray[Any], negative: NDArray[Any], top: int, out: NDArray[Any], inverse: bool
) -> None:
    for b in range(rows.shape[0]):
        if inverse:
            _scatter_row(rows[b], source, negative, top, out[b])
        else:
            _gather_row(rows[b], source, negative, top, out[b])


@njit(cache=True, nogil=True, parallel=True)
def _parallel(
    rows: NDArray[Any], source: NDArray[Any], negative: NDArray[Any], top: int, out: NDArray[Any], inverse: bool
) -> None:
    pieces = max(1, 64 // rows.shape[0])
    for task in prange(rows.shape[0] * pieces):
        b = task // pieces
        first = source.size * (task % pieces) // pieces
        last = source.size * (task % pieces + 1) // pieces
        # Each slot is written by one piece only: the source is a permutation.
        if inverse:
            _scatter_row(rows[b, first:last], source[first:last], negative[first:last], top, out[b])
        else:
            _gather_row(rows[b], source[first:last], negative[first:last], top, out[b, first:last])


@dataclass(frozen=True, kw_only=True, repr=False)
class SignedGather(Secret):
    r"""A rearrangement of the values of a flat image, some of them negated.

    .. math:: y[j] = x[source[j]] \oplus top \cdot negative[j]

    where :math:`top = 2^L - 1` makes the exclusive or the negative, :math:`top - x`.

    Parameters
    ----------
    source : array of uint32, shape (H*W*C,)
        A permutation; secret.
    negative : array of uint8 of 0 and 1, shape (H*W*C,)
        Which values are negated; secret.

    Examples
    --------
    >>> table = SignedGather(source=np.array([2, 0, 1], np.uint32), negative=np.array([1, 0, 0], np.uint8))
    >>> table.apply(np.array([[10, 20, 30]], np.uint8), 255).tolist()
    [[225, 10, 20]]
    """

    source: NDArray[Any]
    negative: NDArray[Any]

    def apply(self, images: NDArray[Any], top: int) -> NDArray[Any]:
        """Return the rearranged images, shape (B, ...) with H*W*C values each; inverse of :meth:`undo`."""
        return self._run(images, top, inverse=False)

    def undo(self, images: NDArray[Any], top: int) -> NDArray[Any]:
        """Return the plain images; inverse of :meth:`apply`."""
        return self._run(images, top, inverse=True)

    def _run(self, images: NDArray[Any], top: int, *, inverse: bool) -> NDArray[Any]:
        out = np.empty(images.shape, images.dtype)
        if images.size:
            flat = (len(images), self.source.size)
            run = _serial if images.size < _PARALLEL_FROM else _parallel
            rows = np.ascontiguousarray(images).reshape(flat)
            run(rows, self.source, self.negative, top, out.reshape(flat), inverse)
        return out

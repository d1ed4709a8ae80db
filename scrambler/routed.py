"""`Routed`: a large uniform permutation that moves whole frames, in one colour or several, along its route."""

from typing import Any, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.route import Route
from scrambler.threads import share
from scrambler.uniform import UniformDraw

_WORDS = (1, 2, 4, 8)
_TASKS = 16


class Mover(Protocol):
    """A large permutation that knows a faster way to move frames than its table."""

    size: int

    def source(self) -> NDArray[Any]:
        """Return the gather table, uint32, shape (N,)."""
        ...

    def slot(self) -> NDArray[Any]:
        """Return its inverse."""
        ...

    def move(self, rows: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> bool:
        """Write rows of shape (batch, N, channels) into `out` in the new order; False if there is no faster way."""
        ...


@njit(cache=True, nogil=True)
def _join(rows: NDArray[Any], bits: int, words: NDArray[Any]) -> None:
    """Join the three channels of each item into one word."""
    for n in range(words.size):
        low, middle, high = np.uint64(rows[n, 0]), np.uint64(rows[n, 1]), np.uint64(rows[n, 2])
        words[n] = low | (middle << np.uint64(bits)) | (high << np.uint64(2 * bits))


@njit(cache=True, nogil=True)
def _part(words: NDArray[Any], bits: int, rows: NDArray[Any]) -> None:
    """Undo `_join`."""
    for n in range(words.size):
        word = np.uint64(words[n])
        rows[n, 0] = word
        rows[n, 1] = word >> np.uint64(bits)
        rows[n, 2] = word >> np.uint64(2 * bits)


class Routed:
    """A uniform permutation of 2**18 items or more; table and route are made when first asked for.

    Parameters
    ----------
    draw : UniformDraw
        The permutation.
    """

    __slots__ = ("_draw", "_route", "size")

    def __init__(self, draw: UniformDraw) -> None:
        self._draw = draw
        self._route: Route | None = None
        self.size = draw.size

    def route(self) -> Route:
        """Return the route; the first call makes it."""
        if self._route is None:
            self._route = self._draw.route()
        return self._route

    def source(self) -> NDArray[Any]:
        """Return the gather table, uint32, shape (N,)."""
        return self._draw.table()

    def slot(self) -> NDArray[Any]:
        """Return its inverse."""
        return self.route().slot()

    def move(self, rows: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> bool:
        """Move rows of items that fit a machine word, all channels of an item together."""
        channels, octets = rows.shape[2], rows.shape[2] * rows.itemsize
        if octets in _WORDS:
            word = np.dtype(f"u{octets}")
            for row, target in zip(rows, out, strict=True):
                self._apply(row.reshape(-1).view(word), target.reshape(-1).view(word), inverse=inverse)
            return True
        if channels == 3 and rows.itemsize <= 2:
            for row, target in zip(rows, out, strict=True):
                self._apply_to_colours(row, target, inverse=inverse)
            return True
        return False

    def _apply(self, words: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> None:
        route = self.route()
        (route.scatter if inverse else route.gather)(words, out)

    def _apply_to_colours(self, row: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> None:
        bits, whole = 8 * row.itemsize, np.dtype(np.uint32 if row.itemsize == 1 else np.uint64)
        words, moved = np.empty(self.size, whole), np.empty(self.size, whole)
        share(_TASKS, lambda t: _join(row[_piece(self.size, t)], bits, words[_piece(self.size, t)]))
        self._apply(words, moved, inverse=inverse)
        share(_TASKS, lambda t: _part(moved[_piece(self.size, t)], bits, out[_piece(self.size, t)]))


def _piece(size: int, task: int) -> slice:
    return slice(size * task // _TASKS, size * (task + 1) // _TASKS)

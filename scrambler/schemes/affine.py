"""Exact affine transforms of whole numbers, value by value: what DLMT's five schemes are made of."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.errors import FrameError

_PARALLEL_FROM = 100_000


@njit(cache=True, nogil=True)
def _affine_row(
    row: NDArray[Any], parts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], first: int, out: NDArray[Any]
) -> None:
    """Write value ``first + n`` of an image; a part of one number counts for all values."""
    before, times, after = parts
    p, q, r = int(before.size > 1), int(times.size > 1), int(after.size > 1)
    for n in range(row.size):
        j = first + n
        out[n] = (np.int64(row[n]) + np.int64(before[p * j])) * np.int64(times[q * j]) + np.int64(after[r * j])


@njit(cache=True, nogil=True)
def _inverse_row(
    row: NDArray[Any],
    parts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]],
    first: int,
    top: int,
    out: NDArray[Any],
) -> int:
    """Undo `_affine_row` and return 1 if every value was one of its results for codes up to `top`."""
    before, times, after = parts
    p, q, r = int(before.size > 1), int(times.size > 1), int(after.size > 1)
    sound = 1
    for n in range(row.size):
        j = first + n
        lifted, factor = np.int64(np.rint(row[n])) - np.int64(after[r * j]), np.int64(times[q * j])
        raised = lifted // factor
        plain = raised - np.int64(before[p * j])
        if raised * factor != lifted or plain < 0 or plain > top:
            sound = 0
        out[n] = plain
    return sound


@njit(cache=True, nogil=True)
def _serial(rows: NDArray[Any], parts: Any, top: int, out: NDArray[Any], inverse: bool) -> bool:
    sound = 1
    for b in range(rows.shape[0]):
        if inverse:
            sound *= _inverse_row(rows[b], parts, 0, top, out[b])
        else:
            _affine_row(rows[b], parts, 0, out[b])
    return sound == 1


@njit(cache=True, nogil=True, parallel=True)
def _parallel(rows: NDArray[Any], parts: Any, top: int, out: NDArray[Any], inverse: bool) -> bool:
    size = rows.shape[1]
    pieces = max(1, 64 // rows.shape[0])
    sound = np.ones(rows.shape[0] * pieces, np.int64)
    for task in prange(rows.shape[0] * pieces):
        b, first, last = task // pieces, size * (task % pieces) // pieces, size * (task % pieces + 1) // pieces
        if inverse:
            sound[task] = _inverse_row(rows[b, first:last], parts, first, top, out[b, first:last])
        else:
            _affine_row(rows[b, first:last], parts, first, out[b, first:last])
    return bool(sound.min() == 1)


def _run(values: NDArray[Any], parts: Sequence[Any], top: int, out: NDArray[Any], *, inverse: bool) -> bool:
    flat = (len(values), values[:1].size)
    one = values.shape[1:]
    run = _serial if values.size < _PARALLEL_FROM else _parallel
    ready = tuple(
        np.ascontiguousarray(part if np.ndim(part) == 0 else np.broadcast_to(part, one)).reshape(-1) for part in parts
    )
    sound: bool = run(np.ascontiguousarray(values).reshape(flat), ready, top, out.reshape(flat), inverse)
    return sound


def affine(images: NDArray[Any], before: Any, times: Any, after: Any) -> NDArray[Any]:
    r"""Return :math:`(A + before) \cdot times + after`, exactly; inverse of :func:`inverse_affine`.

    Parameters
    ----------
    images : array of uint8 or uint16, shape (B, ...)
        The plain images A.
    before, times, after : array-like of integers, broadcast to one image
        ``times`` is 1 or more, the others 0 or more.

    Returns
    -------
    array of int32, or int64 where int32 could overflow, shape (B, ...)

    Examples
    --------
    MAT+MMT, by hand.

    >>> affine(np.array([[0, 10, 200, 255]], np.uint8), [5, 1, 256, 100], [3, 7, 1, 10], 0).tolist()
    [[15, 77, 456, 3550]]
    """
    if not images.size:
        return np.empty(images.shape, np.int32)
    add, factor, last = (int(np.max(part)) for part in (before, times, after))
    most = (int(np.iinfo(images.dtype).max) + add) * factor + last
    out = np.empty(images.shape, np.int32 if most < 2**31 else np.int64)
    _run(images, (before, times, after), 0, out, inverse=False)
    return out


def inverse_affine(values: NDArray[Any], before: Any, times: Any, after: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the plain images; inverse of :func:`affine`, with the same parameters.

    Raises
    ------
    FrameError
        If the values are no images of at most 16 bits under these matrices.
    """
    out = np.empty(values.shape, dtype)
    top = min(np.iinfo(dtype).max, 0xFFFF)
    if values.size and not _run(values, (before, times, after), top, out, inverse=True):
        raise FrameError("the protected values are no images under this key and these parameters: give the right ones.")
    return out


def stretch(values: NDArray[Any]) -> NDArray[Any]:
    """Return each image of (B, ...) stretched from its least and largest value to 0 .. 255, uint8; not undone.

    >>> stretch(np.array([[0, 70, 200, 2550]])).tolist()
    [[0, 7, 20, 255]]
    """
    if not values.size:
        return values.astype(np.uint8)
    axes = tuple(range(1, values.ndim))
    least, most = values.min(axes, keepdims=True), values.max(axes, keepdims=True)
    stretched: NDArray[Any] = np.rint((values - least) * (255.0 / np.maximum(most - least, 1))).astype(np.uint8)
    return stretched

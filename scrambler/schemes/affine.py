"""Exact affine transforms of whole numbers, value by value: what DLMT's five schemes are made of."""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.errors import FrameError

_PARALLEL_FROM = 100_000


@njit(cache=True, nogil=True)
def _affine_row(row: NDArray[Any], before: NDArray[Any], times: NDArray[Any], after: NDArray[Any], out: Any) -> None:
    for n in range(row.size):
        out[n] = (np.int64(row[n]) + before[n]) * times[n] + after[n]


@njit(cache=True, nogil=True)
def _affine_serial(
    rows: NDArray[Any], before: NDArray[Any], times: NDArray[Any], after: NDArray[Any], out: Any
) -> None:
    for b in range(rows.shape[0]):
        _affine_row(rows[b], before, times, after, out[b])


@njit(cache=True, nogil=True, parallel=True)
def _affine_parallel(
    rows: NDArray[Any], before: NDArray[Any], times: NDArray[Any], after: NDArray[Any], out: Any, pieces: int
) -> None:
    size = before.size
    for task in prange(rows.shape[0] * pieces):
        b, first, last = task // pieces, size * (task % pieces) // pieces, size * (task % pieces + 1) // pieces
        _affine_row(rows[b, first:last], before[first:last], times[first:last], after[first:last], out[b, first:last])


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
    size = images[:1].size if len(images) else 0
    one = images.shape[1:]
    add, factor, last = (
        np.ascontiguousarray(np.broadcast_to(part, one), np.int64).reshape(-1) for part in (before, times, after)
    )
    if not size:
        return np.empty(images.shape, np.int32)
    most = (int(np.iinfo(images.dtype).max) + int(add.max())) * int(factor.max()) + int(last.max())
    out = np.empty(images.shape, np.int32 if most < 2**31 else np.int64)
    rows, target = np.ascontiguousarray(images).reshape(len(images), size), out.reshape(len(images), size)
    if images.size < _PARALLEL_FROM:
        _affine_serial(rows, add, factor, last, target)
    else:
        _affine_parallel(rows, add, factor, last, target, max(1, 64 // len(rows)))
    return out


def inverse_affine(values: NDArray[Any], before: Any, times: Any, after: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the plain images; inverse of :func:`affine`, with the same parameters.

    Raises
    ------
    FrameError
        If the values are no images of at most 16 bits under these matrices.
    """
    plain, rest = np.divmod(np.rint(values).astype(np.int64) - after, times)
    plain -= before
    top = min(np.iinfo(dtype).max, 0xFFFF)
    if plain.size and (rest.any() or plain.min() < 0 or plain.max() > top):
        raise FrameError("the protected values are no images under this key and these parameters: give the right ones.")
    codes: NDArray[Any] = plain.astype(dtype)
    return codes


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

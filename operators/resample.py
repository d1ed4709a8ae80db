"""Area averaging of shuffled frames to a network's input size, by a weighted gather."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.rows import check_slot, from_rows, to_rows
from operators.tables import PixelOrder, slot_table, source_table

# Taps looked up at once: 20 MB of table at a time, whatever the frame's size.
_TAPS_AT_ONCE = 1 << 20


def cropped_area(frame_size: tuple[int, int], crop: bool) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of what is averaged: the largest centred square, or the whole frame.

    Examples
    --------
    >>> cropped_area((6, 9), True), cropped_area((6, 9), False)
    ((0, 1, 6, 6), (0, 0, 6, 9))
    """
    H, W = frame_size
    if not crop:
        return 0, 0, H, W
    side = min(H, W)
    return (H - side) // 2, (W - side) // 2, side, side


def _overlaps(length: int, outputs: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return which pixels each output cell covers along one axis, and which share of the cell each has.

    In units of 1 / outputs of a pixel, pixel p is [p n, (p + 1) n) and cell o is [o L, (o + 1) L): all integers, so
    that the shares are exact up to one rounding. Short cells are filled up with pixels of share 0.

    Returns
    -------
    places : ndarray of int64, shape (outputs, taps)
    shares : ndarray of float64, shape (outputs, taps)
        Each row sums to 1.
    """
    begin: NDArray[Any] = np.arange(outputs)[:, None] * length
    end = begin + length
    first, last = begin // outputs, -(-end // outputs)
    places = first + np.arange((last - first).max())
    overlap = np.minimum((places + 1) * outputs, end) - np.maximum(places * outputs, begin)
    return np.minimum(places, length - 1), np.maximum(overlap, 0) / length


def area_resize_table(
    frame_size: IntOrPair, size: IntOrPair, *, crop: bool = True, outputs: NDArray[Any] | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the gather table and weights that average a frame exactly by area; any ratio, up or down.

    Parameters
    ----------
    frame_size : int or (int, int)
        Height and width read, in pixels.
    size : int or (int, int)
        Height and width of the result, in pixels.
    crop : bool
        Whether the largest centred square is averaged, or the whole frame.
    outputs : ndarray of integers, shape (M,), optional
        The natural output positions wanted, in this order; None for all.

    Returns
    -------
    index : ndarray of int64, shape (M, K)
        Natural input positions.
    weights : ndarray of float64, shape (M, K)
        Share of each input pixel in the output cell; rows sum to 1, and places that fill up a row weigh 0.

    Raises
    ------
    OperatorError
        When a size is below 1.

    Examples
    --------
    >>> index, weights = area_resize_table((1, 3), (1, 2), crop=False)
    >>> index.tolist(), (weights * 3).round(9).tolist()
    ([[0, 1], [1, 2]], [[2.0, 1.0], [1.0, 2.0]])
    """
    H, W = pair(frame_size, "frame_size", 1)
    h, w = pair(size, "size", 1)
    top, left, height, width = cropped_area((H, W), crop)
    y, share_y = _overlaps(height, h)
    x, share_x = _overlaps(width, w)
    down, right = np.divmod(np.arange(h * w) if outputs is None else outputs, w)
    index = (top + y[down])[:, :, None] * W + left + x[right][:, None, :]
    weights = share_y[down][:, :, None] * share_x[right][:, None, :]
    return index.reshape(len(index), -1), weights.reshape(len(weights), -1)


def keyed_area_resize(
    input: Tensor,
    size: IntOrPair,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    crop: bool = True,
) -> Tensor:
    """Average shuffled frames by area to another size, in the output's order.

    Every output sums its taps in the same order whatever the key, so the result on a shuffled frame is bit for bit
    the shuffled result on the natural one. Memory beyond input and output is bounded.

    Parameters
    ----------
    input : Tensor of float32 or float64, shape (B, C, H, W)
        In the order of ``permutation_in``.
    size : int or (int, int)
        Height and width of the result, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of the input's order, or one for each frame; replaces ``permutation_in``.
    crop : bool
        Whether the largest centred square is averaged, or the whole frame.

    Returns
    -------
    Tensor, shape (B, C, h, w)
        Differentiable in ``input``.

    Raises
    ------
    OperatorError
        When the frames are not floating point, or sizes and permutations do not fit together.

    Examples
    --------
    >>> keyed_area_resize(torch.tensor([[[[1.0, 2.0, 4.0, 8.0]]]]), (1, 2), crop=False).tolist()
    [[[[1.5, 6.0]]]]
    """
    if not input.is_floating_point():
        raise OperatorError(f"frames to average must be floating point; got {input.dtype}")
    rows = to_rows(input)
    B, N = rows.shape[:2]
    H, W = input.shape[2:]
    h, w = pair(size, "size", 1)
    own = slot_table(permutation_in, N) if slot is None else check_slot(slot, input)
    own = None if own is None else own.to(input.device).reshape(-1, N).expand(B, N)
    target = source_table(permutation_out, h * w)
    outputs = np.arange(h * w) if target is None else target.numpy()
    _, _, height, width = cropped_area((H, W), crop)
    taps = (math.ceil(height / h) + 1) * (math.ceil(width / w) + 1)
    step = max(1, _TAPS_AT_ONCE // taps)
    images = max(1, _TAPS_AT_ONCE // (taps * min(step, h * w)))
    strips = []
    for first in range(0, h * w, step):
        index, weights = area_resize_table((H, W), (h, w), crop=crop, outputs=outputs[first : first + step])
        reads = torch.from_numpy(index).to(input.device)
        shares = torch.from_numpy(weights).to(rows)
        parts = [
            weighted_rows(rows[b : b + images], reads if own is None else own[b : b + images, reads].long(), shares)
            for b in range(0, max(B, 1), images)
        ]
        strips.append(torch.cat(parts))
    return from_rows(torch.cat(strips, dim=1), (h, w))


def weighted_rows(rows: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """Return the sums of rows (B, N, C) over index (M, K) or (B, M, K), weighted by (M, K): (B, M, C).

    Every sum runs over its taps in the table's order, so the arrangement of the rows does not change a bit of it.
    """
    B, N, C = rows.shape
    M, K = weights.shape
    image = torch.arange(B, device=rows.device).reshape(B, 1, 1) * N
    bags = (index + image).reshape(B * M, K)
    shares = weights.expand(B, M, K).reshape(B * M, K)
    summed: Tensor = F.embedding_bag(bags, rows.reshape(B * N, C), per_sample_weights=shares, mode="sum")
    return summed.reshape(B, M, C)

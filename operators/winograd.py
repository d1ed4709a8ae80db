"""Winograd's way through the ``indirect`` engine: 3x3 convolution with 2.25 times fewer products.

The key is in the table of the input transform and in that of the output transform; between them are 16 matrix products
over squares. Neither transform stores a pixel or a feature: only differences and sums of a square's.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.engine_scratch import scratch
from operators.engine_threads import limited_to, threads_for
from operators.errors import OperatorError
from operators.geometry import Window
from operators.indirect import flat, run_jobs
from operators.indirect_kernels import COLUMNS, LANES, ROWS
from operators.indirect_tables import fill_squares
from operators.indirect_weights import PackedWeights
from operators.winograd_kernels import gather_in_parallel, gather_squares, spread_in_parallel, spread_squares

# Measured: with fewer channels the transforms cost what the products save; small maps are done by then, and for tiny
# ones reading the weights, which are 16 instead of 9 a pair of channels, is all there is.
_FEWEST_CHANNELS = 64
_FEWEST_OUTPUTS = 64
_FEWEST_VALUES = 1 << 14
# Planes of so many floats are made at a time, so that they stay in a core's second-level cache or near it.
_PLANES = 1 << 19
_FEWEST_SQUARES = 96
_PARALLEL_PRODUCTS = 1_000_000
_NO_CLAMP = np.array([-np.inf, np.inf], np.float32)


def suits_winograd(window: Window, channels: int, maps: int, groups: int) -> bool:
    """Whether a layer is one that takes this way: 3x3, stride 1, whole vectors of channels, and not too small."""
    outputs = window.output_size[0] * window.output_size[1]
    return (
        LANES >= 8
        and groups == 1
        and window.kernel_size == (3, 3)
        and window.stride == window.dilation == (1, 1)
        and min(channels, maps) >= _FEWEST_CHANNELS
        and channels % 16 == maps % 16 == 0
        and outputs >= _FEWEST_OUTPUTS
        and outputs * channels >= _FEWEST_VALUES
    )


def winograd_table(places: Tensor, source: Tensor | None, slot: Tensor | None, window: Window, channels: int) -> Tensor:
    """Return the table of both transforms; as secret as the key.

    Parameters
    ----------
    places : Tensor of int32, shape (M, 9)
        Natural input positions in the order of the outputs' slots; N for padding.
    source : Tensor of int32, shape (M,), or None
        Natural position of every output slot; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), or None
        Slot of every natural input position, for all frames or for each.
    window : Window
    channels : int
        Of the input.

    Returns
    -------
    Tensor of int32, shape (1 or B, T, 20)
        See :func:`operators.winograd_kernels.spread_squares`.

    Raises
    ------
    OperatorError
        When the slots name pixels that do not exist, or the offsets do not fit into 32 bits.
    """
    N = window.input_size[0] * window.input_size[1]
    if N * channels >= 2**31:
        raise OperatorError(f"frames of {N} pixels and {channels} channels are too large for one table")
    reads, writes = _squares(window.output_size)
    slots = torch.empty((0, N), dtype=torch.int32) if slot is None else slot.reshape(-1, N).int().contiguous()
    order = torch.empty(0, dtype=torch.int32) if source is None else source.int().contiguous()
    table = torch.empty((1 if slot is None else len(slots), len(reads), 20), dtype=torch.int32)
    natural = places.int().contiguous().numpy()
    if not fill_squares(reads, writes, natural, order.numpy(), slots.numpy(), N, channels, table.numpy()):
        raise OperatorError(f"slot must hold numbers from 0 to {N - 1}")
    return table


@lru_cache(maxsize=64)
def _squares(size: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where a square's 16 inputs stand in a table (M, 9), and its 4 outputs; the entry after all for none."""
    Ho, Wo = size
    M = Ho * Wo
    y, x = (
        axis.ravel()[:, None, None] for axis in np.meshgrid(np.arange(0, Ho, 2), np.arange(0, Wo, 2), indexing="ij")
    )
    down, right = np.arange(4)[None, :, None], np.arange(4)[None, None, :]
    # Input (r, s) of a square is tap (r - a, s - b) of its output (a, b).
    a, b = np.minimum(down // 2, 1), np.minimum(right // 2, 1)
    # Where the second output is beyond the edge, the first one knows all but the last row or column.
    a = np.where(y + a < Ho, a, 0)
    b = np.where(x + b < Wo, b, 0)
    known = (down - a < 3) & (right - b < 3)
    reads = np.where(known, ((y + a) * Wo + x + b) * 9 + (down - a) * 3 + right - b, 9 * M)
    a, b = np.arange(2)[None, :, None], np.arange(2)[None, None, :]
    writes = np.where((y + a < Ho) & (x + b < Wo), (y + a) * Wo + x + b, M)
    return reads.reshape(-1, 16).astype(np.int32), writes.reshape(-1, 4).astype(np.int32)


@lru_cache(maxsize=256)
def _products(count: int, channels: int, maps: int) -> tuple[Tensor, tuple[int, ...], int, bool]:
    """Return table, sizes, jobs and whether threads are worth it, of 16 products of (count, channels) planes."""
    tiles = -(-count // ROWS)
    table = torch.full((tiles, 1, ROWS), -1, dtype=torch.int32)
    table.view(-1)[:count] = torch.arange(count, dtype=torch.int32) * channels
    sizes = (1, count, 0, 1, tiles, 1, channels, 16, maps, tiles, 0, 0, count * channels, maps, count * maps)
    return table, sizes, 16 * -(-maps // COLUMNS), 16 * count * channels * maps >= _PARALLEL_PRODUCTS


def _planes(count: int, channels: int, which: str) -> NDArray[Any]:
    """Return planes (16, count, channels) of this thread's scratch memory."""
    size = 16 * count * channels
    planes: NDArray[Any] = scratch(which, size)[:size].reshape(16, count, channels)
    return planes


def convolve_squares(
    rows: Tensor, table: Tensor, packed: PackedWeights, outputs: int, residual: Tensor | None = None
) -> Tensor:
    """Convolve rows (B, N, C) through a :func:`winograd_table`; otherwise as :func:`operators.indirect.convolve_rows`.

    ``packed`` holds transformed weights. Equal to the direct sum within a few roundings, and on whole numbers and
    dyadic weights exactly; an infinite pixel makes NaN of an output where the direct sum may be infinite.
    """
    B, N, C = rows.shape
    D = packed.maps
    out = torch.empty((B, outputs, D))
    if not out.numel():
        return out
    T = table.shape[1]
    turns = -(-B * T // max(_FEWEST_SQUARES, _PLANES // (16 * (C + D))))
    # Equal turns of whole tiles.
    at_once = min(B * T, -(-B * T // (turns * ROWS)) * ROWS)
    before, after = _planes(at_once, C, "before"), _planes(at_once, D, "after")
    squares, pixels, written = table.numpy(), flat(rows), flat(out)
    held = np.zeros(D, np.float32) if residual is None else flat(residual)
    no_bias = np.zeros(16 * -(-D // COLUMNS) * COLUMNS, np.float32)
    for start in range(0, B * T, at_once):
        last = min(start + at_once, B * T)
        if last - start < at_once:
            before, after = _planes(last - start, C, "before"), _planes(last - start, D, "after")
        read, sizes, jobs, worth_it = _products(last - start, C, D)
        parts = threads_for(last - start) if worth_it else 1
        inside = (pixels, packed.border, squares, C, N * C, before, start, start, last)
        back = (after, squares, packed.bias, held, packed.clamp, written, D, outputs, start, start, last)
        product = (
            before.ravel(), packed.border, flat(read), packed.blocks, no_bias, no_bias, after.ravel(),
            sizes, _NO_CLAMP,
        )  # fmt: skip
        if parts == 1:
            spread_squares(*inside)
            run_jobs(product, False, jobs, worth_it)
            gather_squares(*back)
            continue
        with limited_to(parts):
            spread_in_parallel(*inside, parts)
        run_jobs(product, False, jobs, worth_it)
        with limited_to(parts):
            gather_in_parallel(*back, parts)
    return out

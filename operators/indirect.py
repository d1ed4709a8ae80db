"""The ``indirect`` engine: convolution in one pass over shuffled rows, by the kernels of ``indirect_kernels``.

No natural-order map exists at any moment: the table sends every tap of every output straight to its slot. Weights are
packed once; bias, batch norm, residual and activation cost nothing beside the products.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from operators.engine_threads import limited_to, threads_for
from operators.errors import OperatorError
from operators.indirect_kernels import (
    COLUMNS,
    ROWS,
    convolve_in_parallel,
    convolve_jobs,
    depthwise_in_parallel,
    depthwise_jobs,
    fill_table,
)
from operators.indirect_weights import PackedWeights

# Maps of fewer outputs are put end to end over the batch, so that tiles need not end with each image.
_FEW_OUTPUTS = 8 * ROWS
# Below this many multiply-adds, starting threads costs more than it saves.
_PARALLEL_PRODUCTS = 1_000_000
# Weights of up to so many floats stay in the processor's cache, and tiles then pass them one by one; larger ones are
# passed in blocks by a chunk of so many floats of map, a few tiles at a time otherwise.
_CACHED_WEIGHTS = 1 << 17
_CHUNK = 1 << 18
_FEW_TILES = 4
# Fewer channels than this are copied together before the products.
_FEW_CHANNELS = 8


def images_of_table(outputs: int) -> int:
    """Return for how many images a table is made: small maps share tiles, and the table repeats after a few images."""
    return ROWS // math.gcd(outputs, ROWS) if outputs < _FEW_OUTPUTS else 1


def indirect_table(places: Tensor, slot: Tensor | None, size: int, channels: int, images: int) -> Tensor:
    """Return the indirection table: where in memory every tap of every output is read.

    Parameters
    ----------
    places : Tensor of integers, shape (M, K)
        Natural input positions in the order of the outputs' slots; ``size`` for padding.
    slot : Tensor of integers, shape (N,) or (images, N), or None
        Slot of every natural position, for all images or for each; None for natural order.
    size, channels : int
        Pixels N and channels C of an image.
    images : int
        For how many images; from :func:`images_of_table` where they share a key.

    Returns
    -------
    Tensor of int32, shape (tiles, K, ROWS)
        Offsets in floats, negative for padding. As secret as the key.

    Raises
    ------
    OperatorError
        When the slots name pixels that do not exist, or the offsets do not fit into 32 bits.
    """
    M, K = places.shape
    if images * size * channels >= 2**31:
        raise OperatorError(
            f"{images} images of {size} pixels and {channels} channels are too many for one table; use smaller batches"
        )
    slots = torch.empty((0, size), dtype=torch.int32) if slot is None else slot.reshape(-1, size).int().contiguous()
    table = torch.empty((-(-images * M // ROWS), K, ROWS), dtype=torch.int32)
    known = fill_table(places.int().contiguous().numpy(), slots.numpy(), images, size, channels, table.numpy())
    if not known:
        raise OperatorError(f"slot must hold numbers from 0 to {size - 1}")
    return table


@lru_cache(maxsize=1)
def _nothing() -> Tensor:
    """Return what is added where there is no residual."""
    return torch.zeros(COLUMNS)


def convolve_rows(
    rows: Tensor, table: Tensor, packed: PackedWeights, outputs: int, unit: int, residual: Tensor | None = None
) -> Tensor:
    r"""Convolve rows through an indirection table.

    .. math:: y_{b i d} = \mathrm{clamp}(\beta_d + r_{b i d} + \sum_{k c} x_{b, t(i, k), c} w_{k c d})

    Parameters
    ----------
    rows : Tensor of float32 on the CPU, shape (B, N, C), contiguous
    table : Tensor of int32, shape (tiles, K, ROWS)
        From :func:`indirect_table`, for ``unit`` images.
    packed : PackedWeights
    outputs : int
        Rows M of an output image.
    unit : int
        Images for which the table was made; it repeats after them.
    residual : Tensor of float32, shape (B, M, D), contiguous, optional

    Returns
    -------
    Tensor of float32, shape (B, M, D)
    """
    B, N, C = rows.shape
    D, K = packed.groups * packed.maps, table.shape[1]
    out = torch.empty((B, outputs, D))
    if not out.numel():
        return out
    total = B // unit * table.shape[0] + -(-(B % unit) * outputs // ROWS)
    copied = packed.channels < _FEW_CHANNELS and K > 1 and not packed.depthwise
    chunk = _FEW_TILES if packed.blocks.size <= _CACHED_WEIGHTS else max(1, _CHUNK // (C * ROWS))
    jobs = -(-total // chunk) * (1 if packed.depthwise else len(packed.blocks))
    held = _nothing() if residual is None else residual
    sizes = (
        B, outputs, N * C, unit, table.shape[0], K, packed.channels, packed.groups, packed.maps, chunk,
        0 if residual is None else D, int(copied),
    )  # fmt: skip
    pixels, offsets, before, after = (t.detach().view(-1).numpy() for t in (rows, table, held, out))
    arrays = (pixels, packed.border, offsets, packed.blocks.ravel(), packed.bias.ravel(), before, after)
    parts = threads_for(jobs) if B * outputs * K * packed.channels * D >= _PARALLEL_PRODUCTS else 1
    depth = K * packed.channels
    # Each thread's own: two tiles and the copied columns; a table of copied columns and the table of a cut tile.
    floats = np.empty((parts, 2 * ROWS * COLUMNS + (chunk * ROWS * depth if copied else 0)), np.float32)
    integers = np.empty((parts, ROWS + K * ROWS), np.int32)
    integers[:, :ROWS] = np.arange(ROWS) * depth
    serial: Any = depthwise_jobs if packed.depthwise else convolve_jobs
    parallel: Any = depthwise_in_parallel if packed.depthwise else convolve_in_parallel
    if parts == 1:
        serial(*arrays, sizes, packed.clamp, floats[0], integers[0], 0, jobs)
    else:
        with limited_to(parts):
            parallel(*arrays, sizes, packed.clamp, floats, integers, jobs)
    return out

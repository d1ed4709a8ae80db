"""The ``indirect`` engine: convolution in one pass over shuffled rows, by the kernels of ``indirect_kernels``.

No natural-order map exists at any moment: the table sends every tap of every output straight to its slot. Weights are
packed once; bias, batch norm, residual and activation cost nothing beside the products.
"""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.engine_calls import (
    JOBS,
    OUT,
    PIXELS,
    RESIDUAL,
    SCRATCH,
    STEP_NUMBERS,
    address_of,
    run_steps,
    run_steps_in_parallel,
)
from operators.engine_scratch import scratch
from operators.engine_threads import limited_to, threads_for
from operators.errors import OperatorError
from operators.halves import halves_numbers
from operators.halves_kernels import halves_entry
from operators.indirect_kernels import (
    COLUMNS,
    ROWS,
    convolve_in_parallel,
    convolve_jobs,
    depthwise_in_parallel,
    depthwise_jobs,
    rows_entry,
)
from operators.indirect_tables import fill_table
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


def indirect_table(
    places: Tensor | NDArray[Any], slot: Tensor | None, size: int, channels: int, images: int,
    source: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the indirection table: where in memory every tap of every output is read.

    Parameters
    ----------
    places : Tensor of integers or ndarray of int32, shape (M, K)
        Natural input positions in the order of the outputs' slots; ``size`` or a negative number for padding.
    slot : Tensor of integers, shape (N,) or (images, N), or None
        Slot of every natural position, for all images or for each; None for natural order.
    size, channels : int
        Pixels N and channels C of an image.
    images : int
        For how many images; from :func:`images_of_table` where they share a key.
    source : Tensor of integers, shape (M,), optional
        Natural position of every output slot, where ``places`` are in natural order themselves.

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
    # Arrays, as tensors take several times as long: a network has many small tables.
    slots = np.empty((0, size), np.int32) if slot is None else _entries(slot).reshape(-1, size)
    natural = _entries(places) if isinstance(places, Tensor) else places
    order = _NATURAL if source is None else _entries(source)
    table = np.empty((-(-images * M // ROWS), K, ROWS), np.int32)
    if not fill_table(natural, order, slots, images, size, channels, table):
        raise OperatorError(f"slot must hold numbers from 0 to {size - 1}")
    return torch.from_numpy(table)


def _entries(table: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(table.numpy(), np.int32)


# What stands for no order.
_NATURAL = np.empty(0, np.int32)
# Kinds of calls whose sizes are kept; a network has at most a few hundred.
_CALLS = 4096
# What a residual that does not exist reads.
NOTHING = np.zeros(COLUMNS, np.float32)
_NOTHING_AT = NOTHING.ctypes.data


def flat(tensor: Tensor) -> NDArray[Any]:
    """Return the elements of a contiguous tensor as one axis, without a copy."""
    values: NDArray[Any] = (tensor.detach() if tensor.requires_grad else tensor).numpy().reshape(-1)
    return values


def job_sizes(
    shape: tuple[int, ...], table: Tensor, packed: PackedWeights, outputs: int, unit: int, with_residual: bool
) -> tuple[tuple[int, ...], int, bool]:
    """Return the kernels' sizes, the number of jobs, and whether threads are worth it.

    Parameters
    ----------
    shape : (int, int, int)
        Of the rows (B, N, C); the other arguments as for :func:`convolve_rows`.
    """
    B, N, C = shape
    tiles, taps, _ = table.shape
    large = packed.blocks.size > _CACHED_WEIGHTS
    return _sizes(
        B, N, C, outputs, unit, tiles, taps, packed.channels, packed.groups, packed.maps, large, with_residual
    )


@lru_cache(maxsize=_CALLS)
def _sizes(
    B: int, N: int, C: int, outputs: int, unit: int, tiles: int, taps: int,
    channels: int, groups: int, maps: int, large: bool, with_residual: bool,
) -> tuple[tuple[int, ...], int, bool]:  # fmt: skip
    depthwise = channels == maps == 1
    total = B // unit * tiles + -(-(B % unit) * outputs // ROWS)
    copied = channels < _FEW_CHANNELS and taps > 1 and not depthwise
    chunk = max(1, _CHUNK // (C * ROWS)) if large else _FEW_TILES
    jobs = -(-total // chunk) * (1 if depthwise else groups * -(-maps // COLUMNS))
    D = groups * maps
    sizes = (
        B, outputs, N * C, unit, tiles, taps, channels, groups, maps, chunk, D * with_residual, int(copied),
        channels, D, maps,
    )  # fmt: skip
    return sizes, jobs, B * outputs * taps * channels * D >= _PARALLEL_PRODUCTS


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
    out = torch.empty((len(rows), outputs, packed.groups * packed.maps))
    if not out.numel():
        return out
    if packed.way == "halves":
        step = step_of(tuple(rows.shape), table, packed, outputs, unit, residual is not None)
        step[PIXELS], step[OUT] = rows.data_ptr(), out.data_ptr()
        if residual is not None:
            step[RESIDUAL] = residual.data_ptr()
        jobs = int(step[JOBS]) if step[JOBS + 1] else 1
        call_steps(step[None], packed.clamp[None], jobs, int(step[SCRATCH + 1]))
        return out
    sizes, jobs, worth_it = job_sizes(tuple(rows.shape), table, packed, outputs, unit, residual is not None)
    held = NOTHING if residual is None else flat(residual)
    arrays = (flat(rows), packed.border, flat(table), packed.blocks, packed.bias, held, flat(out), sizes, packed.clamp)
    run_jobs(arrays, packed.depthwise, jobs, worth_it)
    return out


def run_jobs(arrays: tuple[Any, ...], depthwise: bool, jobs: int, worth_it: bool) -> None:
    """Run a kernel on as many threads as there are jobs for, on one where threads are not worth it."""
    parts = threads_for(jobs) if worth_it else 1
    serial: Any = depthwise_jobs if depthwise else convolve_jobs
    parallel: Any = depthwise_in_parallel if depthwise else convolve_in_parallel
    if parts == 1:
        serial(*arrays, 0, jobs)
        return
    with limited_to(parts):
        parallel(*arrays, jobs, parts)


def step_of(
    shape: tuple[int, ...], table: Tensor, packed: PackedWeights, outputs: int, unit: int, with_residual: bool
) -> NDArray[Any]:
    """Return what :func:`convolve_rows` does as a step of :func:`operators.engine_calls.run_steps`.

    The addresses of pixels, residual, output and scratch memory are left open; the arguments are those of
    :func:`job_sizes`, and must outlive the step.
    """
    sizes, jobs, worth_it = job_sizes(shape, table, packed, outputs, unit, with_residual)
    more: tuple[int, ...] = ()
    entry = rows_entry
    if packed.way == "halves":
        B, N, C = shape
        entry = halves_entry
        more, jobs = halves_numbers(B, N, outputs, table.shape[1], C, packed.maps, packed.blocks.itemsize == 1)
    border, blocks, bias = packed.addresses
    numbers = (
        address_of(entry), jobs, worth_it, 0, border, table.data_ptr(), blocks, bias, _NOTHING_AT, 0, *sizes, 0, *more,
    )  # fmt: skip
    return np.array(numbers + (0,) * (STEP_NUMBERS - len(numbers)), np.int64)


def call_steps(steps: NDArray[Any], clamps: NDArray[Any], jobs: int, needed: int) -> None:
    """Run steps whose addresses are all there but that of scratch memory, which this thread lends.

    Parameters
    ----------
    steps : ndarray of int64, shape (S, STEP_NUMBERS)
    clamps : ndarray of float32, shape (S, STEP_FLOATS)
    jobs : int
        The most that a step has; 1 where threads are not worth it for any.
    needed : int
        The most bytes of scratch memory that a thread needs.
    """
    parts = threads_for(jobs)
    memory = scratch("steps", parts * needed // 4)
    steps[:, SCRATCH] = memory.ctypes.data
    if parts == 1:
        run_steps(steps, clamps)
        return
    with limited_to(parts):
        run_steps_in_parallel(steps, clamps, parts)

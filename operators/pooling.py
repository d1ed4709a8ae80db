"""Pooling that reads shuffled maps and writes shuffled maps.

Two engines with one result:

``"table"``
    a Numba kernel that looks every tap up in the keyed table; CPU, float32 or float64, without gradients.
``"gather"``
    row gather to natural order, the library's pooling, row gather to the output's order; any device, type, gradient.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import IntOrPair
from operators.pooling_kernels import pool_rows
from operators.pooling_rules import Pooling, TargetSize, adaptive_pooling, average_pooling, max_pooling
from operators.rows import check_slot, frame_size, from_rows, permute_rows, to_rows
from operators.tables import PixelOrder, compose, slot_table, source_table

ENGINES = ("auto", "table", "gather")


def choose_engine(engine: str, frames: Tensor) -> str:
    """Return the pooling engine that ``engine`` names for these frames.

    Raises
    ------
    OperatorError
        When there is no engine of that name, or "table" cannot do these frames.
    """
    if engine not in ENGINES:
        raise OperatorError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
    able = (
        frames.device.type == "cpu"
        and frames.dtype in (torch.float32, torch.float64)
        and not (frames.requires_grad and torch.is_grad_enabled())
        and not torch.compiler.is_compiling()
    )
    if engine == "table" and not able:
        raise OperatorError("engine 'table' needs float32 or float64 frames on the CPU without gradients; use 'auto'")
    return ("table" if able else "gather") if engine == "auto" else engine


def pool_by_table(
    frames: Tensor, index: Tensor, divisor: Tensor | None, slot: Tensor | None, output_size: tuple[int, int]
) -> Tensor:
    """Pool through a table (M, K), N for padding: in slots, or with a caller's ``slot`` in natural positions."""
    if slot is not None:
        N = slot.shape[-1]
        # Kernels do not check bounds.
        if slot.numel() and not 0 <= int(slot.min()) <= int(slot.max()) < N:
            raise OperatorError(f"slot must hold numbers from 0 to {N - 1}")
        index = compose(slot, index, outside=N)
    return from_rows(pool_rows(to_rows(frames), index, divisor), output_size)


def pool_by_gather(
    frames: Tensor, library: Callable[[Tensor], Tensor], slot: Tensor | None, source: Tensor | None
) -> Tensor:
    """Pool by row gather, the library's operator and row gather; ``slot`` (N,) or (B, N), ``source`` (M,)."""
    natural = from_rows(permute_rows(to_rows(frames), slot), (frames.shape[2], frames.shape[3]))
    pooled = library(natural)
    return from_rows(permute_rows(to_rows(pooled), source), (pooled.shape[2], pooled.shape[3]))


def _pool(
    frames: Tensor,
    pooling: Pooling,
    permutation_in: PixelOrder | None,
    permutation_out: PixelOrder | None,
    slot: Tensor | None,
    engine: str,
) -> Tensor:
    """Apply a pooling operator between two pixel orders."""
    (H, W), (Ho, Wo) = pooling.input_size, pooling.output_size
    own = None if slot is None else check_slot(slot, frames)
    given = slot_table(permutation_in, H * W)
    source = source_table(permutation_out, Ho * Wo)
    if pooling.is_global:
        return pooling.library(frames)
    if choose_engine(engine, frames) == "table":
        places, divisor = pooling.ordered(source)
        if own is None:
            return pool_by_table(frames, compose(given, places, outside=H * W), divisor, None, (Ho, Wo))
        return pool_by_table(frames, places, divisor, own, (Ho, Wo))
    here = None if given is None else given.to(frames.device)
    target = None if source is None else source.to(frames.device)
    return pool_by_gather(frames, pooling.library, here if own is None else own, target)


def keyed_max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    engine: str = "auto",
) -> Tensor:
    """Return the maximum of every window of shuffled maps, in the output's order.

    Parameters
    ----------
    input : Tensor, shape (B, C, H, W)
        In the order of ``permutation_in``.
    kernel_size, stride, padding, dilation, ceil_mode
        As ``torch.nn.functional.max_pool2d`` takes them.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of the input's order for this call, or one for each frame; replaces ``permutation_in``.
    engine : {"auto", "table", "gather"}
        "auto" takes "table" on the CPU where no gradient is wanted.

    Returns
    -------
    Tensor, shape (B, C, Ho, Wo)

    Raises
    ------
    OperatorError
        When shapes, permutations or options do not fit together.

    Examples
    --------
    >>> keyed_max_pool2d(torch.arange(8.0).reshape(1, 1, 2, 4), 2, slot=torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])).tolist()
    [[[[7.0, 5.0]]]]
    """
    pooling = max_pooling(frame_size(input), kernel_size, stride, padding, dilation, ceil_mode)
    return _pool(input, pooling, permutation_in, permutation_out, slot, engine)


def keyed_avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    engine: str = "auto",
) -> Tensor:
    """Return the average of every window of shuffled maps, in the output's order.

    The leading arguments are those of ``torch.nn.functional.avg_pool2d``; the others, the result and the errors those
    of :func:`keyed_max_pool2d`.

    Examples
    --------
    >>> keyed_avg_pool2d(torch.arange(8.0).reshape(1, 1, 2, 4), 2, slot=torch.tensor([7, 6, 5, 4, 3, 2, 1, 0])).tolist()
    [[[[4.5, 2.5]]]]
    """
    pooling = average_pooling(
        frame_size(input), kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _pool(input, pooling, permutation_in, permutation_out, slot, engine)


def keyed_adaptive_avg_pool2d(
    input: Tensor,
    output_size: TargetSize,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    engine: str = "auto",
) -> Tensor:
    """Return shuffled maps averaged to a fixed size, in the output's order; size 1 is the global average.

    ``output_size`` is that of ``torch.nn.functional.adaptive_avg_pool2d``; the other arguments, the result and the
    errors are those of :func:`keyed_max_pool2d`. A global average needs no key, and its result is not shuffled.
    """
    pooling = adaptive_pooling(frame_size(input), output_size, average=True)
    return _pool(input, pooling, permutation_in, permutation_out, slot, engine)


def keyed_adaptive_max_pool2d(
    input: Tensor,
    output_size: TargetSize,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    engine: str = "auto",
) -> Tensor:
    """Return the maxima of shuffled maps over a fixed number of windows; as :func:`keyed_adaptive_avg_pool2d`."""
    pooling = adaptive_pooling(frame_size(input), output_size, average=False)
    return _pool(input, pooling, permutation_in, permutation_out, slot, engine)

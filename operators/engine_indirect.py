"""When the ``indirect`` engine can run and when it is worth it; and how frames pass through it."""

from functools import lru_cache
from typing import Any

import numba
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.geometry import Window
from operators.halves import suits_halves
from operators.indirect import convolve_rows, images_of_table, indirect_table
from operators.indirect_kernels import LANES
from operators.indirect_weights import PackedWeights
from operators.rows import from_rows, to_rows
from operators.winograd import convolve_squares, suits_winograd

# Groups of fewer output channels leave most of a tile's columns empty.
_FEWEST_MAPS = 16
# As many as a frame has.
_FEW_CHANNELS = 4
# Tables of pointwise layers hold no secret; a network has few sizes.
_IDENTITIES = 32


def can_run(frames: Tensor, *parameters: Tensor | None) -> bool:
    """Whether the engine can take these frames: float32 on the CPU, and nothing to be differentiated or compiled.

    Under ``torch.autocast`` it leaves convolutions to the library, which gives them the type that was asked for.
    """
    tensors = [frames, *(p for p in parameters if p is not None)]
    return (
        all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)
        and not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors))
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and not getattr(numba.config, "DISABLE_JIT", False)
    )


def is_plain_inference(*frames: Tensor | None) -> bool:
    """Whether frames are float32 on the CPU and nobody asks for gradients or a graph; quicker than :func:`can_run`."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return False
    return all(f is None or (f.dtype is torch.float32 and f.is_cpu) for f in frames)


def is_worth_it(channels: int, maps: int, groups: int) -> bool:
    """Whether the engine was measured to be as fast as the others, or faster, for layers of this kind.

    It was with the vectors of AVX2 and AVX-512. Other processors are untried and stay with the library.
    """
    if LANES < 8:
        return False
    if channels // groups <= _FEW_CHANNELS and channels != groups:
        # Copied columns leave no time for output channels that do not fill a vector.
        return maps // groups % LANES == 0
    return channels == maps == groups or maps // groups >= _FEWEST_MAPS


def choose_way(window: Window, channels: int, maps: int, groups: int) -> str:
    """Return how the engine convolves a layer: "rows", or one of its quicker ways (see ``PackedWeights.way``)."""
    (H, W), (Ho, Wo) = window.input_size, window.output_size
    if suits_halves(H * W, Ho * Wo, window.taps, channels, maps, groups):
        return "halves"
    return "squares" if suits_winograd(window, channels, maps, groups) else "rows"


def engine_table(
    places: Tensor | NDArray[Any], slot: Tensor | None, size: int, channels: int, source: Tensor | None = None
) -> Tensor:
    """Return the engine's own form of a gather table, made for a layer or for one batch.

    Parameters
    ----------
    places : Tensor of int32 or ndarray of int32, shape (M, K)
        Natural input positions in the order of the outputs' slots; ``size`` or a negative number for padding.
    slot : Tensor of integers, shape (N,) or (B, N), or None
        Slot of every natural position, for all frames or for each; None for natural order.
    size, channels : int
        Pixels N and channels C of a frame.
    source : Tensor of integers, shape (M,), optional
        Natural position of every output slot, where ``places`` are in natural order themselves.

    Raises
    ------
    OperatorError
        When the slots name pixels that do not exist.
    """
    images = images_of_table(len(places)) if slot is None or slot.ndim == 1 else len(slot)
    return indirect_table(places, slot, size, channels, images, source)


@lru_cache(maxsize=_IDENTITIES)
def identity_table(size: int, channels: int) -> Tensor:
    """Return the table of a pointwise layer, whose output has its input's order."""
    return engine_table(torch.arange(size, dtype=torch.int32)[:, None], None, size, channels)


def convolve_frames(
    frames: Tensor,
    table: Tensor,
    packed: PackedWeights,
    output_size: tuple[int, int],
    *,
    own_keys: bool = False,
    residual: Tensor | None = None,
) -> Tensor:
    """Convolve frames (B, C, H, W) through an :func:`engine_table`; arguments are already checked.

    Weights packed by "squares" take a :func:`operators.winograd.winograd_table` instead.

    Parameters
    ----------
    own_keys : bool
        The table is for this batch, with a key for each frame.
    residual : Tensor of float32, shape (B, D, Ho, Wo), optional
        Added before the clamp.

    Returns
    -------
    Tensor of float32, shape (B, D, Ho, Wo), channels-last
    """
    rows = to_rows(frames)
    held = None if residual is None else to_rows(residual)
    outputs = output_size[0] * output_size[1]
    if packed.way == "squares":
        return from_rows(convolve_squares(rows, table, packed, outputs, held), output_size)
    unit = max(1, len(frames)) if own_keys else images_of_table(outputs)
    out = convolve_rows(rows, table, packed, outputs, unit, held)
    return from_rows(out, output_size)

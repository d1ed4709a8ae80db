"""Keyed convolution as an operator of PyTorch: ``torch.ops.shufflecam.keyed_conv2d``.

For graphs that must stay whole, as ``torch.export`` and ``torch.compile(fullgraph=True)`` want them. It is opaque to
them, so no compiler can fuse natural-order maps into existence. The tables are inputs, never constants of a graph.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from operators.convolution import by_columns
from operators.engine_indirect import can_run, convolve_frames, engine_table
from operators.indirect_weights import pack_weights
from operators.rows import from_rows, gather_rows, to_rows
from operators.tables import compose


@torch.library.custom_op("shufflecam::keyed_conv2d", mutates_args=())
def keyed_conv2d_op(
    frames: Tensor, weight: Tensor, bias: Tensor | None, places: Tensor, slot: Tensor | None,
    height: int, width: int, groups: int,
) -> Tensor:  # fmt: skip
    """Convolve shuffled frames through a gather table; arguments are not checked.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
    weight : Tensor, shape (D, C / groups, kh, kw)
    bias : Tensor, shape (D,), optional
    places : Tensor of int32, shape (M, K)
        :attr:`operators.GatherTable.places`: natural input positions, H * W for padding.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot of every natural position; None for natural order.
    height, width : int
        Size of the output; M is their product.
    groups : int

    Returns
    -------
    Tensor, shape (B, D, height, width), channels-last
    """
    N = frames.shape[2] * frames.shape[3]
    with torch.no_grad():
        if can_run(frames, weight, bias):
            packed = pack_weights(weight, bias, groups)
            table = engine_table(places, slot, N, frames.shape[1])
            own_keys = slot is not None and slot.ndim == 2
            return convolve_frames(frames, table, packed, (height, width), own_keys=own_keys)
        return by_columns(frames, weight, bias, groups, compose(slot, places, outside=N), (height, width))


@keyed_conv2d_op.register_fake
def _(
    frames: Tensor, weight: Tensor, bias: Tensor | None, places: Tensor, slot: Tensor | None,
    height: int, width: int, groups: int,
) -> Tensor:  # fmt: skip
    rows = frames.new_empty((frames.shape[0], height * width, weight.shape[0]))
    return from_rows(rows, (height, width))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    frames, weight, bias, places, slot, _, _, groups = inputs
    ctx.save_for_backward(frames, weight, places, slot)
    ctx.groups, ctx.with_bias = groups, bias is not None


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """Return the adjoint: columns times weights, added up where they were read."""
    frames, weight, places, slot = ctx.saved_tensors
    B, C, H, W = frames.shape
    M, K = places.shape
    G, each = ctx.groups, weight.shape[1]
    index = compose(slot, places, outside=H * W).flatten(-2).long()
    moved = to_rows(gradient).reshape(B, M, G, -1)
    kernels = weight.permute(0, 2, 3, 1).reshape(G, -1, K, each)
    columns = torch.einsum("bmgd,gdkc->bmkgc", moved, kernels).reshape(B, M * K, C)
    targets = index.expand(B, M * K)[:, :, None].expand(B, M * K, C)
    # Row N is what padding reads, and is left out.
    rows = columns.new_zeros((B, H * W + 1, C)).scatter_add(1, targets, columns)[:, : H * W]
    read = gather_rows(F.pad(to_rows(frames), (0, 0, 0, 1)), index).reshape(B, M, K, G, each)
    by_tap = torch.einsum("bmgd,bmkgc->gdkc", moved, read).reshape(-1, *weight.shape[2:], each)
    start = gradient.sum((0, 2, 3)) if ctx.with_bias else None
    return from_rows(rows, (H, W)), by_tap.permute(0, 3, 1, 2), start, None, None, None, None, None


keyed_conv2d_op.register_autograd(_backward, setup_context=_keep)

# Without a rule of its own an operator computes in the type of its arguments, whatever the region asks for.
for _device, _type in (("cpu", torch.bfloat16), ("cuda", torch.float16)):
    torch.library.register_autocast("shufflecam::keyed_conv2d", _device, _type)

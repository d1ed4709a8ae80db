"""Rows: a frame batch seen as (B, N, C), the layout in which moving a pixel is one contiguous copy.

Channels-last memory of a (B, C, H, W) tensor *is* such rows, so the change of view costs nothing there.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from operators.errors import OperatorError


def frame_size(frames: Tensor) -> tuple[int, int]:
    """Return height and width of frames (B, C, H, W); raise OperatorError when they have another shape."""
    if frames.ndim != 4:
        raise OperatorError(f"frames must have the shape (B, C, H, W); got {tuple(frames.shape)}")
    return frames.shape[2], frames.shape[3]


def to_rows(frames: Tensor) -> Tensor:
    """Return frames (B, C, H, W) as rows (B, H * W, C); a view of channels-last memory, else a copy."""
    H, W = frame_size(frames)
    B, C = frames.shape[:2]
    # Without contiguous(), one frame in (C, H, W) memory would stay a view whose rows are scattered.
    return frames.permute(0, 2, 3, 1).reshape(B, H * W, C).contiguous()


def from_rows(rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Return rows (B, H * W, C) as frames (B, C, H, W) in channels-last memory; inverse of :func:`to_rows`."""
    B, _, C = rows.shape
    return rows.reshape(B, *size, C).permute(0, 3, 1, 2)


def gather_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Return ``rows[b, index[j]]`` or ``rows[b, index[b, j]]`` as (B, M, C).

    Parameters
    ----------
    rows : Tensor, shape (B, N, C)
    index : Tensor of int32 or int64, shape (M,) or (B, M)
        Without -1.
    """
    if index.ndim == 1:
        return rows.index_select(1, index)
    B, N, C = rows.shape
    # Each frame reads its own rows of one long (B * N, C) table: as fast as one index for all.
    first = torch.arange(B, device=index.device, dtype=torch.int64)[:, None] * N
    return rows.reshape(B * N, C).index_select(0, (index + first).reshape(-1)).reshape(B, index.shape[1], C)


class _PermuteRows(torch.autograd.Function):
    """:func:`gather_rows` for permutations: its adjoint is the inverse gather, not a scatter-add."""

    @staticmethod
    def forward(rows: Tensor, index: Tensor) -> Tensor:
        return gather_rows(rows, index)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return permute_rows(gradients[0], invert(index)), None


def permute_rows(rows: Tensor, index: Tensor | None) -> Tensor:
    """Return ``rows[b, index[j]]`` or ``rows[b, index[b, j]]`` for an index that is a permutation.

    Parameters
    ----------
    rows : Tensor, shape (B, N, C)
    index : Tensor of int32 or int64, shape (N,) or (B, N), or None
        None returns the rows unchanged.
    """
    if index is None:
        return rows
    if rows.requires_grad and torch.is_grad_enabled():
        permuted: Tensor = _PermuteRows.apply(rows, index)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return permuted
    return gather_rows(rows, index)


def invert(index: Tensor) -> Tensor:
    """Return the inverse of a permutation, or of each row of (B, N) permutations, on the same device.

    Examples
    --------
    >>> invert(torch.tensor([2, 0, 3, 1])).tolist()
    [1, 3, 0, 2]
    """
    places = torch.arange(index.shape[-1], device=index.device, dtype=index.dtype).expand_as(index)
    return torch.empty_like(index).scatter_(-1, index.long(), places)


def check_slot(slot: Tensor, frames: Tensor) -> Tensor:
    """Return a caller's slot table ready for indexing the given frames.

    Parameters
    ----------
    slot : Tensor of integers, shape (N,) or (B, N)
        One table for all frames or one for each.
    frames : Tensor, shape (B, C, H, W)
        With N = H * W.

    Returns
    -------
    Tensor of int32 or int64, shape (N,) or (B, N), on the frames' device

    Raises
    ------
    OperatorError
        When it is not an integer tensor, or its shape fits neither the batch nor one frame.
    """
    B, N = frames.shape[0], frames.shape[-2] * frames.shape[-1]
    if slot.is_floating_point() or slot.is_complex() or slot.dtype == torch.bool:
        raise OperatorError(f"slot must be an integer tensor; got {slot.dtype}")
    if tuple(slot.shape) not in ((N,), (B, N)):
        raise OperatorError(f"slot must have the shape ({N},) or ({B}, {N}) for these frames; got {tuple(slot.shape)}")
    if slot.dtype not in (torch.int32, torch.int64):
        slot = slot.long()
    # One table for one frame is one table for all.
    return (slot[0] if tuple(slot.shape) == (1, N) else slot).to(frames.device)

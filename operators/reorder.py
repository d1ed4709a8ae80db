"""Moving pixels: from one order to another, and from shuffled maps into plain linear layers."""

import torch.nn.functional as F
from torch import Tensor

from operators.errors import OperatorError
from operators.rows import check_slot, from_rows, permute_rows, to_rows
from operators.tables import PixelOrder, slot_table, source_table


def shuffle_pixels(frames: Tensor, permutation: PixelOrder) -> Tensor:
    """Return frames in the permutation's order: ``out[..., j] = frames[..., source[j]]`` over pixels.

    Inverse of :func:`unshuffle_pixels`, which is also its adjoint.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
        In natural order; all channels of a pixel move together.
    permutation : permutation of H * W

    Returns
    -------
    Tensor, shape (B, C, H, W)

    Raises
    ------
    OperatorError
        When the permutation's length is not H * W.
    """
    return reorder(frames, source_table(permutation, _pixels(frames), "permutation"))


def unshuffle_pixels(frames: Tensor, permutation: PixelOrder | None = None, *, slot: Tensor | None = None) -> Tensor:
    """Return shuffled frames in natural order: ``out[..., n] = frames[..., slot[n]]`` over pixels.

    Inverse of :func:`shuffle_pixels`.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
    permutation : permutation of H * W, optional
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Instead of ``permutation``: one slot table for all frames, or one for each.

    Returns
    -------
    Tensor, shape (B, C, H, W)

    Raises
    ------
    OperatorError
        When the table does not fit the frames.
    """
    return reorder(frames, _slots(frames, permutation, slot))


def rekey_pixels(
    frames: Tensor,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    *,
    slot: Tensor | None = None,
) -> Tensor:
    """Return frames in the order σ moved to the order τ by one gather, as residual joins need.

    ``out[..., j] = frames[..., slot_σ[source_τ[j]]]``: natural order is never stored.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
    permutation_in, permutation_out : permutation of H * W, optional
        σ and τ; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of σ, or one for each frame; replaces ``permutation_in``.

    Returns
    -------
    Tensor, shape (B, C, H, W)

    Raises
    ------
    OperatorError
        When a table does not fit the frames.

    Examples
    --------
    >>> import torch
    >>> rekey_pixels(torch.tensor([[[[1.0, 2.0, 3.0]]]]), slot=torch.tensor([2, 0, 1])).tolist()
    [[[[3.0, 1.0, 2.0]]]]
    """
    own = _slots(frames, permutation_in, slot)
    target = source_table(permutation_out, _pixels(frames))
    return reorder(frames, chain(own, None if target is None else target.to(frames.device)))


def flatten_natural(frames: Tensor, permutation: PixelOrder | None = None, *, slot: Tensor | None = None) -> Tensor:
    """Return the features that ``flatten(1)`` gives of the frames in natural order.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
        In the permutation's order.
    permutation : permutation of H * W, optional
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Instead of ``permutation``.

    Returns
    -------
    Tensor, shape (B, C * H * W)

    Raises
    ------
    OperatorError
        When the table does not fit the frames.
    """
    return unshuffle_pixels(frames, permutation, slot=slot).flatten(1)


def gather_linear_columns(weight: Tensor, permutation: PixelOrder) -> Tensor:
    """Return a linear layer's weight for features flattened from maps in the permutation's order.

    ``out[:, c * N + j] = weight[:, c * N + source[j]]`` (docs/theory.md). Beside the plain weight it
    reveals the permutation: keep it in memory only.

    Parameters
    ----------
    weight : Tensor, shape (D, C * N)
    permutation : permutation of N

    Returns
    -------
    Tensor, shape (D, C * N)

    Raises
    ------
    OperatorError
        When the number of columns is no multiple of the permutation's length.
    """
    N = len(permutation.source)
    D, columns = weight.shape
    if columns % N:
        raise OperatorError(f"a weight of {columns} columns does not come from maps of {N} pixels")
    source = source_table(permutation, N, "permutation")
    assert source is not None
    return weight.reshape(D, columns // N, N).index_select(2, source.to(weight.device)).reshape(D, columns)


def keyed_flatten_linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    permutation_in: PixelOrder | None = None,
    slot: Tensor | None = None,
) -> Tensor:
    """Return ``linear(flatten(x))`` of natural x, read from shuffled maps.

    Parameters
    ----------
    input : Tensor, shape (B, C, H, W)
        Maps in the order of ``permutation_in``.
    weight : Tensor, shape (D, C * H * W)
        The plain layer's; the maps are gathered, not the weight, which is the larger of the two.
    bias : Tensor, shape (D,), optional
    permutation_in : permutation of H * W, optional
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Instead of ``permutation_in``.

    Returns
    -------
    Tensor, shape (B, D)

    Raises
    ------
    OperatorError
        When the table does not fit the maps.
    """
    return F.linear(flatten_natural(input, permutation_in, slot=slot), weight, bias)


def _pixels(frames: Tensor) -> int:
    return frames.shape[-2] * frames.shape[-1]


def _slots(frames: Tensor, permutation: PixelOrder | None, slot: Tensor | None) -> Tensor | None:
    """Return the slot table that a caller gave in one form or the other."""
    if slot is not None:
        return check_slot(slot, frames)
    table = slot_table(permutation, _pixels(frames))
    return None if table is None else table.to(frames.device)


def chain(slot: Tensor | None, source: Tensor | None) -> Tensor | None:
    """Return ``slot[..., source]`` where None stands for natural order."""
    if slot is None or source is None:
        return source if slot is None else slot
    return slot[..., source]


def reorder(frames: Tensor, index: Tensor | None) -> Tensor:
    """Return frames with pixel j taken from pixel ``index[j]`` or ``index[b, j]``."""
    return from_rows(permute_rows(to_rows(frames), index), (frames.shape[-2], frames.shape[-1]))

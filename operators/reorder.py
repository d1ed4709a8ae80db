"""Moving pixels: from one order to another, and from shuffled maps into plain linear layers."""

import torch.nn.functional as F
from torch import Tensor, nn

from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.modules import KeyedModule
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
    return _reorder(frames, source_table(permutation, _pixels(frames), "permutation"))


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
    return _reorder(frames, _slots(frames, permutation, slot))


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
    return _reorder(frames, _chain(own, None if target is None else target.to(frames.device)))


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

    ``out[:, c * N + j] = weight[:, c * N + source[j]]`` (docs: METHODS, section 12.2). Beside the plain weight it
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


def _chain(slot: Tensor | None, source: Tensor | None) -> Tensor | None:
    """Return ``slot[..., source]`` where None stands for natural order."""
    if slot is None or source is None:
        return source if slot is None else slot
    return slot[..., source]


def _reorder(frames: Tensor, index: Tensor | None) -> Tensor:
    """Return frames with pixel j taken from pixel ``index[j]`` or ``index[b, j]``."""
    return from_rows(permute_rows(to_rows(frames), index), (frames.shape[-2], frames.shape[-1]))


class KeyedReorder(KeyedModule):
    """The identity between two pixel orders: moves maps from the one to the other.

    Parameters
    ----------
    plain : nn.Module
        What it stands for in the plain network, such as ``nn.Identity()``; it is not run.
    input_size : (int, int)
        Frame height and width, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.

    Raises
    ------
    OperatorError
        When a permutation's length is not the number of pixels.
    """

    source: Tensor | None
    index: Tensor | None

    def __init__(
        self,
        plain: nn.Identity,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        H, W = pair(input_size, "input_size", 1)
        super().__init__((H, W), (H, W))
        self.register_table("source", source_table(permutation_out, H * W))
        self.register_table("index", _chain(slot_table(permutation_in, H * W), self.source))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Reorder frames (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        return _reorder(x, self.index if own is None else _chain(own, self.source))


class KeyedFlatten(KeyedModule):
    """``nn.Flatten`` of shuffled maps into features in natural order, as a linear layer expects them.

    Parameters
    ----------
    plain : nn.Flatten
        With its default dimensions.
    input_size : (int, int)
        Map height and width, in pixels.
    permutation_in : permutation, optional
        Pixel order of the maps; None for natural order.
    permutation_out : None
        Features have no pixel order; here for the sake of one signature for all keyed modules.

    Raises
    ------
    OperatorError
        When ``plain`` flattens other dimensions, the permutation has the wrong length, or ``permutation_out`` is given.
    """

    slot: Tensor | None

    def __init__(
        self,
        plain: nn.Flatten,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: None = None,
    ) -> None:
        if (plain.start_dim, plain.end_dim) not in ((1, -1), (1, 3)):
            raise OperatorError("only a Flatten of dimensions 1 to the last has a keyed twin")
        if permutation_out is not None:
            raise OperatorError("flattened features have no pixel order; leave permutation_out out")
        H, W = pair(input_size, "input_size", 1)
        super().__init__((H, W), (1, 1))
        self.register_table("slot", slot_table(permutation_in, H * W))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Flatten maps (B, C, H, W) to (B, C * H * W); ``slot``, (N,) or (B, N), replaces the order for this call."""
        own = self.accept(x, slot)
        return _reorder(x, self.slot if own is None else own).flatten(1)

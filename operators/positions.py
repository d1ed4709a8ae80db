"""Pixels along any dimensions of a tensor: tokens of attention layers, channels-last maps, tables of positions.

``flatten(2).transpose(1, 2)`` of a map (B, C, H, W) gives tokens (B, H * W, C) in the map's own order, for free. What
does not come from the frame has to follow: a table that is added to the tokens, a mask, an affine map that differs
from pixel to pixel. These are constants in natural order, and one gather brings them into the tokens' order.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.modules import KeyedModule
from operators.reorder import chain
from operators.rows import invert
from operators.tables import PixelOrder, slot_table, source_table


def reorder_positions(
    x: Tensor, index: Tensor, size: tuple[int, int], dims: tuple[int, ...], before: int = 0
) -> Tensor:
    """Return a tensor with pixel j read from pixel ``index[j]``, or ``index[b, j]`` of sample b.

    Parameters
    ----------
    x : Tensor
        Dimensions missing in front, and pixel dimensions of length 1, are broadcast.
    index : Tensor of integers, shape (N,) or (B, N)
        With N = H * W; one for each sample needs the batch in dimension 0.
    size : (int, int)
        H and W.
    dims : one or two negative integers
        The dimension that holds ``before + N`` tokens, or those of height and width.
    before : int
        Tokens without a place in the frame, such as a class token, in front of the others; they stay.

    Returns
    -------
    Tensor
        Of the same shape after broadcasting.

    Examples
    --------
    >>> reorder_positions(torch.tensor([[9, 1, 2, 3]]), torch.tensor([2, 0, 1]), (1, 3), dims=(-1,), before=1).tolist()
    [[9, 3, 1, 2]]
    """
    while x.ndim < -min(dims):
        x = x.unsqueeze(0)
    lengths = size if len(dims) == 2 else (before + size[0] * size[1],)
    shape = list(x.shape)
    for dim, length in zip(dims, lengths, strict=True):
        shape[dim] = length
    # Counted from the front: exporters do not understand negative ones here.
    places, last = tuple(dim % x.ndim for dim in dims), tuple(range(x.ndim - len(dims), x.ndim))
    moved = x.expand(shape).movedim(places, last)
    flat = moved.flatten(-len(dims))
    if before:
        shifted = index + before
        index = torch.cat([torch.arange(before, device=index.device).expand(*index.shape[:-1], -1), shifted], dim=-1)
    if index.ndim == 1:
        found = flat.index_select(-1, index)
    else:
        each = index.reshape(len(index), *(1,) * (flat.ndim - 2), -1).long()
        found = flat.expand(len(index), *flat.shape[1:]).gather(-1, each.expand(-1, *flat.shape[1:-1], -1))
    return found.reshape(*found.shape[:-1], *moved.shape[-len(dims) :]).movedim(last, places)


class KeyedPositions(KeyedModule):
    """Moves pixels along any dimensions from one order to another; see ``reorder_positions``.

    Parameters
    ----------
    size : int or (int, int)
        H and W of the frame whose pixels these are.
    dims : one or two negative integers
        The dimension that holds ``before + H * W`` tokens, or those of height and width.
    before : int
        Tokens without a place in the frame, in front of the others.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order, which is that of constants.

    Raises
    ------
    OperatorError
        When a permutation's length is not the number of pixels, or ``dims`` are no dimensions.
    """

    source: Tensor | None
    index: Tensor | None

    def __init__(
        self,
        size: IntOrPair,
        dims: tuple[int, ...],
        before: int = 0,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        H, W = pair(size, "size", 1)
        if len(dims) not in (1, 2) or max(dims) >= 0 or len(set(dims)) != len(dims) or (before and len(dims) == 2):
            raise OperatorError(f"dims must be one or two negative dimensions, with tokens before for one; got {dims}")
        super().__init__((H, W), (H, W))
        self.dims = dims
        self.before = before
        self.register_table("source", source_table(permutation_out, H * W))
        self.register_table("index", chain(slot_table(permutation_in, H * W), self.source))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Reorder ``x``; ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        index = self.index if slot is None else chain(slot, self.source)
        return x if index is None else reorder_positions(x, index, self.input_size, self.dims, self.before)


def shuffle_positions(
    x: Tensor, permutation: PixelOrder, size: IntOrPair, dims: tuple[int, ...] = (-2,), before: int = 0
) -> Tensor:
    """Return natural-order tokens, position tables or channels-last maps in the permutation's order.

    Parameters
    ----------
    x : Tensor
    permutation : permutation of H * W
    size, dims, before
        As for :class:`KeyedPositions`; dimension -2 is that of tokens (B, N, C).

    Returns
    -------
    Tensor

    Raises
    ------
    OperatorError
        When the permutation's length is not the number of pixels, or ``dims`` are no dimensions.
    """
    shuffled: Tensor = KeyedPositions(size, dims, before, None, permutation).to(x.device)(x)
    return shuffled


def unshuffle_positions(
    x: Tensor, permutation: PixelOrder, size: IntOrPair, dims: tuple[int, ...] = (-2,), before: int = 0
) -> Tensor:
    """Return tokens or channels-last maps in natural order; inverse of :func:`shuffle_positions`."""
    natural: Tensor = KeyedPositions(size, dims, before, permutation, None).to(x.device)(x)
    return natural


class KeyedLayerNorm(KeyedModule):
    """``nn.LayerNorm`` over (C, H, W) or (H, W) of maps in a keyed order.

    Mean and variance do not depend on the order; weight and bias, one number for each pixel, follow it.

    Parameters
    ----------
    plain : nn.LayerNorm
        Its parameters are shared, not copied, and stay in natural order.
    permutation : permutation of H * W, optional
        Pixel order of the maps, in and out; None for natural order.

    Raises
    ------
    OperatorError
        When the permutation's length is not the number of pixels.
    """

    weight: Tensor | None
    bias: Tensor | None
    source: Tensor | None

    def __init__(self, plain: nn.LayerNorm, permutation: PixelOrder | None = None) -> None:
        shape = plain.normalized_shape
        if len(shape) not in (2, 3):
            raise OperatorError(f"only a LayerNorm over (C, H, W) or (H, W) depends on the pixels; got {shape}")
        super().__init__((shape[-2], shape[-1]), (shape[-2], shape[-1]))
        self.normalized_shape = shape
        self.eps = plain.eps
        self.register_parameter("weight", cast(nn.Parameter | None, plain.weight))
        self.register_parameter("bias", cast(nn.Parameter | None, plain.bias))
        self.register_table("source", source_table(permutation, shape[-2] * shape[-1]))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Normalise maps (B, C, H, W); ``slot``, (N,) or (B, N), replaces their order for this call."""
        own = self.accept(x, slot)
        source = self.source if own is None else invert(own)
        normalised = F.layer_norm(x, self.normalized_shape, eps=self.eps)
        for parameter, apply in ((self.weight, torch.mul), (self.bias, torch.add)):
            if parameter is not None:
                # Four dimensions, so that one order for each sample finds a batch dimension.
                table = parameter.reshape(1, -1, *self.input_size)
                ordered = table if source is None else reorder_positions(table, source, self.input_size, (-2, -1))
                normalised = apply(normalised, ordered)
        return normalised

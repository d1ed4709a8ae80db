"""Per-channel keys: every channel of a frame has a permutation of its own.

A convolution reads such frames exactly, through a table for each channel; its output has one order for all channels,
as a sum over channels must. :class:`KeyedChannels` brings the channels into one order, for whatever else reads them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import IntOrPair, Padding, Window, pair
from operators.modules import KeyedModule
from operators.rows import invert
from operators.tables import GatherTable, PixelOrder, source_table, stack_slots


def gather_channels(x: Tensor, index: Tensor) -> Tensor:
    """Return values (B, C, M) of frames (B, C, H, W), value i of channel c from pixel ``index[c, i]``.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    index : Tensor of integers, shape (C, M), or (B, C, M) for an index for each frame
    """
    flat = x.flatten(2)
    return flat.gather(2, index.long().expand(len(flat), *index.shape[-2:]))


def _channel_slots(x: Tensor, slot: Tensor) -> Tensor:
    """Return a caller's slot tables on the frames' device, or raise."""
    B, C, N = x.shape[0], x.shape[1], x.shape[-2] * x.shape[-1]
    if x.ndim != 4 or tuple(slot.shape) not in ((C, N), (B, C, N)) or slot.is_floating_point():
        raise OperatorError(
            f"slot must be integers of the shape ({C}, {N}) or ({B}, {C}, {N}) for frames {tuple(x.shape)}; "
            f"got {tuple(slot.shape)} of {slot.dtype}"
        )
    return slot.to(x.device)


def shuffle_channels(x: Tensor, permutations: Sequence[PixelOrder]) -> Tensor:
    """Return frames (B, C, H, W) with channel c in the order of ``permutations[c]``.

    Raises
    ------
    OperatorError
        When there are not as many permutations as channels, or one has the wrong length.
    """
    return gather_channels(x, invert(_channel_slots(x, stack_slots(permutations)))).view_as(x)


def unshuffle_channels(x: Tensor, permutations: Sequence[PixelOrder]) -> Tensor:
    """Return frames with every channel in natural order; inverse of :func:`shuffle_channels`."""
    return gather_channels(x, _channel_slots(x, stack_slots(permutations))).view_as(x)


def keyed_channel_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    *,
    slot: Tensor,
    permutation_out: PixelOrder | None = None,
    padding_mode: str = "zeros",
) -> Tensor:
    r"""Convolve frames whose channels are each in an order of their own, with plain weights.

    .. math:: y_{d i} = \beta_d + \sum_{c k} w_{d c k}\, x_{c,\, \mathrm{slot}_c[t(\tau_i, k)]}

    Parameters
    ----------
    input : Tensor, shape (B, C, H, W)
    weight : Tensor, shape (D, C / groups, kh, kw)
    bias : Tensor, shape (D,), optional
    stride, padding, dilation, groups, padding_mode
        As ``nn.Conv2d`` takes them.
    slot : Tensor of integers, shape (C, N), or (B, C, N) for keys of each frame's own
        Slot of every natural position, in every channel; N = H * W.
    permutation_out : permutation, optional
        Order of the output, one for all channels; None for natural order.

    Returns
    -------
    Tensor, shape (B, D, Ho, Wo)

    Raises
    ------
    OperatorError
        When shapes, tables or options do not fit together.

    Examples
    --------
    >>> x = torch.tensor([[[[2.0, 1.0]], [[3.0, 4.0]]]])  # the first channel is turned round
    >>> keyed_channel_conv2d(x, torch.ones(1, 2, 1, 1), slot=torch.tensor([[1, 0], [0, 1]])).tolist()
    [[[[4.0, 6.0]]]]
    """
    slot = _channel_slots(input, slot)
    B, C, H, W = input.shape
    D, each, kh, kw = weight.shape
    if groups < 1 or each * groups != C or D % groups:
        raise OperatorError(f"weight {tuple(weight.shape)} with {groups} groups does not fit {C} channels")
    window = Window.of((H, W), (kh, kw), stride, padding, dilation, padding_mode=padding_mode)
    places = GatherTable.keyed(window, None, permutation_out).places.to(input.device)
    # One more pixel, of zeros, is what padding reads.
    index = F.pad(slot, (0, 1), value=H * W)[..., places.flatten().long()]
    columns = gather_channels(F.pad(input.flatten(2), (0, 1)).unsqueeze(2), index)
    columns = columns.reshape(B, groups, each, len(places), kh * kw)
    product = torch.einsum("bgcmk,gdck->bgdm", columns, weight.reshape(groups, D // groups, each, kh * kw))
    mapped = product.reshape(B, D, *window.output_size)
    return mapped if bias is None else mapped + bias[:, None, None]


class KeyedChannels(KeyedModule):
    """Brings channels, each in an order of its own, into one order for all.

    Parameters
    ----------
    size : int or (int, int)
        Frame height and width, in pixels.
    permutation_out : permutation, optional
        The order for all channels; None for natural order.

    Raises
    ------
    OperatorError
        When the permutation's length is not the number of pixels.
    """

    source: Tensor | None

    def __init__(self, size: IntOrPair, permutation_out: PixelOrder | None = None) -> None:
        H, W = pair(size, "size", 1)
        super().__init__((H, W), (H, W))
        self.register_table("source", source_table(permutation_out, H * W))

    def forward(self, x: Tensor, slot: Tensor) -> Tensor:
        """Reorder frames (B, C, H, W), whose channels' slot tables are ``slot``, (C, N) or (B, C, N)."""
        self.accept(x, None)
        slot = _channel_slots(x, slot)
        return gather_channels(x, slot if self.source is None else slot[..., self.source]).view_as(x)

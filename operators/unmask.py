r"""Convolution of shuffled and masked frames: the mask comes off value by value, inside the gather.

With σ the frame's pixel order, S its shuffle, m its mask and w the white value of its type,

.. math:: \mathrm{keyed}(S_\sigma x \oplus m) = S_\tau\, \mathrm{conv2d}(x / w).

Every tap is read from the masked frame and from the mask at the same slot, and the two meet in the tap: no frame
without its mask is ever stored, in any order.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators.errors import OperatorError
from operators.protected_convolution import ProtectedConv2d
from operators.rows import gather_rows, to_rows
from operators.tables import compose

WHITE = {torch.uint8: 255, torch.uint16: 65535}
# Taps of more frames are made in turns, as columns are: fresh blocks of over 32 MB cost page faults.
_TAPS_AT_ONCE = 1 << 23


def masked_conv2d(
    masked: Tensor,
    mask: Tensor,
    index: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    groups: int = 1,
    before: nn.Module | None = None,
) -> Tensor:
    """Convolve frames that are shuffled and masked.

    Parameters
    ----------
    masked : Tensor of uint8 or uint16, shape (B, C, H, W)
        Shuffled frames XOR their masks.
    mask : Tensor of integers, shape (H * W, C) or (B, H * W, C)
        The masks, in readout order: one for all frames, also as (1, H * W, C), or one for each.
    index : Tensor of integers, shape (M, K) or (B, M, K)
        Slot of every tap of every output; H * W for padding.
    weight : Tensor, shape (D, C / groups, kh, kw) with kh * kw = K
    bias : Tensor, shape (D,), optional
    groups : int
        As for ``nn.Conv2d``.
    before : nn.Module, optional
        Pixel-by-pixel layers between frame and convolution, such as the normalisation; on (B, C, M, K) here.

    Returns
    -------
    Tensor, shape (B, D, M, 1)

    Raises
    ------
    OperatorError
        When the frames are neither uint8 nor uint16, or the masks do not fit them.
    """
    if masked.dtype not in WHITE:
        raise OperatorError(f"masked frames must be uint8 or uint16 tensors, as they were masked; got {masked.dtype}")
    B, C, H, W = masked.shape
    if tuple(mask.shape) not in ((H * W, C), (1, H * W, C), (B, H * W, C)):
        raise OperatorError(f"masks must have the shape ({H * W}, {C}) or ({B}, {H * W}, {C}); got {tuple(mask.shape)}")
    M, K = index.shape[-2:]
    # What padding reads: one more row. Torch XORs and gathers int32 on every device, uint16 on few.
    rows = F.pad(to_rows(masked).int(), (0, 0, 0, 1))
    masks = F.pad(mask.int(), (0, 0, 0, 1)).expand(B, -1, -1)
    flat = index.flatten(-2)
    kernel = weight.reshape(weight.shape[0], -1, 1, K)
    parts = []
    at_once = max(1, _TAPS_AT_ONCE // (M * K * C))
    for first in range(0, max(B, 1), at_once):
        some = slice(first, first + at_once)
        read = flat if flat.ndim == 1 else flat[some]
        values = gather_rows(rows[some], read) ^ gather_rows(masks[some], read)
        taps = (values.to(weight.dtype) / WHITE[masked.dtype]).movedim(-1, 1).reshape(-1, C, M, K)
        if before is not None:
            taps = before(taps)
        # Zero padding is zero for the convolution, whatever comes before it.
        taps = taps.masked_fill((read == H * W).reshape(-1, 1, M, K), 0)
        parts.append(F.conv2d(taps, kernel, bias, groups=groups))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class MaskedConv2d(ProtectedConv2d):
    """``nn.Conv2d`` on shuffled and masked frames, with the plain layer's own parameters."""

    def forward(self, x: Tensor, slot: Tensor, mask: Tensor) -> Tensor:
        """Convolve frames (B, C, H, W) of slot tables (N,) or (B, N) and masks (N, C) or (B, N, C)."""
        own = self.accept(x, slot)
        assert own is not None
        index = compose(own, self.places, outside=own.shape[-1])
        out = masked_conv2d(x, mask, index, self.weight, self.bias, self.groups, self.before)
        return out.reshape(*out.shape[:2], *self.output_size)

"""Conversion of what reads a masked frame: only convolutions, which take the mask off inside their gather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, fx, nn

from networks.layers import Normalize, Scale
from networks.layout import Layout
from operators import MaskedConv2d
from scrambler import Key, mask_of
from scrambler.errors import ShuffleCamError

if TYPE_CHECKING:
    from networks.conversion import Conversion

_BEFORE: tuple[type[nn.Module], ...] = (Normalize, Scale, nn.Identity)
_CODES = {torch.uint8: np.uint8, torch.uint16: np.uint16}


def convert_masked(conversion: Conversion, node: fx.Node) -> Layout:
    """Convert a node that reads the masked frame, and return the layout of its result.

    Layers without parameters that work value by value are put off until the mask is off: a convolution applies them
    to its taps, and nothing runs them on the masked frame.

    Raises
    ------
    ConversionError
        If the node is neither.
    """
    source = conversion.input(node)
    before = conversion.masked.get(source)
    module = conversion.module(node) if node.op == "call_module" else None
    if before is not None and isinstance(module, _BEFORE):
        conversion.masked[node] = (*before, module)
        return conversion.layout(source)
    if before is None or not isinstance(module, nn.Conv2d) or not conversion.is_only_call(node):
        raise conversion.refuse(node, "it reads a masked frame, and only convolutions can take the mask off")
    grid, first = conversion.map_order(source, node).grid, nn.Sequential(*before) if before else None
    layout = conversion.replace(node, lambda conv, i, o: MaskedConv2d(conv, grid, o, first), through=True)
    node.args = (conversion.frame, conversion.slot, conversion.mask)
    return layout


def masks_of(key: Key, nonces: Sequence[bytes], frames: Tensor) -> Tensor:
    """Return the masks of frames (B, C, H, W), in readout order.

    Returns
    -------
    Tensor of int32, shape (nonces, H * W, C)

    Raises
    ------
    ShuffleCamError
        If the frames are neither uint8 nor uint16.
    """
    codes = _CODES.get(frames.dtype)
    if codes is None:
        raise ShuffleCamError(f"masked frames must be uint8 or uint16 tensors, as they were masked; got {frames.dtype}")
    channels, height, width = frames.shape[1:]
    masks = np.empty((len(nonces), height * width, channels), np.int32)
    for mask, nonce in zip(masks, nonces, strict=True):
        mask[...] = mask_of(key, nonce, mask.shape, codes)
    return torch.from_numpy(masks).to(frames.device)

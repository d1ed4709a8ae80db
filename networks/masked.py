"""Conversion of what reads a masked or protected frame: convolutions, which undo it value by value in their gather."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, fx, nn

from networks.layers import Normalize, Scale
from networks.layout import Layout
from operators import MaskedConv2d, PixelOrder
from scrambler import FrameError, Key, Multiplexer, NonceError, Protected, mask_of, nonces_for
from scrambler.errors import ShuffleCamError
from scrambler.schemes import ChaCha20Values, ShuffleMask
from scrambler.schemes.base import check_protected
from scrambler.schemes.family import protected_batch

if TYPE_CHECKING:
    from networks.conversion import Conversion

_BEFORE: tuple[type[nn.Module], ...] = (Normalize, Scale, nn.Identity)
FirstLayer = Callable[[nn.Conv2d, tuple[int, int], PixelOrder | None, nn.Module | None], nn.Module]
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
    layer = conversion.first_layer
    if before is None or not isinstance(module, nn.Conv2d) or not conversion.is_only_call(node) or layer is None:
        kind = "masked" if layer is MaskedConv2d else "protected"
        raise conversion.refuse(node, f"it reads a {kind} frame, and only convolutions can undo that inside")
    grid, first = conversion.map_order(source, node).grid, nn.Sequential(*before) if before else None
    layout = conversion.replace(node, lambda conv, i, o: layer(conv, grid, o, first), through=True)
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


def frames_of(protected: Protected, name: str, key_id: str) -> Tensor:
    """Return protected images, one or a batch, as frames (B, C, H, W).

    Raises
    ------
    FrameError, WrongKeyError
        If another scheme than `name`, or another key, protected them.
    """
    check_protected(protected, name, key_id if protected.key_id is not None else None)
    batch, _ = protected_batch(protected, protected.shape)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(batch, 3, 1)))


class MaskReading:
    """How a network reads frames of the schemes "shuffle+mask" and "chacha20"; it holds no key.

    Parameters
    ----------
    scheme : ShuffleMask or ChaCha20Values
    size : (int, int)
        Height and width of the frames.
    """

    layer = MaskedConv2d

    def __init__(self, scheme: ShuffleMask | ChaCha20Values, size: tuple[int, int]) -> None:
        self._name = scheme.card.name
        self._moved = (scheme.unit, scheme.period) if isinstance(scheme, ShuffleMask) else None
        self.size = size

    def accept(self, protected: Protected, key_id: str) -> Tensor:
        """Return protected images as frames (B, C, H, W).

        Raises
        ------
        FrameError, WrongKeyError
            If they are not of this scheme and key.
        """
        return frames_of(protected, self._name, key_id)

    def tables(
        self, key: Key, frames: Tensor, nonce: bytes | Sequence[bytes] | None, admit: Callable[[Sequence[bytes]], None]
    ) -> tuple[Tensor, Tensor]:
        """Return the slot tables of frames (B, C, H, W), int32, (N,) or (B, N), and their masks, (P, N, C).

        Raises
        ------
        ShuffleCamError
            If the frames' size or type do not fit, or nonces are missing or too few.
        """
        if tuple(frames.shape[2:]) != self.size:
            raise FrameError(f"this network was converted for (B, C, *{self.size}) frames, got {tuple(frames.shape)}.")
        if nonce is None:
            raise NonceError("a keyed network needs the frames' nonces: keyed(frames, nonce=[...]).")
        admit(nonces_for(nonce, len(frames)))
        nonces = [nonce] if isinstance(nonce, bytes) else list(nonce)
        slots = np.tile(np.arange(self.size[0] * self.size[1], dtype=np.int32), (len(nonces), 1))
        if self._moved is not None:
            unit, period = self._moved
            for slot, one in zip(slots, nonces, strict=True):
                slot[:] = Multiplexer(key, unit=unit).permutation(self.size, one, period=period).slot
        if isinstance(nonce, bytes):  # one table for all frames
            slots = slots[0]
        return torch.from_numpy(slots).to(frames.device), masks_of(key, nonces, frames)

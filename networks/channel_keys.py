"""Frames whose channels were each shuffled by a permutation of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, NoReturn

import numpy as np
import torch
from torch import Tensor

from networks.conversion import Conversion
from networks.layout import Order, map_layout
from operators import KeyedChannels
from scrambler import Key, Permutation, keyed_permutation, nonces_for
from scrambler.errors import FrameError, ShuffleCamError


def channel_permutation(key: Key, size: tuple[int, int], nonce: bytes, channel: int) -> Permutation:
    """Return the order of one channel of a frame: its label is ``readout/channel/`` and the channel's number."""
    return keyed_permutation(key, prod(size), nonce=nonce, label=f"readout/channel/{channel}")


def join_channels(conversion: Conversion) -> None:
    """Bring the channels into one keyed order, the same for all frames, before anything reads them."""
    frame, size = conversion.frame, conversion.map_order(conversion.frame, conversion.frame).grid
    order = Order(size, "channels")
    conversion.insert(
        conversion.slot.next, frame, "join_channels", lambda _, i, o: KeyedChannels(size, o),
        (conversion.map_order(frame, frame), order), map_layout(order), everywhere=True,
    )  # fmt: skip


@dataclass(frozen=True)
class ChannelReading:
    """How a network reads frames with a key for each channel.

    Attributes
    ----------
    size : (int, int)
        Height and width, in pixels.
    channels : int
    """

    size: tuple[int, int]
    channels: int
    # The layers stay as they are: what joins the channels stands before them.
    layer: ClassVar[None] = None

    def tables(
        self, key: Key, frames: Tensor, nonce: bytes | Sequence[bytes] | None, admit: Callable[[Sequence[bytes]], None]
    ) -> tuple[Tensor]:
        """Return the slot tables of frames (B, C, H, W): int32, (B, C, N), or (C, N) for one nonce.

        Raises
        ------
        ShuffleCamError
            If the frames' size does not fit, or nonces are missing, malformed or too few.
        """
        if tuple(frames.shape[1:]) != (self.channels, *self.size):
            wanted = f"(B, {self.channels}, {self.size[0]}, {self.size[1]})"
            raise ShuffleCamError(f"this network was converted for {wanted} frames, got {tuple(frames.shape)}")
        if nonce is None:
            raise ShuffleCamError("a keyed network needs the frames' nonces: keyed(frames, nonce=[...])")
        admit(nonces_for(nonce, len(frames)))
        each = [nonce] if isinstance(nonce, bytes) else nonce
        slots = np.empty((len(each), self.channels, prod(self.size)), np.int32)
        for i, one in enumerate(each):
            for channel in range(self.channels):
                slots[i, channel] = channel_permutation(key, self.size, one, channel).slot
        table = torch.from_numpy(slots).to(frames.device)
        return (table[0] if isinstance(nonce, bytes) else table,)

    def accept(self, protected: Any, key_id: str) -> NoReturn:
        """Refuse what a scheme protected."""
        raise FrameError("this network reads frames with channel keys; convert it with scheme= for protected images.")

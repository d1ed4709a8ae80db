"""A converted network: it reads shuffled frames, each under its own nonce."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, fx, nn

from networks.layout import Layout, Spatial
from scrambler import FixedNonceGuard, Multiplexer, Permutation, nonces_for
from scrambler.errors import ShuffleCamError

Nonces = bytes | Sequence[bytes]


@dataclass(frozen=True)
class PlanRow:
    """One converted layer.

    Attributes
    ----------
    layer : str
        Its name in the model.
    kind : str
        The keyed operator that took its place.
    input_size, output_size : tuple of int
        Height and width of the maps.
    table_entries : int
        Integers in its tables.
    """

    layer: str
    kind: str
    input_size: tuple[int, int]
    output_size: tuple[int, int] | None
    table_entries: int


class KeyedNetwork(nn.Module):
    """The keyed twin of a plain network; made by :func:`networks.convert`.

    It holds the plain network's layers under their own names, so its ``state_dict`` is the plain one's: tables are
    no part of it. It can't be pickled, because its tables are the key.

    Attributes
    ----------
    input_size : tuple of int
        Height and width of the frames it reads, in pixels.
    plan : tuple of PlanRow
        What conversion did, layer by layer.
    """

    def __init__(
        self, traced: fx.GraphModule, multiplexer: Multiplexer, input_size: tuple[int, int],
        output: Layout, plan: tuple[PlanRow, ...],
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.plan = plan
        self._multiplexer = multiplexer
        self._output = output
        for name, child in traced.named_children():
            self.add_module(name, child)
        for name, parameter in traced.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in traced.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        self.training = traced.training
        self._graph = traced.graph
        self._link()

    _run: Callable[[Tensor, Tensor], Tensor]

    def _link(self) -> None:
        """Compile the graph over this module's own layers, without registering them a second time."""
        object.__setattr__(self, "_run", fx.GraphModule(self, self._graph))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        # Moving to another device replaces buffers; the compiled graph must see the new ones.
        self._link()
        return self

    def forward(
        self, frames: Tensor, nonce: Nonces | None = None, *, fixed_nonce: bool = False, allow_many: bool = False
    ) -> Tensor:
        """Run the network on shuffled frames.

        Parameters
        ----------
        frames : Tensor, shape (B, C, H, W)
            Each shuffled under its nonce; values as the plain network takes them.
        nonce : bytes or sequence of bytes
            Sixteen public bytes a frame; one for several frames is fixed-nonce mode.
        fixed_nonce : bool
            Allow one nonce for up to 16 frames; for studies.
        allow_many : bool
            Allow one nonce for more.

        Returns
        -------
        Tensor
            What the plain network returns for the unshuffled frames; maps come out shuffled (see :meth:`unshuffle`).

        Raises
        ------
        ShuffleCamError
            If the frames' size is not the converted one, or nonces are missing, malformed or too few.
        """
        if frames.ndim != 4 or tuple(frames.shape[2:]) != self.input_size:
            h, w = self.input_size
            raise ShuffleCamError(f"this network was converted for (B, C, {h}, {w}) frames, got {tuple(frames.shape)}")
        slot = self._slots(len(frames), nonce, fixed_nonce, allow_many).to(frames.device)
        return self._run(frames, slot)

    def unshuffle(
        self, maps: Tensor, nonce: Nonces | None = None, *, fixed_nonce: bool = False, allow_many: bool = False
    ) -> Tensor:
        """Bring the network's output maps (B, C, H, W) or (B, H, W) into natural order.

        The nonces are those of the frames; they are only needed where the output follows the input's order.

        Raises
        ------
        ShuffleCamError
            If the network's output has no pixels, or ``maps`` are not of its size.
        """
        if not isinstance(self._output, Spatial):
            raise ShuffleCamError("this network's output has no pixel order, so there is nothing to unshuffle")
        if tuple(maps.shape[-2:]) != self._output.size:
            raise ShuffleCamError(f"this network's maps are {self._output.size}, got {tuple(maps.shape)}")
        rows = maps.flatten(-2)
        if self._output.permutation is not None:
            slot = torch.from_numpy(self._output.permutation.slot.astype(np.int64)).to(maps.device)
            return rows.index_select(-1, slot).view(maps.shape)
        slots = self._slots(len(maps), nonce, fixed_nonce, allow_many).to(maps.device, torch.int64)
        index = slots.view(len(slots), *(1,) * (rows.ndim - 2), -1).expand_as(rows)
        return rows.gather(-1, index).view(maps.shape)

    def _slots(self, count: int, nonce: Nonces | None, fixed_nonce: bool, allow_many: bool) -> Tensor:
        """Return the slot tables of ``count`` frames: (N,) for one nonce, (count, N) for a list."""
        if nonce is None:
            raise ShuffleCamError("a keyed network needs the frames' nonces: keyed(frames, nonce=[...])")
        nonces = nonces_for(nonce, count)
        FixedNonceGuard(fixed_nonce, allow_many).admit(nonces)
        if isinstance(nonce, bytes):
            return _slot_tensor(self._permutation(nonce))
        if not nonces:
            return torch.empty(0, self.input_size[0] * self.input_size[1], dtype=torch.int32)
        return torch.stack([_slot_tensor(self._permutation(one)) for one in nonces])

    def _permutation(self, nonce: bytes) -> Permutation:
        return self._multiplexer.permutation(self.input_size, nonce)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ShuffleCamError(
            "a keyed network is not pickled or copied, because its tables are the key: "
            "save its state_dict() and convert again"
        )


def _slot_tensor(permutation: Permutation) -> Tensor:
    return torch.from_numpy(permutation.slot.astype(np.int32))

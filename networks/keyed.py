"""A converted network: it reads shuffled frames, each under its own nonce."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from networks.conversion import Conversion
from networks.errors import ConversionError, LockedError
from networks.keyed_layer import KeyedLayer, LockedLayer, OrdersOf
from networks.layout import Layout, groups_of
from networks.masked import masks_of
from networks.plan import Plan
from operators import KeyedPositions, OperatorError
from operators.engine_fusion import fuse_graph
from scrambler import FixedNonceGuard, Key, Multiplexer, Permutation, WrongKeyError, nonces_for
from scrambler.errors import SecretPickleError, ShuffleCamError

Nonces = bytes | Sequence[bytes]


class KeyedNetwork(nn.Module):
    """The keyed twin of a plain network; made by :func:`networks.convert`.

    It holds the plain network's layers under their own names, so its ``state_dict`` is the plain one's: tables are
    no part of it. It can't be pickled, because its tables are the key.

    Attributes
    ----------
    input_size : tuple of int
        Height and width of the frames it reads, in pixels.
    key_id : str
        Public id of the key it was converted with.
    plan : Plan
        What conversion did, layer by layer; ``print`` shows a table.
    locked : bool
        Whether its tables are dropped; see :meth:`lock`.
    """

    def __init__(
        self, conversion: Conversion, multiplexer: Multiplexer, input_size: tuple[int, int], output: Layout
    ) -> None:
        super().__init__()
        root = conversion.root
        self.input_size = input_size
        self.key_id = multiplexer.key.id
        self._pattern, self._unit = multiplexer.pattern, multiplexer.unit
        self._multiplexer: Multiplexer | None = multiplexer
        self._layers = tuple(conversion.layers)
        self._output = output
        self.masked = conversion.mask is not None
        for name, child in root.named_children():
            self.add_module(name, child)
        for name, parameter in root.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in root.named_buffers(recurse=False):
            self.register_buffer(name, buffer, persistent=name not in root._non_persistent_buffers_set)
        for name, constant in vars(root).items():
            if isinstance(constant, Tensor):
                self.register_buffer(name, constant, persistent=False)
        self.training = root.training
        self._graph = conversion.graph
        built = self._build(multiplexer.key)
        self.plan = Plan([layer.row(one) for layer, one in built], conversion.free, conversion.aligned)
        self._link()

    _run: Callable[..., Tensor]

    def _build(self, key: Key) -> list[tuple[KeyedLayer, nn.Module]]:
        """Make every keyed layer for a key and put it in its place."""
        orders, built, present = OrdersOf(key), [], dict(self.named_modules(remove_duplicate=False))
        for layer in self._layers:
            try:
                keyed = layer.build(present.get(layer.name), orders)
            except OperatorError as error:
                raise ConversionError(f"layer {layer.name!r} can't be converted: {error}") from error
            self._put(layer.name, keyed)
            built.append((layer, keyed))
        return built

    def _put(self, name: str, module: nn.Module) -> None:
        """Put a module in its place."""
        path, _, leaf = name.rpartition(".")
        self.get_submodule(path).add_module(leaf, module)

    @property
    def locked(self) -> bool:
        """Whether the tables are dropped."""
        return self._multiplexer is None

    def lock(self) -> None:
        """Drop the key and every table: until :meth:`unlock`, calls raise :class:`LockedError`.

        Parameters stay, under the same names. Tables that somebody else holds, and memory that Python has freed but not
        overwritten, are out of reach.
        """
        self._multiplexer = None
        for layer in self._layers:
            self._put(layer.name, LockedLayer(self.get_submodule(layer.name)))
        self._link()

    def unlock(self, key: Key) -> None:
        """Make all tables again from the key that the network was converted with.

        Raises
        ------
        WrongKeyError
            If it is another key.
        """
        if key.id != self.key_id:
            raise WrongKeyError(f"this network was converted with key {self.key_id}, and key {key.id} is another one")
        device = next((t.device for t in (*self.parameters(), *self.buffers())), torch.device("cpu"))
        for _, keyed in self._build(key):
            keyed.to(device)
        self._multiplexer = Multiplexer(key, pattern=self._pattern, unit=self._unit)
        self._link()

    def _link(self) -> None:
        """Compile the graph over this module's own layers, fused where it can, without registering them again."""
        object.__setattr__(self, "_run", fuse_graph(self, self._graph))

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
            Each shuffled under its nonce; values as the plain network takes them. Converted with ``mask=True``: uint8
            or uint16, masked under the same nonce.
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
        LockedError
            While the network is locked.
        ShuffleCamError
            If the frames' size is not the converted one, or nonces are missing, malformed or too few.
        """
        multiplexer = self.require_unlocked()
        if frames.ndim != 4 or tuple(frames.shape[2:]) != self.input_size:
            h, w = self.input_size
            raise ShuffleCamError(f"this network was converted for (B, C, {h}, {w}) frames, got {tuple(frames.shape)}")
        if torch.compiler.is_exporting():
            raise SecretPickleError(
                "an exported program would hold this network's tables, which are the key: "
                "use networks.export_onnx, whose file takes them as inputs"
            )
        slot = self._slots(len(frames), nonce, fixed_nonce, allow_many).to(frames.device)
        if not self.masked:
            return self._run(frames, slot)
        assert nonce is not None
        masks = masks_of(multiplexer.key, [nonce] if isinstance(nonce, bytes) else nonce, frames)
        return self._run(frames, slot, masks)

    def unshuffle(
        self, maps: Tensor, nonce: Nonces | None = None, *, fixed_nonce: bool = False, allow_many: bool = False
    ) -> Tensor:
        """Bring the network's output maps (B, C, H, W), (B, H, W) or tokens (B, N, C) into natural order.

        The nonces are those of the frames; they are only needed where the output follows the frames' order.

        Raises
        ------
        LockedError
            While the network is locked.
        ShuffleCamError
            If the network's output has no pixels, or ``maps`` are not of its size.
        """
        multiplexer = self.require_unlocked()
        layout = list(self._output)
        if maps.ndim == len(layout) - 1 and None in layout[1:]:
            # Classes were reduced, as argmax does.
            layout.pop(layout.index(None, 1))
        groups = groups_of(tuple(layout))
        if not groups:
            raise ShuffleCamError("this network's output has no pixel order, so there is nothing to unshuffle")
        for group in groups:
            h, w = group.order.grid
            sizes = (h, w) if len(group.dims) == 2 else (group.before + h * w,)
            if maps.ndim != len(layout) or tuple(maps.shape[dim] for dim in group.dims) != sizes:
                raise ShuffleCamError(f"this network's maps are {group.order.grid}, got {tuple(maps.shape)}")
            slot = None
            if group.order.follows_frame:
                slot = self._slots(len(maps), nonce, fixed_nonce, allow_many).to(maps.device)
            order = group.order.permutation(multiplexer.key)
            move = KeyedPositions(group.order.grid, group.dims, group.before, order, None).to(maps.device)
            maps = move(maps, slot)
        return maps

    def require_unlocked(self) -> Multiplexer:
        """Return the multiplexer whose frames it reads, or raise :class:`LockedError`."""
        if self._multiplexer is None:
            raise LockedError(f"this network is locked: call unlock() with key {self.key_id} first")
        return self._multiplexer

    def slots(self, nonces: Sequence[bytes], *, fixed_nonce: bool = False, allow_many: bool = False) -> Tensor:
        """Return the slot tables of frames, one nonce each: int32, (B, N). They are as secret as the key.

        Raises
        ------
        LockedError
            While the network is locked.
        NonceError
            If a nonce is malformed, or used twice without ``fixed_nonce`` (and more than 16 times without
            ``allow_many``).
        """
        multiplexer = self.require_unlocked()
        FixedNonceGuard(fixed_nonce, allow_many).admit(nonces_for(nonces, len(nonces)))
        tables = [_slot_tensor(multiplexer.permutation(self.input_size, one)) for one in nonces]
        return torch.stack(tables) if tables else torch.empty(0, prod(self.input_size), dtype=torch.int32)

    def _slots(self, count: int, nonce: Nonces | None, fixed_nonce: bool, allow_many: bool) -> Tensor:
        """Return the slot tables of ``count`` frames: (N,) for one nonce, (count, N) for a list."""
        if nonce is None:
            raise ShuffleCamError("a keyed network needs the frames' nonces: keyed(frames, nonce=[...])")
        nonces = nonces_for(nonce, count)
        if not isinstance(nonce, bytes):
            return self.slots(nonces, fixed_nonce=fixed_nonce, allow_many=allow_many)
        FixedNonceGuard(fixed_nonce, allow_many).admit(nonces)
        return _slot_tensor(self.require_unlocked().permutation(self.input_size, nonce))

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ShuffleCamError(
            "a keyed network is not pickled or copied, because its tables are the key: "
            "save its state_dict() and convert again"
        )


def _slot_tensor(permutation: Permutation) -> Tensor:
    return torch.from_numpy(permutation.slot.astype(np.int32))

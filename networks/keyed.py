"""A converted network: it reads shuffled frames, each under its own nonce."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from networks.affine import AffineReading
from networks.channel_keys import ChannelReading
from networks.conversion import Conversion, Outputs
from networks.engine_choice import engine_setting
from networks.errors import ConversionError, LockedError
from networks.keyed_layer import KeyedLayer, LockedLayer, OrdersOf
from networks.layout import Layout, groups_of
from networks.masked import MaskReading, masks_of
from networks.plan import Plan
from networks.watch import Watch, check_exchange
from operators import KeyedPositions, OperatorError
from operators.engine_fusion import fuse_graph
from scrambler import (
    FixedNonceGuard,
    FrameError,
    Key,
    Multiplexer,
    Permutation,
    Protected,
    WrongKeyError,
    nonces_for,
)
from scrambler.errors import SecretPickleError, ShuffleCamError

Nonces = bytes | Sequence[bytes]


class KeyedNetwork(nn.Module):
    """The keyed twin of a plain network; made by :func:`networks.convert`.

    It holds the plain network's layers under their own names, so its ``state_dict`` is the plain one's: tables are
    no part of it. It can't be pickled, because its tables are the key.

    Attributes
    ----------
    frame_channels : int
        Channels of the frames it reads.
    engine_name : str
        What its layers run by: "auto", "indirect" or "gather"; see :func:`networks.convert`.
    input_size : tuple of int
        Their height and width, in pixels.
    key_id : str
        Public id of the key it was converted with.
    plan : Plan
        What conversion did, layer by layer; ``print`` shows a table.
    locked : bool
        Whether its tables are dropped; see :meth:`lock`.
    """

    def __init__(
        self, conversion: Conversion, multiplexer: Multiplexer, channels: int, input_size: tuple[int, int],
        output: Outputs, reading: AffineReading | ChannelReading | MaskReading | None = None, engine: str = "auto",
    ) -> None:  # fmt: skip
        super().__init__()
        root = conversion.root
        self.frame_channels = channels
        self.input_size = input_size
        self.key_id = multiplexer.key.id
        self._pattern, self._unit = multiplexer.pattern, multiplexer.unit
        self._multiplexer: Multiplexer | None = multiplexer
        self._layers = tuple(conversion.layers)
        self._output = output
        self._reading = reading
        self.engine_name = engine
        self._guard = FixedNonceGuard()
        self.masked = conversion.mask is not None
        for name in (*root._modules, *root._parameters, *root._buffers):
            if hasattr(self, name) or name == "plan":  # the plan follows below
                raise ConversionError(
                    f"{name!r} is a name that converted networks use themselves: rename it in the model"
                )
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

    _run: Callable[..., Any]
    _watch: Watch

    def _build(self, key: Key) -> list[tuple[KeyedLayer, nn.Module]]:
        """Make every keyed layer for a key and put it in its place."""
        orders, built, present = self._orders(key), [], dict(self.named_modules(remove_duplicate=False))
        for layer in self._layers:
            try:
                keyed = layer.build(present.get(layer.name), orders)
            except OperatorError as error:
                raise ConversionError(f"layer {layer.name!r} can't be converted: {error}") from error
            for part in keyed.modules():
                setting = engine_setting(part, self.engine_name)
                if setting is not None:
                    setattr(part, *setting)
            self._put(layer.name, keyed)
            built.append((layer, keyed))
        return built

    def _orders(self, key: Key) -> OrdersOf:
        """Return the permutations that a key gives to all keyed orders."""
        written = [group.order for layout in self._output.layouts for group in groups_of(layout)]
        return OrdersOf(key, [*(order for layer in self._layers for order in (layer.reads, layer.writes)), *written])

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
        fused = self.engine_name != "gather"
        run = fuse_graph(self, self._graph) if fused else fx.GraphModule(self, copy.deepcopy(self._graph))
        object.__setattr__(self, "_run", run)
        read = [str(node.target) for node in self._graph.nodes if node.op == "get_attr"]
        object.__setattr__(self, "_watch", Watch(self, read))

    def _follow_changes(self) -> None:
        """Compile again after a layer or parameter was exchanged; raise where that can't be exact."""
        if self._watch.sees_change():
            for path, old, new in self._watch.replaced_layers():
                check_exchange(path, old, new)
            self._link()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        # Moving to another device replaces buffers; the compiled graph must see the new ones.
        self._link()
        return self

    def forward(
        self, frames: Tensor, nonce: Nonces | None = None, *, fixed_nonce: bool = False, allow_many: bool = False
    ) -> Any:
        """Run the network on shuffled frames.

        Parameters
        ----------
        frames : Tensor, shape (B, C, H, W)
            Each shuffled under its nonce; values as the plain network takes them. Converted with ``mask=True``: uint8
            or uint16, masked under the same nonce. Converted with ``scheme=``: what its ``protect`` gave (:meth:`read`
            takes that as it is).
        nonce : bytes or sequence of bytes
            Sixteen public bytes a frame; one for several frames is fixed-nonce mode.
        fixed_nonce : bool
            Allow one nonce for up to 16 frames over the network's life; for studies.
        allow_many : bool
            Allow one nonce for more.

        Returns
        -------
        Tensor, or whatever holds them
            What the plain network returns for the unshuffled frames, in an object of the same type; maps come out
            shuffled (see :meth:`unshuffle`).

        Raises
        ------
        LockedError
            While the network is locked.
        ConversionError
            If a layer was exchanged for one that does not fit its neighbours' tables.
        ShuffleCamError
            If the frames' size is not the converted one, or nonces are missing, malformed or too few.
        """
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]  # torch leaves it untyped
        if torch.compiler.is_exporting() or tracing:
            raise SecretPickleError(
                "an exported program would hold this network's tables, which are the key: "
                "use networks.export_onnx, whose file takes them as inputs"
            )
        tables = self._tables
        if torch.compiler.is_compiling():
            # A compiler would follow the derivation of the tables and keep them in its code.
            tables = torch.compiler.disable(tables)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        # First, because it may link the network anew.
        given = tables(frames, nonce, fixed_nonce, allow_many)
        return self._output.assembled(self._run(frames, *given))

    def _tables(self, frames: Tensor, nonce: Nonces | None, fixed_nonce: bool, allow_many: bool) -> tuple[Tensor, ...]:
        """Return what the graph gets beside the frames: slot tables and masks, which no compiler should see made."""
        multiplexer = self.require_unlocked()
        self._follow_changes()
        if not isinstance(frames, Tensor):
            raise ShuffleCamError(f"frames must be a torch tensor (B, C, H, W), got {type(frames).__name__}")
        wanted = (self.frame_channels, *self.input_size)
        if frames.ndim != 4 or (self._reading is None and tuple(frames.shape[1:]) != wanted):
            of = ", ".join(map(str, wanted))
            raise ShuffleCamError(f"this network was converted for (B, {of}) frames, got {tuple(frames.shape)}")
        if self._reading is not None:
            admit = partial(self._admit, frames, fixed_nonce=fixed_nonce, allow_many=allow_many)
            return self._reading.tables(multiplexer.key, frames, nonce, admit)
        slot = self._slots(len(frames), nonce, fixed_nonce, allow_many, frames).to(frames.device)
        if not self.masked:
            return (slot,)
        assert nonce is not None
        return slot, masks_of(multiplexer.key, [nonce] if isinstance(nonce, bytes) else nonce, frames)

    def read(self, protected: Protected, *, fixed_nonce: bool = False, allow_many: bool = False) -> Any:
        """Run a network that was converted with ``scheme=`` on what ``protect`` returned, an image or a batch.

        Raises
        ------
        FrameError, WrongKeyError
            If another scheme or another key protected the images, or the network was converted for another type of
            codes; and as for a call.
        """
        if self._reading is None:
            raise FrameError("this network reads shuffled frames; convert it with scheme= to read protected images.")
        frames = self._reading.accept(protected, self.key_id)
        return self(frames, nonce=protected.nonces or None, fixed_nonce=fixed_nonce, allow_many=allow_many)

    def unshuffle(
        self, maps: Any, nonce: Nonces | None = None, *, fixed_nonce: bool = False, allow_many: bool = False
    ) -> Any:
        """Bring the network's output maps (B, C, H, W), (B, H, W) or tokens (B, N, C) into natural order.

        The nonces are those of the frames; they are only needed where the output follows the frames' order. Where the
        network returns several values, or an object that holds them, give all of it. What is in natural order already,
        as behind ``keys="stem"``, is returned as it is.

        Raises
        ------
        LockedError
            While the network is locked.
        ShuffleCamError
            If the network's output has no pixels, or ``maps`` are not of its size.
        """
        multiplexer = self.require_unlocked()
        values, spec = tree_flatten(maps)
        layouts = self._output.layouts
        if not self.has_maps and all(len(layout) < 3 for layout in layouts):
            raise ShuffleCamError("this network's output has no pixel order, so there is nothing to unshuffle")
        if len(values) != len(layouts):
            raise ShuffleCamError(f"this network returns {len(layouts)} values: give all of them, not {len(values)}")

        orders = self._orders(multiplexer.key)

        def slot(batch: int) -> Tensor:
            return self._slots(batch, nonce, fixed_nonce, allow_many)

        return tree_unflatten(
            [_natural(value, layout, orders, slot) for value, layout in zip(values, layouts, strict=True)],
            spec,
        )

    @property
    def has_maps(self) -> bool:
        """Whether some of what it returns is in a keyed order, for :meth:`unshuffle` to undo."""
        return any(groups_of(layout) for layout in self._output.layouts)

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
        self.require_unlocked()
        self._admit(None, nonces_for(nonces, len(nonces)), fixed_nonce=fixed_nonce, allow_many=allow_many)
        return self._drawn(nonces)

    def _slots(
        self, count: int, nonce: Nonces | None, fixed_nonce: bool, allow_many: bool, frames: Tensor | None = None
    ) -> Tensor:
        """Return the slot tables of ``count`` frames: (N,) for one nonce, (count, N) for a list."""
        if nonce is None:
            raise ShuffleCamError("a keyed network needs the frames' nonces: keyed(frames, nonce=[...])")
        nonces = nonces_for(nonce, count)
        self._admit(frames, nonces, fixed_nonce=fixed_nonce, allow_many=allow_many)
        if not isinstance(nonce, bytes):
            return self._drawn(nonces)
        return _slot_tensor(self.require_unlocked().permutation(self.input_size, nonce))

    def _admit(self, frames: Tensor | None, nonces: Sequence[bytes], *, fixed_nonce: bool, allow_many: bool) -> None:
        """Count frames that share a nonce: in fixed-nonce mode over the network's life, otherwise in this call."""
        if fixed_nonce and frames is not None:
            plain = frames.detach().cpu()
            values = (plain.float() if plain.is_floating_point() else plain).numpy()
            self._guard.admit(nonces, values, fixed_nonce=True, allow_many=allow_many)
        elif len(set(nonces)) < len(nonces):
            # Reading a frame again, in another epoch, is nothing to count.
            FixedNonceGuard(fixed_nonce, allow_many).admit(nonces)

    def _drawn(self, nonces: Sequence[bytes]) -> Tensor:
        multiplexer = self.require_unlocked()
        slots = np.empty((len(nonces), prod(self.input_size)), np.int32)
        for slot, nonce in zip(slots, nonces, strict=True):
            slot[:] = multiplexer.permutation(self.input_size, nonce).slot
        return torch.from_numpy(slots)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ShuffleCamError(
            "a keyed network is not pickled or copied, because its tables are the key: "
            "save its state_dict() and convert again"
        )


def _natural(maps: Tensor, layout: Layout, orders: OrdersOf, slot_of: Callable[[int], Tensor]) -> Tensor:
    """Return one output in natural order; ``slot_of`` gives a batch's slot tables where it follows the frames."""
    entries = list(layout)
    if isinstance(maps, Tensor) and maps.ndim == len(entries) - 1 and None in entries[1:]:
        # Classes were reduced, as argmax does.
        entries.pop(entries.index(None, 1))
    for group in groups_of(tuple(entries)):
        h, w = group.order.grid
        sizes = (h, w) if len(group.dims) == 2 else (group.before + h * w,)
        if maps.ndim != len(entries) or tuple(maps.shape[dim] for dim in group.dims) != sizes:
            raise ShuffleCamError(f"this network's maps are {group.order.grid}, got {tuple(maps.shape)}")
        slot = slot_of(len(maps)).to(maps.device) if group.order.follows_frame else None
        move = KeyedPositions(group.order.grid, group.dims, group.before, orders[group.order], None)
        maps = move.to(maps.device)(maps, slot)
    return maps


def _slot_tensor(permutation: Permutation) -> Tensor:
    return torch.from_numpy(permutation.slot.astype(np.int32))

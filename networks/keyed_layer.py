"""A keyed layer before it has a key: what to build, between which orders, and how to build it again."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from networks.layout import NATURAL, Order
from networks.plan import PlanRow
from operators import PixelOrder
from scrambler import Key, Permutation, keyed_permutations

Make = Callable[[Any, PixelOrder | None, PixelOrder | None], nn.Module]


class OrdersOf:
    """The permutations that one key gives to all orders of a network, drawn together.

    Parameters
    ----------
    key : Key
    orders : iterable of Order or None
        Always all of them and in the same sequence: another list gives other permutations.
    """

    def __init__(self, key: Key, orders: Iterable[Order | None]) -> None:
        roots = dict.fromkeys(order.root for order in orders if order is not None)
        keyed = [root for root in roots if not root.follows_frame]
        permutations = keyed_permutations(key, [root.grid for root in keyed], "layers")
        self._drawn: dict[Order, Permutation] = dict(zip(keyed, permutations, strict=True))

    def __getitem__(self, order: Order | None) -> Permutation | None:
        """Return the permutation of an order; None for natural order and for the frame's own."""
        return None if order is None or order.follows_frame else self._drawn[order.root]


@dataclass(frozen=True, eq=False)
class KeyedLayer:
    """One layer that reads and writes keyed orders.

    Attributes
    ----------
    name : str
        Where it stands in the network.
    make : callable
        ``make(plain, permutation_in, permutation_out)`` returns the keyed module.
    plain : nn.Module or None
        The plain layer without its parameters: settings only.
    reads, writes : Order or None
        Orders of input and output; None for natural order.
    input_size, output_size : (int, int)
        Height and width of the maps.
    values_moved : int
        See :class:`PlanRow`.
    """

    name: str
    make: Make
    plain: nn.Module | None
    reads: Order | None
    writes: Order | None
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    values_moved: int

    def build(self, live: nn.Module | None, orders: OrdersOf) -> nn.Module:
        """Return the keyed module, with the parameters and the mode of the module whose place it takes, if any."""
        plain = copy.copy(self.plain)
        if plain is not None and live is not None:
            plain._parameters = dict(live._parameters)
        keyed = self.make(plain, orders[self.reads], orders[self.writes])
        return keyed if live is None else keyed.train(live.training)

    def row(self, built: nn.Module) -> PlanRow:
        """Return the line of the plan."""
        entries = sum(table.numel() for table in built.buffers() if not table.is_floating_point())
        reads, writes = (NATURAL if order is None else order.label for order in (self.reads, self.writes))
        return PlanRow(
            self.name,
            type(built).__name__,
            self.input_size,
            self.output_size,
            entries,
            reads,
            writes,
            self.values_moved,
        )


def settings_of(module: nn.Module) -> nn.Module:
    """Return a shallow copy of a layer without its parameters."""
    shell = copy.copy(module)
    shell._parameters = dict.fromkeys(module._parameters)
    return shell


class LockedLayer(nn.Module):
    """Stands where a keyed layer was while the network is locked: its parameters, and no table."""

    def __init__(self, keyed: nn.Module) -> None:
        super().__init__()
        self.kind = type(keyed).__name__
        for name, parameter in keyed._parameters.items():
            self.register_parameter(name, parameter)
        self.training = keyed.training

    def extra_repr(self) -> str:
        """Say what it stands for."""
        return f"{self.kind}, locked"

"""Layers that only move pixels: between two orders, and from a shuffled map into natural features."""

from torch import Tensor, nn

from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.modules import KeyedModule
from operators.reorder import chain, reorder
from operators.tables import PixelOrder, slot_table, source_table


class KeyedReorder(KeyedModule):
    """The identity between two pixel orders: moves maps from the one to the other.

    Parameters
    ----------
    plain : nn.Module
        What it stands for in the plain network, such as ``nn.Identity()``; it is not run.
    input_size : (int, int)
        Frame height and width, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.

    Raises
    ------
    OperatorError
        When a permutation's length is not the number of pixels.
    """

    source: Tensor | None
    index: Tensor | None

    def __init__(
        self,
        plain: nn.Identity,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        H, W = pair(input_size, "input_size", 1)
        super().__init__((H, W), (H, W))
        self.register_table("source", source_table(permutation_out, H * W))
        self.register_table("index", chain(slot_table(permutation_in, H * W), self.source))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Reorder frames (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        return reorder(x, self.index if own is None else chain(own, self.source))


class KeyedFlatten(KeyedModule):
    """``nn.Flatten`` of shuffled maps into features in natural order, as a linear layer expects them.

    Parameters
    ----------
    plain : nn.Flatten
        With its default dimensions.
    input_size : (int, int)
        Map height and width, in pixels.
    permutation_in : permutation, optional
        Pixel order of the maps; None for natural order.
    permutation_out : None
        Features have no pixel order; here for the sake of one signature for all keyed modules.

    Raises
    ------
    OperatorError
        When ``plain`` flattens other dimensions, the permutation has the wrong length, or ``permutation_out`` is given.
    """

    slot: Tensor | None

    def __init__(
        self,
        plain: nn.Flatten,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: None = None,
    ) -> None:
        if (plain.start_dim, plain.end_dim) not in ((1, -1), (1, 3)):
            raise OperatorError("only a Flatten of dimensions 1 to the last has a keyed twin")
        if permutation_out is not None:
            raise OperatorError("flattened features have no pixel order; leave permutation_out out")
        H, W = pair(input_size, "input_size", 1)
        super().__init__((H, W), (1, 1))
        self.register_table("slot", slot_table(permutation_in, H * W))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Flatten maps (B, C, H, W) to (B, C * H * W); ``slot``, (N,) or (B, N), replaces the order for this call."""
        own = self.accept(x, slot)
        return reorder(x, self.slot if own is None else own).flatten(1)

"""Convolutions whose weights are arguments, as functional calls and layers that are used twice have them."""

from typing import Any

from torch import Tensor

from operators.convolution import keyed_conv2d
from operators.geometry import Window
from operators.modules import KeyedModule
from operators.tables import GatherTable, PixelOrder, slot_table, source_table
from operators.transposed import transpose_by_rows
from operators.transposed_rules import TransposedWindow


class _KeyedCall(KeyedModule):
    """Tables of a convolution between two pixel orders, without its weights."""

    slot: Tensor | None
    source: Tensor | None

    def __init__(
        self, window: Any, groups: int, permutation_in: PixelOrder | None, permutation_out: PixelOrder | None
    ) -> None:
        super().__init__(window.input_size, window.output_size)
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        self.window = window
        self.groups = groups
        self.register_table("slot", slot_table(permutation_in, H * W))
        self.register_table("source", source_table(permutation_out, Ho * Wo))


class KeyedConv2dCall(_KeyedCall):
    """``torch.nn.functional.conv2d`` between two pixel orders; weight and bias come with every call.

    Parameters
    ----------
    window : Window
        Sizes, stride, padding and dilation.
    groups : int
        As for ``conv2d``.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.

    Raises
    ------
    OperatorError
        When a permutation has the wrong length.
    """

    def __init__(
        self,
        window: Window,
        groups: int = 1,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        super().__init__(window, groups, permutation_in, permutation_out)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, slot: Tensor | None = None) -> Tensor:
        """Convolve frames (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        table = GatherTable(self.window, self.slot if own is None else None, self.source)
        return keyed_conv2d(x, weight, bias, groups=self.groups, table=table, slot=own, engine="gather")


class KeyedConvTranspose2dCall(_KeyedCall):
    """``torch.nn.functional.conv_transpose2d`` between two pixel orders; as :class:`KeyedConv2dCall`."""

    def __init__(
        self,
        window: TransposedWindow,
        groups: int = 1,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> None:
        super().__init__(window, groups, permutation_in, permutation_out)

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None = None, slot: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        given = self.slot if own is None else own
        return transpose_by_rows(x, weight, bias, self.groups, self.window, given, self.source)

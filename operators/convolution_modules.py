"""Convolution layers between two pixel orders, built from the plain layers."""

from typing import cast

import torch
from torch import Tensor, nn

from operators.convolution import by_columns, by_points, by_rows, choose_engine
from operators.geometry import IntOrPair, Padding, Window
from operators.modules import KeyedModule
from operators.tables import GatherTable, PixelOrder, compose


class KeyedConv2d(KeyedModule):
    """``nn.Conv2d`` between two pixel orders, with the plain layer's own parameters.

    Parameters
    ----------
    conv : nn.Conv2d
        Its ``weight`` and ``bias`` are shared, not copied, and keep their names in ``state_dict``.
    input_size : int or (int, int)
        Frame height and width, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    engine : {"auto", "gather", "im2col", "pointwise"}
        See :func:`keyed_conv2d`.

    Raises
    ------
    OperatorError
        When the layer does not fit the frame, or a permutation has the wrong length.
    """

    weight: Tensor
    bias: Tensor | None
    slot: Tensor | None
    source: Tensor | None
    places: Tensor | None
    index: Tensor | None

    def __init__(
        self,
        conv: nn.Conv2d,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        engine: str = "auto",
    ) -> None:
        window = window_of_conv(conv, input_size)
        super().__init__(window.input_size, window.output_size)
        self.window = window
        self.groups = conv.groups
        self.engine = choose_engine(engine, window, conv.in_channels)
        self.register_parameter("weight", cast(nn.Parameter, conv.weight))
        self.register_parameter("bias", cast(nn.Parameter | None, conv.bias))
        table = GatherTable.keyed(window, permutation_in, permutation_out)
        around = self.engine == "gather"
        self.register_table("slot", table.slot if around else None)
        self.register_table("source", table.source if around else None)
        self.register_table("places", None if around else table.places)
        H, W = window.input_size
        index = None if around else compose(table.slot, table.places, outside=H * W)
        if self.engine == "pointwise" and index is not None and torch.equal(index[:, 0], torch.arange(H * W).int()):
            index = None  # Equal orders on both sides of a 1x1 kernel: nothing moves.
        self.register_table("index", index)

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Convolve frames (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        if self.engine == "gather":
            given = self.slot if own is None else own
            return by_rows(x, self.weight, self.bias, self.groups, self.window, given, self.source)
        index = self.index
        if own is not None and self.places is not None:
            index = compose(own, self.places, outside=own.shape[-1])
        if self.engine == "pointwise":
            return by_points(x, self.weight, self.bias, self.groups, index, self.output_size)
        assert index is not None
        return by_columns(x, self.weight, self.bias, self.groups, index, self.output_size)

    def extra_repr(self) -> str:
        """Return sizes and engine; never a table."""
        D, each, kh, kw = self.weight.shape
        return f"{each * self.groups}, {D}, kernel {kh}x{kw}, {super().extra_repr()}, engine={self.engine}"


def window_of_conv(conv: nn.Conv2d, input_size: IntOrPair) -> Window:
    """Return the window through which a plain convolution reads frames of this size."""
    if isinstance(conv.padding, str):
        padding: Padding = conv.padding
    else:
        padding = (conv.padding[0], conv.padding[1])
    return Window.of(
        input_size,
        (conv.kernel_size[0], conv.kernel_size[1]),
        (conv.stride[0], conv.stride[1]),
        padding,
        (conv.dilation[0], conv.dilation[1]),
        padding_mode=conv.padding_mode,
    )

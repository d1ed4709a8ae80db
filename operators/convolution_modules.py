"""Convolution layers between two pixel orders, built from the plain layers."""

from typing import cast

import torch
from torch import Tensor, nn

from operators.convolution import by_columns, by_points, by_rows, choose_engine, require_indirect
from operators.engine_indirect import can_run, choose_way, convolve_frames, engine_table, is_worth_it
from operators.geometry import IntOrPair, Padding, Window, natural_index
from operators.indirect_weights import PackedWeights, WeightCache
from operators.modules import KeyedModule
from operators.tables import GatherTable, PixelOrder, compose
from operators.winograd import winograd_table


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
    engine : {"auto", "indirect", "gather", "im2col", "pointwise"}
        See :func:`keyed_conv2d`. "auto" takes "indirect" wherever that can take the frames and is worth it.

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
    offsets: Tensor | None

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
        self.channels, self.groups = conv.in_channels, conv.groups
        self.engine = choose_engine(engine, window, conv.in_channels)
        self.register_parameter("weight", cast(nn.Parameter, conv.weight))
        self.register_parameter("bias", cast(nn.Parameter | None, conv.bias))
        table = GatherTable.keyed(window, permutation_in, permutation_out)
        around = self.engine in ("gather", "indirect")
        self.register_table("slot", table.slot if around else None)
        self.register_table("source", table.source if around else None)
        self.register_table("places", None if around else table.places)
        H, W = window.input_size
        index = None if around else compose(table.slot, table.places, outside=H * W)
        if self.engine == "pointwise" and index is not None and torch.equal(index[:, 0], torch.arange(H * W).int()):
            index = None  # Equal orders on both sides of a 1x1 kernel: nothing moves.
        self.register_table("index", index)
        # The engine "indirect" makes its own form of the table when it first runs.
        self.register_table("offsets", None)
        worth_it = engine == "auto" and is_worth_it(conv.in_channels, conv.out_channels, conv.groups)
        self.tries_indirect = engine == "indirect" or worth_it
        self.way = choose_way(window, conv.in_channels, conv.out_channels, conv.groups)
        self._weights = WeightCache()

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Convolve frames (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        if self.tries_indirect and can_run(x, self.weight, self.bias):
            return self.run_indirect(x, self._weights.packed(self, way=self.way), slot)
        own = self.accept(x, slot)
        if self.engine == "indirect":
            require_indirect(x, self.weight, self.bias)
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

    def run_indirect(
        self, x: Tensor, packed: PackedWeights, slot: Tensor | None = None, residual: Tensor | None = None
    ) -> Tensor:
        """Convolve frames by the engine "indirect", with weights packed beforehand.

        Parameters
        ----------
        x : Tensor of float32, shape (B, C, H, W)
        packed : PackedWeights
            This layer's, perhaps with what follows it folded in.
        slot : Tensor of integers, shape (N,) or (B, N), optional
            Replaces the input's order for this call.
        residual : Tensor of float32, shape (B, D, Ho, Wo), optional
            Added before the clamp.
        """
        own = self.accept(x, slot)
        if own is None:
            if self.offsets is None:
                self.offsets = self._own_offsets()
            return convolve_frames(x, self.offsets, packed, self.output_size, residual=residual)
        table = self._offsets_for(own)
        return convolve_frames(x, table, packed, self.output_size, own_keys=own.ndim == 2, residual=residual)

    def _offsets_for(self, own: Tensor) -> Tensor:
        """Return the engine's table for frames in the order that slots, (N,) or (B, N), give."""
        if self.places is None:
            self.places = GatherTable(self.window, None, self.source).places
        if self.way == "squares":
            return winograd_table(self.places, self.source, own, self.window, self.channels)
        return engine_table(self.places, own, own.shape[-1], self.channels)

    def _own_offsets(self) -> Tensor:
        """Return the engine's table for frames in the order that this layer was made for."""
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        if self.engine in ("gather", "indirect"):
            if self.way == "squares":
                places = GatherTable(self.window, None, self.source).places
                return winograd_table(places, self.source, self.slot, self.window, self.channels)
            return engine_table(natural_index(self.window), self.slot, H * W, self.channels, self.source)
        reads = torch.arange(Ho * Wo, dtype=torch.int32)[:, None] if self.index is None else self.index
        return engine_table(reads, None, H * W, self.channels)

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

"""Transposed convolution that reads shuffled maps and writes shuffled maps.

Two engines with one result: ``"gather"`` is row gather, the library's operator, row gather; ``"im2col"`` gathers every
tap straight from the shuffled map into columns, so that no natural-order copy of the map exists, and multiplies once.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from operators.convolution import by_columns
from operators.errors import OperatorError
from operators.geometry import IntOrPair
from operators.modules import KeyedModule
from operators.reorder import reorder
from operators.rows import check_slot
from operators.tables import PixelOrder, compose, past_the_end, slot_table, source_table
from operators.transposed_rules import TransposedWindow, transposed_index

ENGINES = ("auto", "gather", "im2col")


def transpose_by_rows(
    frames: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    window: TransposedWindow,
    slot: Tensor | None,
    source: Tensor | None,
) -> Tensor:
    """Row gather, library, row gather; ``slot`` (N,) or (B, N), ``source`` (M,)."""
    mapped = F.conv_transpose2d(
        reorder(frames, slot),
        weight,
        bias,
        window.stride,
        window.padding,
        window.output_padding,
        groups,
        window.dilation,
    )
    return reorder(mapped, source)


def _as_convolution(weight: Tensor, groups: int) -> Tensor:
    """Return a transposed convolution's weight (C, D / g, kh, kw) in a convolution's layout (D, C / g, kh, kw)."""
    C, each, kh, kw = weight.shape
    grouped = weight.reshape(groups, C // groups, each, kh, kw).transpose(1, 2)
    return grouped.reshape(groups * each, C // groups, kh, kw)


def _places(window: TransposedWindow, source: Tensor | None) -> Tensor:
    """Return the natural table in the order of the outputs' slots, (M, K), N for nothing."""
    table = transposed_index(window)
    ordered = torch.from_numpy(table.copy() if source is None else table[source.numpy()])
    return past_the_end(ordered, window.input_size[0] * window.input_size[1])


def choose_engine(engine: str) -> str:
    """Return the engine that a name means.

    Raises
    ------
    OperatorError
        When there is no engine of that name.
    """
    if engine not in ENGINES:
        raise OperatorError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
    return "gather" if engine == "auto" else engine


def keyed_conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    engine: str = "auto",
) -> Tensor:
    r"""Apply a transposed convolution to shuffled maps with plain weights.

    .. math:: \mathrm{keyed}(S_\sigma x) = S_\tau\, \mathrm{conv\_transpose2d}(x).

    Parameters
    ----------
    input : Tensor, shape (B, C, H, W)
        Maps in the order σ.
    weight : Tensor, shape (C, D / groups, kh, kw)
    bias : Tensor, shape (D,), optional
    stride, padding, output_padding, groups, dilation
        As ``torch.nn.functional.conv_transpose2d`` takes them.
    permutation_in, permutation_out : permutation, optional
        σ and τ; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of σ for this call, or one for each map; replaces ``permutation_in``.
    engine : {"auto", "gather", "im2col"}
        "auto" takes "gather".

    Returns
    -------
    Tensor, shape (B, D, Ho, Wo)
        In the order τ and channels-last memory.

    Raises
    ------
    OperatorError
        When shapes, permutations or options do not fit together.

    Examples
    --------
    >>> x = torch.tensor([[[[2.0, 1.0]]]])  # 1 2, shuffled
    >>> keyed_conv_transpose2d(x, torch.ones(1, 1, 1, 2), stride=2, slot=torch.tensor([1, 0])).tolist()
    [[[[1.0, 1.0, 2.0, 2.0]]]]
    """
    if input.ndim != 4 or weight.ndim != 4 or weight.shape[0] != input.shape[1]:
        raise OperatorError(
            "input must be (B, C, H, W) and weight (C, D / groups, kh, kw); "
            f"got {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if groups < 1 or input.shape[1] % groups:
        raise OperatorError(f"{groups} groups do not divide {input.shape[1]} channels")
    size, kernel = (input.shape[2], input.shape[3]), (weight.shape[2], weight.shape[3])
    window = TransposedWindow.of(size, kernel, stride, padding, output_padding, dilation)
    (H, W), (Ho, Wo) = size, window.output_size
    chosen = choose_engine(engine)
    own = slot_table(permutation_in, H * W) if slot is None else check_slot(slot, input)
    own = None if own is None else own.to(input.device)
    source = source_table(permutation_out, Ho * Wo)
    if chosen == "gather":
        return transpose_by_rows(
            input, weight, bias, groups, window, own, None if source is None else source.to(input.device)
        )
    index = compose(own, _places(window, source).to(input.device), outside=H * W)
    return by_columns(input, _as_convolution(weight, groups), bias, groups, index, window.output_size)


class KeyedConvTranspose2d(KeyedModule):
    """``nn.ConvTranspose2d`` between two pixel orders, with the plain layer's own parameters.

    Parameters
    ----------
    conv : nn.ConvTranspose2d
        Its ``weight`` and ``bias`` are shared, not copied, and keep their names in ``state_dict``.
    input_size : int or (int, int)
        Map height and width, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    engine : {"auto", "gather", "im2col"}
        See :func:`keyed_conv_transpose2d`.

    Raises
    ------
    OperatorError
        When the layer does not fit the maps, or a permutation has the wrong length.
    """

    weight: Tensor
    bias: Tensor | None
    slot: Tensor | None
    source: Tensor | None
    places: Tensor | None

    def __init__(
        self,
        conv: nn.ConvTranspose2d,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        engine: str = "auto",
    ) -> None:
        window = TransposedWindow.of(
            input_size,
            _two(conv.kernel_size),
            _two(conv.stride),
            _two(conv.padding),
            _two(conv.output_padding),
            _two(conv.dilation),
        )
        super().__init__(window.input_size, window.output_size)
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        self.window = window
        self.groups = conv.groups
        self.engine = choose_engine(engine)
        self.register_parameter("weight", cast(nn.Parameter, conv.weight))
        self.register_parameter("bias", cast(nn.Parameter | None, conv.bias))
        source = source_table(permutation_out, Ho * Wo)
        around = self.engine == "gather"
        self.register_table("slot", slot_table(permutation_in, H * W))
        self.register_table("source", source if around else None)
        self.register_table("places", None if around else _places(window, source))

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Map (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        given = self.slot if own is None else own
        if self.places is None:
            return transpose_by_rows(x, self.weight, self.bias, self.groups, self.window, given, self.source)
        index = compose(given, self.places, outside=self.input_size[0] * self.input_size[1])
        weight = _as_convolution(self.weight, self.groups)
        return by_columns(x, weight, self.bias, self.groups, index, self.output_size)

    def extra_repr(self) -> str:
        """Return sizes and engine; never a table."""
        C, each, kh, kw = self.weight.shape
        return f"{C}, {each * self.groups}, kernel {kh}x{kw}, {super().extra_repr()}, engine={self.engine}"


def _two(value: int | str | tuple[int, ...]) -> tuple[int, int]:
    """Return a layer's attribute, typed by PyTorch as any number of integers, as two."""
    assert isinstance(value, tuple)
    return value[0], value[-1]

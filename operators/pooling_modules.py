"""Pooling layers between two pixel orders, built from the plain layers."""

from torch import Tensor, nn

from operators.errors import OperatorError
from operators.geometry import IntOrPair
from operators.modules import KeyedModule
from operators.pooling import choose_engine, pool_by_gather, pool_by_table
from operators.pooling_rules import Pooling, TargetSize, adaptive_pooling, average_pooling, max_pooling
from operators.tables import PixelOrder, compose, slot_table, source_table


class _KeyedPool2d(KeyedModule):
    """Any pooling operator between two pixel orders."""

    slot: Tensor | None
    source: Tensor | None
    places: Tensor
    index: Tensor
    divisor: Tensor | None

    def __init__(
        self, pooling: Pooling, permutation_in: PixelOrder | None, permutation_out: PixelOrder | None, engine: str
    ) -> None:
        super().__init__(pooling.input_size, pooling.output_size)
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        self.pooling = pooling
        self.engine = engine
        self.register_table("slot", slot_table(permutation_in, H * W))
        self.register_table("source", source_table(permutation_out, Ho * Wo))
        places, divisor = pooling.ordered(self.source)
        self.register_table("places", places)
        self.register_table("index", compose(self.slot, places, outside=H * W))
        self.register_table("divisor", divisor)

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Pool maps (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        if self.pooling.is_global:
            return self.pooling.library(x)
        if choose_engine(self.engine, x) == "table":
            index = self.index if own is None else self.places
            return pool_by_table(x, index, self.divisor, own, self.output_size)
        return pool_by_gather(x, self.pooling.library, self.slot if own is None else own, self.source)


class KeyedMaxPool2d(_KeyedPool2d):
    """``nn.MaxPool2d`` between two pixel orders.

    Parameters
    ----------
    plain : nn.MaxPool2d
    input_size : int or (int, int)
        Map height and width, in pixels.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    engine : {"auto", "table", "gather"}
        See :func:`operators.keyed_max_pool2d`.

    Raises
    ------
    OperatorError
        When the layer returns indices or does not fit the maps, or a permutation has the wrong length.
    """

    def __init__(
        self,
        plain: nn.MaxPool2d,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        engine: str = "auto",
    ) -> None:
        if plain.return_indices:
            raise OperatorError("a MaxPool2d that returns indices has no keyed twin; its indices name natural places")
        pooling = max_pooling(
            input_size,
            _whole(plain.kernel_size),
            _whole(plain.stride),
            _whole(plain.padding),
            _whole(plain.dilation),
            plain.ceil_mode,
        )
        super().__init__(pooling, permutation_in, permutation_out, engine)


class KeyedAvgPool2d(_KeyedPool2d):
    """``nn.AvgPool2d`` between two pixel orders; parameters and errors as :class:`KeyedMaxPool2d`."""

    def __init__(
        self,
        plain: nn.AvgPool2d,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        engine: str = "auto",
    ) -> None:
        pooling = average_pooling(
            input_size,
            _whole(plain.kernel_size),
            _whole(plain.stride),
            _whole(plain.padding),
            plain.ceil_mode,
            plain.count_include_pad,
            plain.divisor_override,
        )
        super().__init__(pooling, permutation_in, permutation_out, engine)


class KeyedAdaptiveAvgPool2d(_KeyedPool2d):
    """``nn.AdaptiveAvgPool2d`` between two pixel orders; parameters and errors as :class:`KeyedMaxPool2d`."""

    def __init__(
        self,
        plain: nn.AdaptiveAvgPool2d,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        engine: str = "auto",
    ) -> None:
        pooling = adaptive_pooling(input_size, _target(plain.output_size), average=True)
        super().__init__(pooling, permutation_in, permutation_out, engine)


class KeyedAdaptiveMaxPool2d(_KeyedPool2d):
    """``nn.AdaptiveMaxPool2d`` between two pixel orders; parameters and errors as :class:`KeyedMaxPool2d`."""

    def __init__(
        self,
        plain: nn.AdaptiveMaxPool2d,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
        engine: str = "auto",
    ) -> None:
        if plain.return_indices:
            raise OperatorError(
                "an AdaptiveMaxPool2d that returns indices has no keyed twin; its indices name natural places"
            )
        pooling = adaptive_pooling(input_size, _target(plain.output_size), average=False)
        super().__init__(pooling, permutation_in, permutation_out, engine)


def _whole(value: int | tuple[int, ...]) -> IntOrPair:
    """Return a layer's attribute, typed by PyTorch as any number of integers, as one or two."""
    return value if isinstance(value, int) else (value[0], value[-1])


def _target(value: int | tuple[int | None, ...] | None) -> TargetSize:
    """Return an adaptive layer's output size, typed by PyTorch as any number of sizes, as one or two."""
    return value if value is None or isinstance(value, int) else (value[0], value[-1])

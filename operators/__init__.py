"""Operators that read shuffled frames and write shuffled maps, exactly; and general deformable convolution."""

from operators.convolution import KeyedConv2d, keyed_conv2d
from operators.errors import OperatorError
from operators.geometry import Window
from operators.reorder import (
    KeyedFlatten,
    KeyedReorder,
    flatten_natural,
    gather_linear_columns,
    keyed_flatten_linear,
    rekey_pixels,
    shuffle_pixels,
    unshuffle_pixels,
)
from operators.tables import GatherTable, deformable_offsets, gather_index, stack_slots

__all__ = [
    "GatherTable",
    "KeyedConv2d",
    "KeyedFlatten",
    "KeyedReorder",
    "OperatorError",
    "Window",
    "deformable_offsets",
    "flatten_natural",
    "gather_index",
    "gather_linear_columns",
    "keyed_conv2d",
    "keyed_flatten_linear",
    "rekey_pixels",
    "shuffle_pixels",
    "stack_slots",
    "unshuffle_pixels",
]

"""Operators that read shuffled frames and write shuffled maps, exactly; and general deformable convolution."""

from operators.convolution import keyed_conv2d
from operators.convolution_modules import KeyedConv2d
from operators.deform import DeformConv2d, deform_conv2d
from operators.demosaic import keyed_demosaic
from operators.errors import OperatorError
from operators.geometry import Window
from operators.pooling import (
    keyed_adaptive_avg_pool2d,
    keyed_adaptive_max_pool2d,
    keyed_avg_pool2d,
    keyed_max_pool2d,
)
from operators.pooling_modules import (
    KeyedAdaptiveAvgPool2d,
    KeyedAdaptiveMaxPool2d,
    KeyedAvgPool2d,
    KeyedMaxPool2d,
)
from operators.raw import keyed_raw_to_rgb
from operators.reorder import (
    flatten_natural,
    gather_linear_columns,
    keyed_flatten_linear,
    rekey_pixels,
    shuffle_pixels,
    unshuffle_pixels,
)
from operators.reorder_modules import KeyedFlatten, KeyedReorder
from operators.resample import area_resize_table, keyed_area_resize
from operators.tables import GatherTable, PixelOrder, deformable_offsets, gather_index, stack_slots

__all__ = [
    "DeformConv2d",
    "GatherTable",
    "KeyedAdaptiveAvgPool2d",
    "KeyedAdaptiveMaxPool2d",
    "KeyedAvgPool2d",
    "KeyedConv2d",
    "KeyedFlatten",
    "KeyedMaxPool2d",
    "KeyedReorder",
    "OperatorError",
    "PixelOrder",
    "Window",
    "area_resize_table",
    "deform_conv2d",
    "deformable_offsets",
    "flatten_natural",
    "gather_index",
    "gather_linear_columns",
    "keyed_adaptive_avg_pool2d",
    "keyed_adaptive_max_pool2d",
    "keyed_area_resize",
    "keyed_avg_pool2d",
    "keyed_conv2d",
    "keyed_demosaic",
    "keyed_flatten_linear",
    "keyed_max_pool2d",
    "keyed_raw_to_rgb",
    "rekey_pixels",
    "shuffle_pixels",
    "stack_slots",
    "unshuffle_pixels",
]

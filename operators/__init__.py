"""Operators that read shuffled frames and write shuffled maps, exactly; and general deformable convolution."""

from operators.channels import KeyedChannels, keyed_channel_conv2d, shuffle_channels, unshuffle_channels
from operators.convolution import keyed_conv2d
from operators.convolution_calls import KeyedConv2dCall, KeyedConvTranspose2dCall
from operators.convolution_modules import KeyedConv2d
from operators.deform import DeformConv2d, deform_conv2d
from operators.demosaic import keyed_demosaic
from operators.errors import OperatorError
from operators.geometry import Window
from operators.index_maps import IndexMap, KeyedIndexMap, crop_map, flip_map, keyed_index_map, pad_map, shift_map
from operators.interpolate import KeyedInterpolate, Resize, keyed_interpolate
from operators.pixel_rearrange import (
    KeyedPixelShuffle,
    KeyedPixelUnshuffle,
    keyed_pixel_shuffle,
    keyed_pixel_unshuffle,
)
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
from operators.positions import KeyedLayerNorm, KeyedPositions, shuffle_positions, unshuffle_positions
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
from operators.transposed import KeyedConvTranspose2d, keyed_conv_transpose2d
from operators.transposed_rules import TransposedWindow
from operators.unmask import MaskedConv2d, masked_conv2d

__all__ = [
    "DeformConv2d",
    "GatherTable",
    "IndexMap",
    "KeyedAdaptiveAvgPool2d",
    "KeyedAdaptiveMaxPool2d",
    "KeyedAvgPool2d",
    "KeyedChannels",
    "KeyedConv2d",
    "KeyedConv2dCall",
    "KeyedConvTranspose2d",
    "KeyedConvTranspose2dCall",
    "KeyedFlatten",
    "KeyedIndexMap",
    "KeyedInterpolate",
    "KeyedLayerNorm",
    "KeyedMaxPool2d",
    "KeyedPixelShuffle",
    "KeyedPixelUnshuffle",
    "KeyedPositions",
    "KeyedReorder",
    "MaskedConv2d",
    "OperatorError",
    "PixelOrder",
    "Resize",
    "TransposedWindow",
    "Window",
    "area_resize_table",
    "crop_map",
    "deform_conv2d",
    "deformable_offsets",
    "flatten_natural",
    "flip_map",
    "gather_index",
    "gather_linear_columns",
    "keyed_adaptive_avg_pool2d",
    "keyed_adaptive_max_pool2d",
    "keyed_area_resize",
    "keyed_avg_pool2d",
    "keyed_channel_conv2d",
    "keyed_conv2d",
    "keyed_conv_transpose2d",
    "keyed_demosaic",
    "keyed_flatten_linear",
    "keyed_index_map",
    "keyed_interpolate",
    "keyed_max_pool2d",
    "keyed_pixel_shuffle",
    "keyed_pixel_unshuffle",
    "keyed_raw_to_rgb",
    "masked_conv2d",
    "pad_map",
    "rekey_pixels",
    "shift_map",
    "shuffle_channels",
    "shuffle_pixels",
    "shuffle_positions",
    "stack_slots",
    "unshuffle_channels",
    "unshuffle_pixels",
    "unshuffle_positions",
]

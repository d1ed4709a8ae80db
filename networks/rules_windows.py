"""Rules for layers that read a window of each pixel and write a new map: convolution, pooling, resizing, borders."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from networks.conversion import Conversion, Rule, plain_like
from networks.layout import Layout, map_layout
from operators import (
    IndexMap,
    KeyedAdaptiveAvgPool2d,
    KeyedAdaptiveMaxPool2d,
    KeyedAvgPool2d,
    KeyedConv2d,
    KeyedConv2dCall,
    KeyedConvTranspose2d,
    KeyedConvTranspose2dCall,
    KeyedIndexMap,
    KeyedInterpolate,
    KeyedMaxPool2d,
    KeyedPixelShuffle,
    KeyedPixelUnshuffle,
    Resize,
    TransposedWindow,
    Window,
    flip_map,
    pad_map,
    shift_map,
)  # fmt: skip
from operators.convolution_modules import window_of_conv


def _grid(conversion: Conversion, node: fx.Node) -> tuple[int, int]:
    return conversion.map_order(conversion.input(node), node).grid


def _layer(keyed: Callable[..., nn.Module]) -> Rule:
    """Return the rule for a module without parameters whose keyed twin is ``keyed(plain, size, in, out)``."""

    def rule(conversion: Conversion, node: fx.Node) -> Layout:
        grid = _grid(conversion, node)
        return conversion.replace(node, lambda plain, i, o: keyed(plain, grid, i, o))

    return rule


def _call(keyed: Callable[..., nn.Module], plain: Callable[..., nn.Module]) -> Rule:
    """Return the rule for a function call whose module form is ``plain(*arguments)``."""

    def rule(conversion: Conversion, node: fx.Node) -> Layout:
        grid, options = _grid(conversion, node), {k: v for k, v in node.kwargs.items() if k not in ("input", "inplace")}
        layer = plain(*conversion.value(node.args[1:]), **conversion.value(options))
        return conversion.replace(node, lambda _, i, o: keyed(layer, grid, i, o))

    return rule


def _unless_global(rule: Rule) -> Rule:
    """Return a rule for adaptive pooling: down to one pixel it is the same in any order."""

    def adaptive(conversion: Conversion, node: fx.Node) -> Any:
        _grid(conversion, node)
        return rule(conversion, node) if conversion.shape(node)[2:] != (1, 1) else plain_like(node.meta["value"])

    return adaptive


def _convolution(conversion: Conversion, node: fx.Node) -> Layout:
    conv, grid = conversion.module(node), _grid(conversion, node)
    assert isinstance(conv, nn.Conv2d)
    if window_of_conv(conv, grid).is_pointwise:
        return conversion.layout(conversion.input(node))
    if conversion.is_only_call(node):
        return conversion.replace(node, lambda plain, i, o: KeyedConv2d(plain, grid, i, o))
    window, groups = window_of_conv(conv, grid), conv.groups
    weights = conversion.parameter(node, "weight"), conversion.parameter(node, "bias")
    return conversion.replace(node, lambda _, i, o: KeyedConv2dCall(window, groups, i, o), *weights)


def _convolution_call(conversion: Conversion, node: fx.Node) -> Layout:
    weight, bias = conversion.raw(node, 1, "weight"), conversion.raw(node, 2, "bias")
    stride, padding, dilation, groups = (
        conversion.argument(node, place, name, default)
        for place, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1), (6, "groups", 1))
    )
    kernel = conversion.shape(weight)[2:]
    window = Window.of(_grid(conversion, node), (kernel[0], kernel[1]), stride, padding, dilation)
    if window.is_pointwise:
        return conversion.layout(conversion.input(node))
    return conversion.replace(node, lambda _, i, o: KeyedConv2dCall(window, groups, i, o), weight, bias)


def _transposed(conversion: Conversion, node: fx.Node) -> Layout:
    conv, grid = conversion.module(node), _grid(conversion, node)
    assert isinstance(conv, nn.ConvTranspose2d)
    if len(node.args) > 1 or node.kwargs.get("output_size") is not None:
        raise conversion.refuse(node, "it is given an output size with the call; set output_padding instead")
    if conversion.is_only_call(node):
        return conversion.replace(node, lambda plain, i, o: KeyedConvTranspose2d(plain, grid, i, o))
    settings = (conv.kernel_size, conv.stride, conv.padding, conv.output_padding, conv.dilation)
    window = TransposedWindow.of(grid, *settings)  # type: ignore[arg-type]  # two integers each, though typed as many
    groups, weights = conv.groups, (conversion.parameter(node, "weight"), conversion.parameter(node, "bias"))
    return conversion.replace(node, lambda _, i, o: KeyedConvTranspose2dCall(window, groups, i, o), *weights)


def _transposed_call(conversion: Conversion, node: fx.Node) -> Layout:
    weight, bias = conversion.raw(node, 1, "weight"), conversion.raw(node, 2, "bias")
    stride, padding, more, groups, dilation = (
        conversion.argument(node, place, name, default)
        for place, name, default in (
            (3, "stride", 1), (4, "padding", 0), (5, "output_padding", 0), (6, "groups", 1), (7, "dilation", 1),
        )
    )  # fmt: skip
    kernel = conversion.shape(weight)[2:]
    window = TransposedWindow.of(_grid(conversion, node), (kernel[0], kernel[1]), stride, padding, more, dilation)
    return conversion.replace(node, lambda _, i, o: KeyedConvTranspose2dCall(window, groups, i, o), weight, bias)


def _resized(conversion: Conversion, node: fx.Node, resize: Resize) -> Layout:
    return conversion.replace(node, lambda _, i, o: KeyedInterpolate(resize, i, o), through=True)


def _upsample(conversion: Conversion, node: fx.Node) -> Layout:
    plain: Any = conversion.module(node)
    options = (plain.size, plain.scale_factor, plain.mode, plain.align_corners, plain.recompute_scale_factor)
    return _resized(conversion, node, Resize.of(_grid(conversion, node), *options))


def _interpolate(conversion: Conversion, node: fx.Node) -> Layout:
    names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    options = {name: conversion.argument(node, place, name) for place, name in enumerate(names, 1)}
    if options.pop("antialias"):
        raise conversion.refuse(node, "resizing with antialiasing is not known; leave antialias out")
    options["mode"] = options["mode"] or "nearest"
    return _resized(conversion, node, Resize.of(_grid(conversion, node), **options))


def mapped(conversion: Conversion, node: fx.Node, index_map: IndexMap, value: float = 0.0) -> Layout:
    """Make a node read its maps through an index map."""
    return conversion.replace(node, lambda _, i, o: KeyedIndexMap(index_map, i, o, value), through=True)


def map_before(conversion: Conversion, node: fx.Node, index_map: IndexMap, value: float = 0.0) -> Layout:
    """Put an index map between a node and its maps; return the layout that the node then reads.

    The maps may lie along any two neighbouring dimensions, as channels-last ones do.
    """
    given = conversion.layout(conversion.input(node))
    pixels = [dim for dim, tag in enumerate(given) if tag is not None]
    if len(given) == 4 and len(pixels) == 2 and pixels != [2, 3]:
        sequence = [dim for dim in range(4) if dim not in pixels] + pixels
        conversion.permute_before(node, sequence)
        moved = map_before(conversion, node, index_map, value)
        back = [sequence.index(dim) for dim in range(4)]
        conversion.permute_before(node, back)
        return tuple(moved[dim] for dim in back)
    source = conversion.input(node)
    order, name = conversion.map_order(source, node), f"map_{node.name}"
    written = conversion.new_order(index_map.output_size, name)
    shape = (*conversion.shape(source)[:2], *index_map.output_size)
    layout: Layout = (None,) * 4 if written is None else map_layout(written)
    conversion.insert(
        node, source, name, lambda _, i, o: KeyedIndexMap(index_map, i, o, value), (order, written), layout, shape
    )
    return layout


def _pad_module(conversion: Conversion, node: fx.Node) -> Layout:
    plain: Any = conversion.module(node)
    mode = next(m for kind, m in _PADS.items() if isinstance(plain, kind))
    return mapped(conversion, node, pad_map(_grid(conversion, node), plain.padding, mode), getattr(plain, "value", 0.0))


_PADS: dict[type[nn.Module], str] = {
    nn.ZeroPad2d: "constant", nn.ConstantPad2d: "constant", nn.ReflectionPad2d: "reflect",
    nn.ReplicationPad2d: "replicate", nn.CircularPad2d: "circular",
}  # fmt: skip


def _pad(conversion: Conversion, node: fx.Node) -> Layout:
    """Borders of maps; of other dimensions they are free."""
    layout, padding = conversion.layout(conversion.input(node)), list(conversion.argument(node, 1, "pad"))
    mode, value = conversion.argument(node, 2, "mode", "constant"), conversion.argument(node, 3, "value") or 0.0
    tagged = [k for k in range(len(padding) // 2) if layout[-1 - k] is not None and any(padding[2 * k : 2 * k + 2])]
    if not tagged:
        return layout
    index_map = pad_map(_grid(conversion, node), padding[:4], mode)
    if not any(padding[4:]):
        return mapped(conversion, node, index_map, value)
    layout = map_before(conversion, node, index_map, value)
    node.args, node.kwargs = (conversion.input(node), [0] * 4 + padding[4:], mode, value), {}
    return layout


def _flip(conversion: Conversion, node: fx.Node) -> Layout:
    layout = conversion.layout(conversion.input(node))
    given = node.args[1:] if len(node.args) > 2 else conversion.argument(node, 1, "dims")
    dims = {dim % len(layout) for dim in conversion.value(given if isinstance(given, (tuple, list)) else (given,))}
    conversion.keep_frames_apart(node, dims)
    if all(layout[dim] is None for dim in dims):
        return layout
    grid = _grid(conversion, node)
    if not dims <= {2, 3}:
        raise conversion.refuse(node, "it turns channels and pixels at once; do one after the other")
    return mapped(conversion, node, flip_map(grid, vertical=2 in dims, horizontal=3 in dims))


def _roll(conversion: Conversion, node: fx.Node) -> Layout:
    layout = conversion.layout(conversion.input(node))
    shifts, dims = conversion.argument(node, 1, "shifts"), conversion.argument(node, 2, "dims", ())
    steps = dict(zip(*((v,) if isinstance(v, int) else tuple(v) for v in (dims, shifts)), strict=False))
    steps = {dim % len(layout): step for dim, step in steps.items()}
    conversion.keep_frames_apart(node, steps)
    if steps and all(layout[dim] is None for dim in steps):
        return layout
    if not steps or not steps.keys() <= {2, 3}:
        raise conversion.refuse(node, "only rolling over height and width, or over other dimensions, is known")
    return mapped(conversion, node, shift_map(_grid(conversion, node), steps.get(2, 0), steps.get(3, 0), circular=True))


_max, _average = _call(KeyedMaxPool2d, nn.MaxPool2d), _call(KeyedAvgPool2d, nn.AvgPool2d)
_adaptive_average = _call(KeyedAdaptiveAvgPool2d, nn.AdaptiveAvgPool2d)
_adaptive_max = _call(KeyedAdaptiveMaxPool2d, nn.AdaptiveMaxPool2d)

WINDOW_RULES: dict[Any, Rule] = {
    nn.Conv2d: _convolution,
    F.conv2d: _convolution_call,
    nn.ConvTranspose2d: _transposed,
    F.conv_transpose2d: _transposed_call,
    nn.MaxPool2d: _layer(KeyedMaxPool2d),
    F.max_pool2d: _max,
    torch.max_pool2d: _max,
    nn.AvgPool2d: _layer(KeyedAvgPool2d),
    F.avg_pool2d: _average,
    nn.AdaptiveAvgPool2d: _unless_global(_layer(KeyedAdaptiveAvgPool2d)),
    F.adaptive_avg_pool2d: _unless_global(_adaptive_average),
    nn.AdaptiveMaxPool2d: _unless_global(_layer(KeyedAdaptiveMaxPool2d)),
    F.adaptive_max_pool2d: _unless_global(_adaptive_max),
    nn.Upsample: _upsample,
    nn.UpsamplingNearest2d: _upsample,
    nn.UpsamplingBilinear2d: _upsample,
    F.interpolate: _interpolate,
    nn.PixelShuffle: _layer(KeyedPixelShuffle),
    F.pixel_shuffle: _call(KeyedPixelShuffle, nn.PixelShuffle),
    nn.PixelUnshuffle: _layer(KeyedPixelUnshuffle),
    F.pixel_unshuffle: _call(KeyedPixelUnshuffle, nn.PixelUnshuffle),
    **dict.fromkeys(_PADS, _pad_module),
    F.pad: _pad,
    torch.flip: _flip,
    "flip": _flip,
    torch.roll: _roll,
    "roll": _roll,
}

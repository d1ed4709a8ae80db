"""Which layers can be converted, and what each becomes: the table ``RULES``.

A rule gets the running :class:`networks.convert.Conversion`, the graph's node and its module (None for a function
call); it replaces the node and returns the layout of the result. A layer without a rule is refused by name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from networks.layout import Layout, Plain, Spatial
from operators import KeyedAdaptiveAvgPool2d, KeyedAvgPool2d, KeyedConv2d, KeyedFlatten, KeyedMaxPool2d
from scrambler.errors import ShuffleCamError

if TYPE_CHECKING:
    from networks.convert import Conversion


class ConversionError(ShuffleCamError):
    """A model cannot be converted exactly; names the layer and the reason."""


Rule = Callable[["Conversion", fx.Node, nn.Module | None], Layout]


def _windowed(keyed: Callable[..., nn.Module]) -> Rule:
    """Return the rule for layers that read a window of each pixel and write a new map."""

    def rule(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
        layout, size = conversion.spatial_input(node), conversion.output_size(node)
        out = conversion.fresh(node, size)
        conversion.replace(node, keyed(module, layout.size, layout.permutation, out), layout)
        return Spatial(size, out)

    return rule


def _function(make: Callable[..., nn.Module], rule: Rule) -> Rule:
    """Return the rule for a function call whose module form is ``make(*arguments)``."""

    def convert_call(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
        arguments = dict(node.kwargs)
        for name in ("input", "inplace", "return_indices"):
            arguments.pop(name, None)
        return rule(conversion, node, make(*node.args[1:], **arguments))

    return convert_call


def _adaptive_average(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
    """Adaptive pooling; down to one pixel it is the mean over all, which has no order."""
    layout = conversion.spatial_input(node)
    if conversion.output_size(node) == (1, 1):
        return Spatial((1, 1), layout.permutation)
    return _windowed(KeyedAdaptiveAvgPool2d)(conversion, node, module)


def _adaptive_max(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
    if conversion.output_size(node) != (1, 1):
        raise conversion.refuse(node, "adaptive maximum pooling is only known down to one pixel")
    return Spatial((1, 1), conversion.spatial_input(node).permutation)


def _flatten(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
    """Flattening of channels and pixels into features, which a linear layer reads in their plain order."""
    layout = conversion.spatial_input(node)
    shape = node.meta["tensor_meta"].shape
    if len(shape) != 2 or shape[0] != 1:
        raise conversion.refuse(node, "only flattening to (batch, features) is known")
    if layout.size != (1, 1):
        conversion.replace(node, KeyedFlatten(nn.Flatten(), layout.size, layout.permutation), layout)
    return Plain()


def _mean(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
    """Mean over height and width: global average pooling."""
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    keepdim = node.kwargs.get("keepdim", node.args[2] if len(node.args) > 2 else False)
    if not isinstance(dims, (tuple, list)) or {int(d) % 4 for d in dims} != {2, 3}:
        raise conversion.refuse(node, "only the mean over both height and width is known")
    return Spatial((1, 1), conversion.spatial_input(node).permutation) if keepdim else Plain()


def _concatenate(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
    """Concatenation of channels: all maps in one order."""
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    sources = list(node.all_input_nodes)
    if dim not in (1, -3) or not all(isinstance(conversion.layouts[s], Spatial) for s in sources):
        raise conversion.refuse(node, "only the concatenation of maps along their channels is known")
    return conversion.align(node, sources)


def _size(conversion: Conversion, node: fx.Node, module: nn.Module | None) -> Layout:
    """Shape queries: no order changes a shape."""
    return Plain()


_max_pool = _windowed(KeyedMaxPool2d)
_avg_pool = _windowed(KeyedAvgPool2d)

RULES: dict[Any, Rule] = {
    nn.Conv2d: _windowed(KeyedConv2d),
    nn.MaxPool2d: _max_pool,
    F.max_pool2d: _function(nn.MaxPool2d, _max_pool),
    nn.AvgPool2d: _avg_pool,
    F.avg_pool2d: _function(nn.AvgPool2d, _avg_pool),
    nn.AdaptiveAvgPool2d: _adaptive_average,
    F.adaptive_avg_pool2d: _function(nn.AdaptiveAvgPool2d, _adaptive_average),
    nn.AdaptiveMaxPool2d: _adaptive_max,
    F.adaptive_max_pool2d: _function(nn.AdaptiveMaxPool2d, _adaptive_max),
    nn.Flatten: _flatten,
    torch.flatten: _flatten,
    "flatten": _flatten,
    "mean": _mean,
    torch.mean: _mean,
    torch.cat: _concatenate,
    "size": _size,
    getattr: _size,
    operator.getitem: _size,
}

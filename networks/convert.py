"""Conversion of a plain CNN into its keyed twin: same weights, shuffled pixels in, the same logits out.

The model is traced with ``torch.fx``; every operator that reads a fixed neighbourhood is replaced by its keyed
form, whose output gets a permutation of its own, and everything that works pixel by pixel stays as it is
(METHODS: the theorem on fixed-index gather operators). ``networks.rules`` is the list of what can be converted.
"""

import copy
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from networks.keyed import KeyedNetwork, PlanRow
from networks.layers import Normalize, Scale
from networks.layout import Layout, Plain, Spatial
from networks.rules import RULES, ConversionError
from operators import KeyedReorder
from scrambler import Key, Multiplexer, Permutation, keyed_permutation

# Pixel by pixel (or with statistics over all pixels, which no order changes): they commute with any permutation.
_POINTWISE_MODULES: tuple[type[nn.Module], ...] = (
    Normalize, Scale, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.Identity,
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh,
    nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Dropout, nn.Dropout2d,
    nn.AlphaDropout,
)  # fmt: skip
_POINTWISE_FUNCTIONS: frozenset[Any] = frozenset({
    F.relu, F.relu6, F.leaky_relu, F.elu, F.gelu, F.silu, F.mish, F.hardswish, F.hardsigmoid, F.softplus, F.dropout,
    F.dropout2d, torch.relu, torch.sigmoid, torch.tanh, torch.abs, torch.exp, torch.clamp, operator.neg,
})  # fmt: skip
_POINTWISE_METHODS = frozenset(
    {"relu", "relu_", "sigmoid", "tanh", "clamp", "abs", "exp", "float", "contiguous", "clone"}
)
_ELEMENTWISE: frozenset[Any] = frozenset({
    operator.add, operator.sub, operator.mul, operator.truediv, operator.iadd, operator.imul,
    torch.add, torch.sub, torch.mul, torch.div,
})  # fmt: skip


def convert(
    model: nn.Module,
    key: Key,
    input_size: tuple[int, int],
    *,
    channels: int = 3,
    pattern: str = "frame",
    unit: str = "pixel",
) -> KeyedNetwork:
    """Return the keyed twin of a plain CNN.

    The twin has a copy of the model's weights under the same ``state_dict`` names; nothing is retrained. Every
    spatial layer's output is shuffled under a key of its own, derived from ``key`` and the layer's name.

    Parameters
    ----------
    model : torch.nn.Module
        Takes (B, channels, H, W). It is not changed.
    key : Key
        The camera's key.
    input_size : tuple of int
        Height and width of the frames, in pixels.
    channels : int
        Channels of the frames.
    pattern, unit : str
        How the frames were shuffled, as for :class:`scrambler.Multiplexer`.

    Returns
    -------
    KeyedNetwork
        Call it as ``keyed(frames, nonce=nonces)``.

    Raises
    ------
    ConversionError
        If the model can't be traced, can't run at this size, or has a layer that no gather table can express; the
        message names the layer and the reason.
    """
    multiplexer = Multiplexer(key, pattern=pattern, unit=unit)
    traced = _trace(copy.deepcopy(model), (channels, *input_size))
    return Conversion(traced, key, multiplexer, input_size).run()


class _Tracer(fx.Tracer):
    """Stops at torch's own layers and at our pointwise ones."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _POINTWISE_MODULES) or super().is_leaf_module(m, module_qualified_name)


def _trace(model: nn.Module, shape: tuple[int, int, int]) -> fx.GraphModule:
    """Trace the model and note every tensor's shape at ``shape`` = (C, H, W)."""
    name = type(model).__name__
    if _Tracer().is_leaf_module(model, ""):
        raise ConversionError(f"{name} is a single layer, not a network: wrap it in nn.Sequential")
    try:
        graph = _Tracer().trace(model)
        traced = fx.GraphModule(model, graph)
    except Exception as error:  # fx raises many types for untraceable code
        raise ConversionError(f"{name} can't be converted: its forward can't be traced ({error})") from error
    training = model.training
    try:
        like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
        with torch.inference_mode():
            ShapeProp(traced.eval()).propagate(like.new_zeros(1, *shape))
    except Exception as error:  # whatever the model raises for a size it can't take
        c, h, w = shape
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ConversionError(f"{name} can't be converted: it does not run on {c}x{h}x{w} frames ({reason})") from error
    return traced.train(training)


class Conversion:
    """One walk over a traced model, in order of execution."""

    def __init__(self, traced: fx.GraphModule, key: Key, multiplexer: Multiplexer, size: tuple[int, int]) -> None:
        self.traced = traced
        self.graph = traced.graph
        self.key = key
        self.multiplexer = multiplexer
        self.size = size
        self.layouts: dict[fx.Node, Layout] = {}
        self.plan: list[PlanRow] = []
        self.slot: fx.Node | None = None

    def run(self) -> KeyedNetwork:
        """Convert every node and return the keyed network."""
        inputs = [node for node in self.graph.nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            raise ConversionError(
                f"the model takes {len(inputs)} inputs; only models with one image input can be converted"
            )
        with self.graph.inserting_after(inputs[0]):
            self.slot = self.graph.placeholder("input_slot")
        self.layouts[inputs[0]] = Spatial(self.size, None)
        output: Layout = Plain()
        for node in list(self.graph.nodes):
            if node.op in ("placeholder", "get_attr"):
                self.layouts.setdefault(node, Plain())
            elif node.op == "output":
                if not isinstance(node.args[0], fx.Node):
                    raise ConversionError("the model returns several values; only a single tensor can be converted")
                output = self.layouts[node.args[0]]
            else:
                self.layouts[node] = self._convert(node)
        self.graph.eliminate_dead_code()
        self.traced.delete_all_unused_submodules()
        return KeyedNetwork(self.traced, self.multiplexer, self.size, output, tuple(self.plan))

    def _convert(self, node: fx.Node) -> Layout:
        """Replace one node if it needs its neighbours; return the layout of its result."""
        if all(isinstance(self.layouts[a], Plain) for a in node.all_input_nodes):
            return Plain()
        target: Any = node.target
        if node.op == "call_module":
            module = self.traced.get_submodule(target)
            if isinstance(module, _POINTWISE_MODULES) or _is_pointwise_convolution(module):
                return self._pass(node)
            return self._rule(node, type(module), module)
        if target in _ELEMENTWISE:
            return self._elementwise(node)
        if target in _POINTWISE_FUNCTIONS or target in _POINTWISE_METHODS:
            return self._pass(node)
        return self._rule(node, target, None)

    def _rule(self, node: fx.Node, kind: Any, module: nn.Module | None) -> Layout:
        rule = RULES.get(kind)
        if rule is None:
            raise self.refuse(node, "it is not known to read a fixed neighbourhood of each pixel")
        return rule(self, node, module)

    def refuse(self, node: fx.Node, reason: str) -> ConversionError:
        """Return the error that names a node."""
        if node.op == "call_module":
            kind = type(self.traced.get_submodule(str(node.target))).__name__
            return ConversionError(f"layer {str(node.target)!r} ({kind}) can't be converted: {reason}")
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return ConversionError(f"operation {name!r} (node {node.name!r}) can't be converted: {reason}")

    def input(self, node: fx.Node) -> fx.Node:
        """Return the node that a node's first argument is."""
        source = node.args[0]
        assert isinstance(source, fx.Node)
        return source

    def spatial_input(self, node: fx.Node) -> Spatial:
        """Return the layout of a node's first argument, which must be a map."""
        layout = self.layouts[self.input(node)]
        if not isinstance(layout, Spatial):
            raise self.refuse(node, "its first argument is no map")
        return layout

    def output_size(self, node: fx.Node) -> tuple[int, int]:
        """Return height and width of a node's result."""
        shape = node.meta["tensor_meta"].shape
        return int(shape[2]), int(shape[3])

    def fresh(self, node: fx.Node, size: tuple[int, int]) -> Permutation:
        """Return the permutation of a layer's output: its own label, the same for every frame."""
        name = str(node.target) if node.op == "call_module" else node.name
        return keyed_permutation(self.key, size, label=f"layer/{name}")

    def replace(self, node: fx.Node, keyed: nn.Module, layout: Spatial) -> None:
        """Make ``node`` call a keyed module, with the frames' slot table if it reads the input's order."""
        name = str(node.target) if node.op == "call_module" else f"keyed_{node.name}"
        self.traced.add_submodule(name, keyed)
        node.op, node.target, node.kwargs = "call_module", name, {}
        node.args = (self.input(node), *self._slot_argument(layout))
        entries = sum(b.numel() for b in keyed.buffers() if not b.is_floating_point())
        self.plan.append(PlanRow(name, type(keyed).__name__, layout.size, getattr(keyed, "output_size", None), entries))

    def _pass(self, node: fx.Node) -> Layout:
        return self.layouts[self.input(node)]

    def _elementwise(self, node: fx.Node) -> Layout:
        """Bring the maps of a sum or product into one order; a single pixel or a number fits any."""
        for constant in (a for a in node.all_input_nodes if isinstance(self.layouts[a], Plain)):
            shape = constant.meta["tensor_meta"].shape
            if len(shape) >= 2 and (shape[-1] > 1 or shape[-2] > 1):
                raise self.refuse(node, "it combines a map with a constant that differs from pixel to pixel")
        return self.align(node, [a for a in node.all_input_nodes if isinstance(self.layouts[a], Spatial)])

    def align(self, node: fx.Node, maps: list[fx.Node]) -> Spatial:
        """Bring the maps that ``node`` combines into one order; return it."""
        orders = [self._spatial(source) for source in maps]
        # The largest map sets the size (others broadcast). The input's order differs from call to call, so where a
        # later map is there too, the input is re-keyed to that one's.
        order = max(orders, key=lambda o: (o.size[0] * o.size[1], not o.follows_input))
        for source, layout in zip(maps, orders, strict=True):
            if layout.size == (1, 1) or layout.same_order(order):
                continue
            if layout.size != order.size:
                raise self.refuse(node, f"it combines maps of {layout.size} and {order.size} pixels")
            name = f"rekey_{node.name}_{source.name}"
            self.traced.add_submodule(
                name, KeyedReorder(nn.Identity(), layout.size, layout.permutation, order.permutation)
            )
            with self.graph.inserting_before(node):
                moved = self.graph.call_module(name, (source, *self._slot_argument(layout)))
            self.layouts[moved] = order
            node.replace_input_with(source, moved)
            self.plan.append(PlanRow(name, "KeyedReorder", layout.size, order.size, layout.size[0] * layout.size[1]))
        return order

    def _spatial(self, node: fx.Node) -> Spatial:
        layout = self.layouts[node]
        assert isinstance(layout, Spatial)
        return layout

    def _slot_argument(self, layout: Spatial) -> tuple[fx.Node, ...]:
        """Return what a keyed layer gets beside its map: the frames' slot table, if it reads their order."""
        assert self.slot is not None
        return (self.slot,) if layout.follows_input else ()


def _is_pointwise_convolution(module: nn.Module) -> bool:
    """Whether a convolution sees one pixel at a time, and so commutes with any order."""
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding in ((0, 0), "valid", "same")
    )

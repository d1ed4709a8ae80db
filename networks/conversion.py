"""One walk over a model's graph: whose order every result is in, and which layers become keyed ones.

Nothing here needs a key. Orders are names until the walk is over (:class:`networks.layout.Order`), so that maps which
meet later can be given one order before anything is drawn.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves, tree_unflatten

from networks.errors import ConversionError
from networks.keyed_layer import KeyedLayer, Make, settings_of
from networks.layout import FRAME, Layout, Order, Several, follows_frame, is_plain, map_layout
from networks.masked import FirstLayer, convert_masked
from networks.tracing import PROBE_BATCH, note
from operators import OperatorError

Rule = Callable[["Conversion", fx.Node], "Layout | Several"]


@dataclass(frozen=True)
class Outputs:
    """What a model returns.

    Attributes
    ----------
    layouts : tuple of Layout
        One for each value.
    spec : TreeSpec or None
        How the values make up the object that the plain model returns; None where the graph puts it together itself.
    """

    layouts: tuple[Layout, ...]
    spec: Any

    def assembled(self, values: Any) -> Any:
        """Return what the plain model would, from what the graph returned."""
        return values if self.spec is None else tree_unflatten(tree_leaves(values), self.spec)


FindRule = Callable[["Conversion", fx.Node], Rule | None]

_MIXED = (
    "it picks or mixes frames of a batch while each is in an order of its own; "
    "put it behind the first convolution, or outside of the network"
)


class Conversion:
    """The state of the walk, and what rules may do.

    Parameters
    ----------
    root : nn.Module
        The model; keyed layers are put into it by :meth:`networks.keyed.KeyedNetwork`.
    graph : fx.Graph
        From :func:`networks.tracing.trace`; it is changed.
    size : (int, int)
        Height and width of the frames.
    stem_only : bool
        Natural order after the first layer.
    first_layer : callable or None
        Makes the layer that reads masked or protected frames (``networks.masked``); None for frames that are neither.
    find_rule : callable
        Returns the rule for a node, or None.
    """

    def __init__(
        self, root: nn.Module, graph: fx.Graph, size: tuple[int, int], *,
        stem_only: bool, first_layer: FirstLayer | None, find_rule: FindRule,
    ) -> None:  # fmt: skip
        self.root = root
        self.graph = graph
        self.stem_only = stem_only
        self.first_layer = first_layer
        self.layers: list[KeyedLayer] = []
        self.free = self.aligned = 0
        self._find_rule = find_rule
        self._layouts: dict[fx.Node, Layout | Several] = {}
        # Maps in the frame's own order that were brought into one for all frames, and the calls that did it.
        self.settled: dict[fx.Node, fx.Node] = {}
        self._orders = 0
        inputs = [node for node in graph.nodes if node.op == "placeholder"]
        if len(inputs) != 1:
            raise ConversionError(
                f"the model takes {len(inputs)} inputs; only models with one image input can be converted"
            )
        self.frame: fx.Node = inputs[0]
        self._layouts[self.frame] = map_layout(Order(size, FRAME, follows_frame=True))
        with graph.inserting_after(self.frame):
            self.slot = graph.placeholder("input_slot")
        self.mask: fx.Node | None = None
        if first_layer is not None:
            with graph.inserting_after(self.slot):
                self.mask = graph.placeholder("input_mask")
        # Nodes whose values are masked, with the layers put off until the mask is off.
        self.masked: dict[fx.Node, tuple[nn.Module, ...]] = {} if first_layer is None else {self.frame: ()}

    def run(self) -> Outputs:
        """Convert every node; return what is known about the output."""
        for node in list(self.graph.nodes):
            if node.op == "output":
                given = tree_leaves(node.args[0])
                if any(value in self.masked for value in given if isinstance(value, fx.Node)):
                    raise ConversionError("the model returns the masked frame itself: nothing takes the mask off")
                layouts = [self.layout(value) if isinstance(value, fx.Node) else () for value in given]
                output = Outputs(tuple(layouts), node.meta.get("spec"))
            elif node not in self._layouts and node not in (self.slot, self.mask):
                self._layouts[node] = self._convert(node)
        # Layers that were put off run inside others now.
        for node in reversed([node for node in self.masked if node is not self.frame]):
            self.graph.erase_node(node)
        return output

    def _convert(self, node: fx.Node) -> Layout | Several:
        """Replace one node if it needs its neighbours; return the layout of its result."""
        if all(is_plain(self._layouts[source]) for source in node.all_input_nodes):
            return plain_like(node.meta.get("value"))
        if any(source in self.masked for source in node.all_input_nodes):
            return convert_masked(self, node)
        before = len(self.layers)
        try:
            rule = self._find_rule(self, node)
            if rule is None:
                raise self.refuse(node, "it is not known to read a fixed neighbourhood of each pixel")
            layout = rule(self, node)
        except OperatorError as error:
            raise self.refuse(node, str(error)) from error
        if len(self.layers) == before and isinstance(node.meta.get("value"), Tensor):
            self.free += 1
        if not isinstance(layout, Several) and follows_frame(layout) and not node.meta.get("by_frame", False):
            raise self.refuse(node, _MIXED)
        return layout

    def keep_frames_apart(self, node: fx.Node, dims: Collection[int]) -> None:
        """Raise where a node works along the batch, and each frame of it is still in an order of its own."""
        if 0 in dims and follows_frame(self.layout(self.input(node))):
            raise self.refuse(node, _MIXED)

    def refuse(self, node: fx.Node, reason: str) -> ConversionError:
        """Return the error that names a node."""
        if node.op == "call_module":
            kind = type(self.module(node)).__name__
            return ConversionError(f"layer {str(node.target)!r} ({kind}) can't be converted: {reason}")
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        inside = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
        where = f" in layer {inside[-1]!r}" if inside and inside[-1] else ""
        return ConversionError(f"operation {name!r} (node {node.name!r}){where} can't be converted: {reason}")

    def module(self, node: fx.Node) -> nn.Module:
        """Return the module that a node calls."""
        return self.root.get_submodule(str(node.target))

    def input(self, node: fx.Node) -> fx.Node:
        """Return the node that a node's first argument is."""
        source = node.args[0] if node.args else node.kwargs.get("input", node.kwargs.get("x"))
        if not isinstance(source, fx.Node):
            raise self.refuse(node, "its first argument is no tensor")
        return source

    def layout(self, node: fx.Node) -> Layout:
        """Return the layout of a node's tensor."""
        layout = self._layouts[node]
        if isinstance(layout, Several):
            raise self.refuse(node, "it gives several tensors where one is needed")
        return layout

    def layouts(self, node: fx.Node) -> Layout | Several:
        """Return the layout of a node's tensor, or of its tuple of tensors."""
        return self._layouts[node]

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Return the shape of a node's tensor, with a batch of ``PROBE_BATCH``."""
        value = node.meta["value"]
        if not isinstance(value, Tensor):
            raise self.refuse(node, "it gives several tensors where one is needed")
        return tuple(value.shape)

    def value(self, argument: Any) -> Any:
        """Return an argument with nodes replaced by what they are at the converted size."""
        return fx.map_arg(argument, lambda node: node.meta["value"])

    def argument(self, node: fx.Node, index: int, name: str, default: Any = None) -> Any:
        """Return a node's argument by place or name, as :meth:`value` does."""
        return self.value(self.raw(node, index, name, default))

    def raw(self, node: fx.Node, index: int, name: str, default: Any = None) -> Any:
        """Return a node's argument by place or name, with nodes in it."""
        return node.args[index] if len(node.args) > index else node.kwargs.get(name, default)

    def map_order(self, source: fx.Node, node: fx.Node) -> Order:
        """Return the order of ``source``, which ``node`` reads as maps (B, C, H, W)."""
        layout = self.layout(source)
        if layout[:2] == (None, None) and [t.axis for t in layout[2:] if t] == ["y", "x"]:
            assert layout[2] is not None
            return layout[2].order
        raise self.refuse(node, "its input is no map (batch, channels, height, width)")

    def new_order(self, grid: tuple[int, int], label: str) -> Order | None:
        """Return an order with a key of its own; None, natural order, where one pixel has none or keys are left out."""
        if grid == (1, 1) or self.stem_only:
            return None
        self._orders += 1
        return Order(grid, label, self._orders)

    def is_only_call(self, node: fx.Node) -> bool:
        """Whether a node is the only one that calls its module."""
        return len([n for n in self.graph.nodes if n.op == "call_module" and n.target == node.target]) == 1

    def keyed_name(self, node: fx.Node) -> str:
        """Return the name of the keyed layer that replaces a node: that of its module if nothing else calls it."""
        return str(node.target) if node.op == "call_module" and self.is_only_call(node) else f"keyed_{node.name}"

    def parameter(self, node: fx.Node, name: str) -> fx.Node | None:
        """Return a parameter of a node's module as a node of its own; None where the module has none."""
        parameter = getattr(self.module(node), name)
        if parameter is None:
            return None
        with self.graph.inserting_before(node):
            found = self.graph.get_attr(f"{node.target}.{name}")
        note(found, torch.empty(parameter.shape, dtype=parameter.dtype, device="meta"))
        self._layouts[found] = (None,) * parameter.ndim
        return found

    def replace(
        self, node: fx.Node, make: Make, *extra: Any, same_order: bool = False, through: bool = False
    ) -> Layout:
        """Make a node on maps call a keyed layer between its input's order and one of its own.

        Parameters
        ----------
        make : callable
            See :class:`KeyedLayer`; it gets the settings of the node's module, if it calls one.
        extra
            Arguments between the map and the slot table.
        same_order : bool
            Write the input's order instead of an own one.
        through : bool
            It reads through its table, so that only its output is moved.
        """
        source = self.input(node)
        order = self.map_order(source, node)
        name, out = self.keyed_name(node), self.shape(node)
        size = (out[-2], out[-1])
        written = order if same_order else self.new_order(size, name)
        moved = [] if same_order else [node] if through else [source, *([] if written is None else [node])]
        values = sum(one.meta["value"].numel() // PROBE_BATCH for one in moved)
        plain = settings_of(self.module(node)) if node.op == "call_module" else None
        self.layers.append(KeyedLayer(name, make, plain, order, written, order.grid, size, values))
        node.op, node.target, node.kwargs = "call_module", name, {}
        node.args = (source, *extra, *self.slot_argument(order))
        return plain_like(node.meta["value"]) if written is None else map_layout(written)

    def slot_argument(self, order: Order | None) -> tuple[fx.Node, ...]:
        """Return what a keyed layer gets beside its map: the frames' slot table, if it reads their order."""
        return (self.slot,) if order is not None and order.follows_frame else ()

    def insert(self, node: fx.Node, source: fx.Node, name: str, make: Make, orders: tuple[Order | None, Order | None],
               layout: Layout, shape: Sequence[int] | None = None, *, everywhere: bool = False) -> fx.Node:  # fmt: skip
        """Put a keyed layer that gives ``layout`` (and ``shape``) between ``source`` and ``node``; return its call.

        With ``everywhere`` all that reads ``source`` reads the layer instead, and it stands before ``node``.
        """
        reads, writes = orders
        grids = [order.grid for order in orders if order is not None]
        given = source.meta["value"]
        result = torch.empty(given.shape if shape is None else tuple(shape), dtype=given.dtype, device="meta")
        self.layers.append(
            KeyedLayer(name, make, None, reads, writes, grids[0], grids[-1], result.numel() // PROBE_BATCH)
        )
        with self.graph.inserting_before(node):
            call = self.graph.call_module(name, (source, *self.slot_argument(reads)))
        note(call, result)
        self._layouts[call] = layout
        if everywhere:
            source.replace_all_uses_with(call, lambda user: user is not call)
        else:
            node.replace_input_with(source, call)
        return call

    def permute_before(self, node: fx.Node, sequence: Sequence[int]) -> None:
        """Let a node read its first argument with its dimensions in another sequence."""
        source = self.input(node)
        with self.graph.inserting_before(node):
            call = self.graph.call_method("permute", (source, *sequence))
        note(call, source.meta["value"].permute(*sequence))
        layout = self.layout(source)
        self._layouts[call] = tuple(layout[dim] for dim in sequence)
        node.replace_input_with(source, call)


def plain_like(value: Any) -> Layout | Any:
    """Return the layout of a value without pixel orders; tuples of tensors give the layout of each."""
    if isinstance(value, Tensor):
        return (None,) * value.ndim
    if isinstance(value, (tuple, list)) and any(isinstance(part, (Tensor, tuple, list)) for part in value):
        return Several(tuple(plain_like(part) for part in value))
    return ()

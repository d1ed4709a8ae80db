"""Models that ``torch.fx`` cannot follow, through ``torch.export``, as graphs in the same vocabulary.

Libraries that answer with objects, count their outputs or ask tensors for more than their shapes, as Hugging Face's
transformers do, are followed by running them on tensors without values. What comes back are PyTorch's innermost
operators; here they become the functions and layers again that the rules of conversion know.
"""

import contextlib
import copy
import operator
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.export.graph_signature import InputKind

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]
"""A function or the name of a method, with its arguments."""

# What the innermost operators check is checked by conversion, too.
_CHECKS = ("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size")
_STORED = (InputKind.PARAMETER, InputKind.BUFFER)


def trace_exported(model: nn.Module, example: Tensor) -> fx.Graph:
    """Return a model's graph for inputs like ``example`` (B, C, H, W) and any batch.

    The model must be in evaluation mode, and it is read in it: layers of ``torch.nn`` become calls of the model's own
    and keep what they do in training, but nothing else does; conversions of type stay as they are. Constants that the
    model makes on its way are registered with it as buffers that are not saved. Where the model returns an object, the
    output node's ``meta["spec"]`` tells how to put it together.

    Raises
    ------
    Exception
        Of whatever type ``torch.export`` raises for what it can't follow.
    """
    # A copy, because models that remember what they computed would be left with tensors without values.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            copy.deepcopy(model), (example,), dynamic_shapes=({0: torch.export.Dim("batch")},), strict=False
        )
    graph, known = fx.Graph(), dict[fx.Node, Any]()
    stored = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    own = {name for name, spec in stored.items() if spec.kind is not InputKind.USER_INPUT}
    lifted = _single_calls(model, program.graph, own)
    for node in program.graph.nodes:
        if node.op == "placeholder":
            spec = stored[node.name]
            if spec.kind is InputKind.USER_INPUT:
                known[node] = graph.placeholder(node.name)
            else:
                name = str(spec.target)
                if spec.kind not in _STORED:
                    name = f"constant_{name.replace('.', '_')}"
                    model.register_buffer(name, program.constants[str(spec.target)], persistent=False)
                known[node] = graph.get_attr(name)
        elif node.op == "output":
            _finish(graph, fx.map_arg(node.args[0], known.__getitem__), program.call_spec.out_spec)
        elif node in lifted:
            path, source = lifted[node]
            if path is not None:
                known[node] = graph.call_module(path, (known[source],))
        else:
            _copy(graph, node, known)
    _drop_unread(graph)
    return graph


def _drop_unread(graph: fx.Graph) -> None:
    """Erase what nothing reads: parameters of lifted layers, and what was checked or asked on the way."""
    for node in reversed(graph.nodes):
        writes = str(getattr(node.target, "__name__", node.target)).endswith("_") or "inplace" in node.kwargs
        if not node.users and node.op not in ("placeholder", "output") and not writes:
            graph.erase_node(node)


def _finish(graph: fx.Graph, leaves: Any, spec: Any) -> None:
    """Write the output node: a single tensor by itself, several as a tuple."""
    single = len(leaves) == 1
    node = graph.output(leaves[0] if single else tuple(leaves))
    if not (single and spec.is_leaf()):
        node.meta["spec"] = spec


def _copy(graph: fx.Graph, node: fx.Node, known: dict[fx.Node, Any]) -> None:
    """Write one operator as the call that it stands for."""
    name = _name(node)
    if name in _CHECKS:
        return
    given: tuple[Any, Any] = (fx.map_arg(node.args, known.__getitem__), fx.map_arg(node.kwargs, known.__getitem__))
    args, kwargs = given
    if name == "to" and _changes_nothing(node):
        known[node] = args[0]
        return
    target, args, kwargs = (node.target, args, kwargs) if name is None else _known_call(name, node, args, kwargs)
    made = graph.create_node("call_method" if isinstance(target, str) else "call_function", target, args, kwargs)
    made.meta["nn_module_stack"] = {key: (path, None) for key, (path, _) in _stack(node).items()}
    known[node] = made


def _name(node: fx.Node) -> str | None:
    """Return the name of an innermost operator; None for Python's own functions."""
    packet = getattr(node.target, "_overloadpacket", None)
    return None if packet is None else str(packet.__name__)


def _stack(node: fx.Node) -> dict[str, tuple[str, Any]]:
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack", {})
    return stack


def _changes_nothing(node: fx.Node) -> bool:
    """Whether a conversion of type keeps it: written out, it would bind the network to this type."""
    source = node.args[0]
    before, after = source.meta.get("val") if isinstance(source, fx.Node) else None, node.meta.get("val")
    return isinstance(before, Tensor) and isinstance(after, Tensor) and before.dtype == after.dtype


def _single_calls(model: nn.Module, graph: fx.Graph, own: set[str]) -> dict[fx.Node, tuple[str | None, Any]]:
    """Find the operators that together are one call of one of torch's own layers.

    Parameters
    ----------
    own : set of str
        Names of the nodes that are parameters, buffers and constants.

    Returns
    -------
    dict
        For the last operator of a call, the layer's path and its input; for those before it, None and None.
    """
    groups: dict[tuple[str, str], list[fx.Node]] = {}
    for node in graph.nodes:
        if node.op == "call_function" and _stack(node):
            key, (path, _) = list(_stack(node).items())[-1]
            groups.setdefault((key, path), []).append(node)
    found: dict[fx.Node, tuple[str | None, Any]] = {}
    for (_, path), nodes in groups.items():
        layer = None
        with contextlib.suppress(AttributeError):
            layer = model.get_submodule(path.partition("@")[0])
        if layer is None or not type(layer).__module__.startswith("torch.nn.modules") or list(layer.children()):
            continue
        inside = set(nodes)
        given = dict.fromkeys(
            source for node in nodes for source in node.all_input_nodes
            if source not in inside and source.name not in own
        )  # fmt: skip
        read = [node for node in nodes if any(user not in inside for user in node.users)]
        if len(given) == 1 and read == nodes[-1:] and isinstance(nodes[-1].meta.get("val"), Tensor):
            found.update(dict.fromkeys(nodes[:-1], (None, None)))
            found[nodes[-1]] = path.partition("@")[0], next(iter(given))
    return found


def _known_call(name: str, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Return an innermost operator as a function or method of PyTorch's own interface."""
    if name in _SPECIAL:
        return _SPECIAL[name](node, args, kwargs)
    plain = name.removesuffix("_")
    if name != plain and hasattr(F, plain) and not hasattr(Tensor, name):
        return getattr(F, plain), args, {**kwargs, "inplace": True}
    for home in (F, torch):
        if hasattr(home, name):
            return getattr(home, name), args, kwargs
    return (name if hasattr(Tensor, name) else node.target), args, kwargs


Translation = Callable[[fx.Node, tuple[Any, ...], dict[str, Any]], Call]


def _as(target: Any, *sequence: int) -> Translation:
    """Return the translation into ``target`` with the arguments of these places; all, if none is given."""

    def translate(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return target, tuple(args[i] for i in sequence if i < len(args)) if sequence else args, kwargs

    return translate


def _rank(node: fx.Node) -> int:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    return int(source.meta["val"].ndim)


def _slice(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    given: list[Any] = [*args, *(0, None, None, 1)[len(args) - 1 :]]
    x, dim, start, stop, step = given
    if isinstance(stop, int) and stop >= torch.iinfo(torch.int64).max:
        stop = None
    return operator.getitem, (x, (*(slice(None),) * (dim % _rank(node)), slice(start, stop, step))), {}


def _select(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    x, dim, place = args
    return operator.getitem, (x, (*(slice(None),) * (dim % _rank(node)), place)), {}


def _index(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    x, places = args
    return operator.getitem, (x, tuple(slice(None) if place is None else place for place in places)), {}


def _resize(mode: str, *, antialias: bool = False) -> Translation:
    """Resizing: (x, size, align_corners, scale_factors), without the third for the nearest pixel."""

    def translate(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        x, size, *corners, factors = args
        options = {"align_corners": corners[0]} if corners else {}
        if antialias:
            options["antialias"] = True
        size = None if size is None else tuple(size)
        return F.interpolate, (x, size, None if factors is None else tuple(factors), mode), options

    return translate


def _to(node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return "to", (args[0], node.meta["val"].dtype), {}


_SPECIAL: dict[str, Translation] = {
    "slice": _slice,
    "select": _select,
    "index": _index,
    "to": _to,
    "_to_copy": _to,
    "sym_size": _as("size"),
    "softmax": _as(torch.softmax),
    "log_softmax": _as(torch.log_softmax),
    "split_with_sizes": _as(torch.split),
    "linalg_vector_norm": _as(torch.linalg.vector_norm),
    "feature_dropout": _as(F.dropout2d),
    # Without the flag for one maker's library, and in the order of the public function.
    "layer_norm": _as(F.layer_norm, 0, 1, 2, 3, 4),
    "group_norm": _as(F.group_norm, 0, 1, 2, 3, 4),
    "batch_norm": _as(F.batch_norm, 0, 3, 4, 1, 2, 5, 6, 7),
    "instance_norm": _as(F.instance_norm, 0, 3, 4, 1, 2, 5, 6, 7),
    "embedding": _as(F.embedding, 1, 0),
    "upsample_nearest2d": _resize("nearest"),
    "_upsample_nearest_exact2d": _resize("nearest-exact"),
    "upsample_bilinear2d": _resize("bilinear"),
    "upsample_bicubic2d": _resize("bicubic"),
    "_upsample_bilinear2d_aa": _resize("bilinear", antialias=True),
    "_upsample_bicubic2d_aa": _resize("bicubic", antialias=True),
}

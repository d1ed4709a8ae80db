"""A model as a graph of operations, with the shape of every result."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx._symbolic_trace import _maybe_revert_all_patches

from networks.errors import ConversionError
from networks.layers import Normalize, Scale

# Two, because a batch of one could not be told from a dimension that was put in.
PROBE_BATCH = 2
# What a branch may ask of a tensor: the answers are the same for every frame of the size that is converted.
_SHAPE_QUERIES = frozenset({"shape", "ndim", "dtype", "device", "size", "dim", "numel", "is_floating_point", "is_cuda"})


class _Tracer(fx.Tracer):
    """Stops at torch's own layers and at our pointwise ones; follows branches that only ask for shapes."""

    # Buffers are nodes of the graph like parameters, so that operations on them are traced, too.
    proxy_buffer_attributes = True

    def __init__(self, example: torch.Tensor) -> None:
        super().__init__()
        self.inside: list[tuple[str, str]] = []
        # The values that branches made necessary, for two batches: an answer that depends on the batch is no answer.
        self.runs = [(example[:count], dict[fx.Node, Any]()) for count in (1, PROBE_BATCH)]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (Normalize, Scale)) or super().is_leaf_module(m, module_qualified_name)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        # Left as it is when tracing fails inside: it then names the module.
        self.inside.append((self.path_of_module(m), type(m).__name__))
        result = super().call_module(m, forward, args, kwargs)
        self.inside.pop()
        return result

    def to_bool(self, obj: fx.Proxy) -> bool:
        _require_shape_only(obj.node)
        with _maybe_revert_all_patches(), torch.inference_mode(), _evaluating(self.root):
            answers = {bool(_evaluate(obj.node, self.root, example, known)) for example, known in self.runs}
        if len(answers) > 1:
            raise fx.proxy.TraceError("a branch depends on the batch size")
        return answers.pop()


def _evaluate(node: fx.Node, root: nn.Module, example: torch.Tensor, known: dict[fx.Node, Any]) -> Any:
    """Return the value of a node of a graph that is still being traced; ``known`` is what was evaluated before."""
    interpreter = fx.Interpreter(root, graph=node.graph)
    interpreter.args_iter = iter((example,))
    interpreter.env = known
    wanted, pending = set(), [node]
    while pending:
        one = pending.pop()
        if one not in wanted and one not in known:
            wanted.add(one)
            pending.extend(one.all_input_nodes)
    for one in node.graph.nodes:
        if one in wanted:
            known[one] = interpreter.run_node(one)
    return known[node]


def _require_shape_only(node: fx.Node) -> None:
    """Raise TraceError when a node's value depends on more than shapes."""
    target = node.args[1] if node.target is getattr else node.target
    if isinstance(target, str) and target in _SHAPE_QUERIES and node.op in ("call_function", "call_method"):
        return
    if node.op == "placeholder" or node.op == "call_module" or not node.all_input_nodes:
        raise fx.proxy.TraceError("a branch depends on the data")
    for source in node.all_input_nodes:
        _require_shape_only(source)


class _ShapeRecorder(fx.Interpreter):
    """Runs a graph and notes every result: tensors as empty ones without memory, other values as they are."""

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        note(n, torch.utils._pytree.tree_map_only(torch.Tensor, _without_memory, result))
        return result


def note(node: fx.Node, value: Any) -> None:
    """Note a node's result: under "tensor_meta", too, where passes over graphs look for shapes."""
    node.meta["value"] = node.meta["tensor_meta"] = value


def _without_memory(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and every module back into its own."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def trace(model: nn.Module, shape: tuple[int, int, int]) -> fx.Graph:
    """Return a model's graph, whose nodes' ``meta["value"]`` holds their results at ``shape`` = (C, H, W).

    Raises
    ------
    ConversionError
        If the model's forward depends on the data, or it does not run at this size.
    """
    name = type(model).__name__
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    example = like.detach().new_zeros(PROBE_BATCH, *shape)
    tracer = _Tracer(example)
    if tracer.is_leaf_module(model, ""):
        raise ConversionError(f"{name} is a single layer, not a network: wrap it in nn.Sequential")
    try:
        graph = tracer.trace(model)
    except Exception as error:  # fx raises many types for untraceable code
        path, kind = tracer.inside[-1] if tracer.inside else ("", name)
        where = f"layer {path!r} ({kind})" if path else name
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConversionError(f"{where} can't be converted: its forward can't be traced ({reason})") from error
    try:
        with torch.inference_mode(), _evaluating(model):
            _ShapeRecorder(model, graph=graph).run(example)
    except Exception as error:  # whatever the model raises for a size it can't take
        c, h, w = shape
        reason = str(error).strip().splitlines()[0]
        raise ConversionError(f"{name} can't be converted: it does not run on {c}x{h}x{w} frames ({reason})") from error
    return graph

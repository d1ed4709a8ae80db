"""A model as a graph of operations, with the shape of every result.

``torch.fx`` follows most models, and names their layers best; ``torch.export`` follows the others.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx, nn
from torch.fx._symbolic_trace import _maybe_revert_all_patches
from torch.utils._pytree import tree_leaves

from networks.errors import ConversionError
from networks.exported import trace_exported
from networks.layers import Normalize, Scale

# Two, because a batch of one could not be told from a dimension that was put in.
PROBE_BATCH = 2
# What a branch may ask of a tensor: the answers are the same for every frame of the size that is converted.
_SHAPE_QUERIES = frozenset({"shape", "ndim", "dtype", "device", "size", "dim", "numel", "is_floating_point", "is_cuda"})


class _BatchError(fx.proxy.TraceError):
    """A branch depends on the batch size, which no graph can follow: torch.export would take one side unasked."""


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
            raise _BatchError("a branch depends on the batch size")
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


class _BatchRecorder(fx.Interpreter):
    """Runs a graph for one frame, and notes which results hold one entry for each frame in their first dimension.

    ``meta["by_frame"]`` is whether that dimension, and no other, grows with the batch.
    """

    def run_node(self, n: fx.Node) -> Any:
        result, probed = super().run_node(n), n.meta["value"]
        if isinstance(result, torch.Tensor) and isinstance(probed, torch.Tensor):
            grows = (tuple(result.shape[:1]), tuple(probed.shape[:1])) == ((1,), (PROBE_BATCH,))
            n.meta["by_frame"] = grows and result.shape[1:] == probed.shape[1:]
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
        if _optional_inputs(graph):
            raise fx.proxy.TraceError("it has inputs beside the image, which may be left out")
    except Exception as error:  # fx raises many types for untraceable code
        with torch.inference_mode(), _evaluating(model):
            _run(model, example, shape)
        graph = _exported(model, example, error, tracer.inside[-1] if tracer.inside else ("", name))
    with torch.inference_mode(), _evaluating(model):
        _run(_ShapeRecorder(model, graph=graph).run, example, shape, name)
        # A model made for a certain batch is refused where that matters, with the reason.
        with contextlib.suppress(Exception):
            _BatchRecorder(model, graph=graph).run(example[:1])
    return graph


def _optional_inputs(graph: fx.Graph) -> list[fx.Node]:
    """Return the inputs that have a default, which ``torch.fx`` leaves open and ``torch.export`` takes."""
    return [node for node in graph.nodes if node.op == "placeholder" and node.args]


def _run(call: Callable[..., Any], example: torch.Tensor, shape: tuple[int, int, int], name: str = "") -> None:
    """Run a model or its graph; raise ConversionError when it can't take the size."""
    try:
        call(example)
    except Exception as error:  # whatever the model raises for a size it can't take
        c, h, w = shape
        raise ConversionError(
            f"{name or type(call).__name__} can't be converted: it does not run on {c}x{h}x{w} frames "
            f"({_first_line(error)})"
        ) from error


def _exported(model: nn.Module, example: torch.Tensor, failure: Exception, where: tuple[str, str]) -> fx.Graph:
    """Return the graph that ``torch.export`` finds, or raise for what neither it nor ``torch.fx`` can follow."""
    path, kind = where
    place = f"layer {path!r} ({kind})" if path else kind
    refused = ConversionError(f"{place} can't be converted: its forward can't be traced ({_first_line(failure)})")
    if isinstance(failure, _BatchError):
        raise refused from failure
    with _evaluating(model):
        try:
            graph = trace_exported(model, example)
            same = all(_agree(model, graph, example[:1].expand(count, -1, -1, -1)) for count in (1, PROBE_BATCH + 1))
        except Exception:  # torch.export raises many types, too
            raise refused from failure
    if not same:
        raise refused from failure
    return graph


def _agree(model: nn.Module, graph: fx.Graph, like: torch.Tensor) -> bool:
    """Whether a graph gives a model's answers for frames of any values."""
    generator = torch.Generator().manual_seed(len(like))
    frames = torch.rand(like.shape, generator=generator, dtype=torch.float64).to(like)
    with torch.no_grad():
        plain, found = (
            tree_leaves(answer) for answer in (model(frames), fx.Interpreter(model, graph=graph).run(frames))
        )
    return len(plain) == len(found) and all(map(_is_close, plain, found))


def _is_close(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor) or not one.is_floating_point():
        return type(one) is type(other) and bool(torch.as_tensor(one == other).all())
    return torch.allclose(one, other, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__

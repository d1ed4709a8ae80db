"""A network's graph for inference: what follows a convolution is folded into it, and steps become runs.

Only the graph that runs the modules changes; they keep their parameters and names.
"""

import copy
import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from operators.engine_runs import join_steps
from operators.engine_steps import FusedNorm, fuse_epilogue, is_convolution, is_foldable

_ADDITIONS = (operator.add, operator.iadd, torch.add)
_RELUS = (F.relu, torch.relu, "relu", "relu_")


def fuse_graph(root: nn.Module, graph: fx.Graph) -> fx.GraphModule:
    """Return a network's graph with every convolution fused with what follows it.

    ``conv``, ``conv - norm``, ``conv - norm - activation`` and ``conv - norm - add - activation`` become one step
    where no other node reads what lies between. Neither ``root`` nor ``graph`` is changed.

    Parameters
    ----------
    root : nn.Module
        Holds the modules that the graph calls, by their names.
    graph : fx.Graph
        Of a converted network in particular.

    Returns
    -------
    fx.GraphModule
        Steps that follow one another are runs (:mod:`operators.engine_runs`). Shares the modules of ``root``, which
        stays the owner of parameters and names.
    """
    graph = copy.deepcopy(graph)
    parts: dict[str, Any] = {}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            parts[str(node.target)] = operator.attrgetter(str(node.target))(root)
    for node in list(graph.nodes):
        if node.op == "call_module" and is_convolution(parts[str(node.target)]) and not node.kwargs:
            _fuse_node(graph, node, parts)
    for node in list(graph.nodes):
        if is_foldable(_module(node, parts)) and not node.kwargs:
            _fuse_norm(graph, node, parts)
    graph.lint()
    return join_steps(fx.GraphModule(parts, graph))


def _fuse_node(graph: fx.Graph, conv: fx.Node, parts: dict[str, Any]) -> None:
    """Put one step in the place of a convolution and what follows it."""
    chain, norm, residual = [conv], None, None
    follower = _only_reader(conv)
    if follower is not None and is_foldable(_module(follower, parts)):
        norm = parts[str(follower.target)]
        chain.append(follower)
        follower = _only_reader(follower)
    residual = None if follower is None else _added(follower, chain[-1])
    if follower is not None and residual is not None:
        chain.append(follower)
        follower = _only_reader(follower)
    activation = None if follower is None else _activation(follower, parts)
    if follower is not None and activation is not None:
        chain.append(follower)
    slot = conv.args[1] if len(conv.args) > 1 else None
    name = _new_name(conv, parts)
    parts[name] = fuse_epilogue(parts[str(conv.target)], norm, activation)
    with graph.inserting_after(chain[-1]):
        fused = graph.call_module(name, (conv.args[0], slot, residual))
    # A later sum asks for its terms' shapes.
    fused.meta = dict(chain[-1].meta)
    _replace(graph, chain, fused)


def _fuse_norm(graph: fx.Graph, norm: fx.Node, parts: dict[str, Any]) -> None:
    """Put one step in the place of a batch norm that follows no convolution, and its activation."""
    chain, follower = [norm], _only_reader(norm)
    activation = None if follower is None else _activation(follower, parts)
    if follower is not None and activation is not None:
        chain.append(follower)
    name = _new_name(norm, parts)
    parts[name] = FusedNorm(parts[str(norm.target)], activation)
    with graph.inserting_after(chain[-1]):
        fused = graph.call_module(name, (norm.args[0],))
    fused.meta = dict(chain[-1].meta)
    _replace(graph, chain, fused)


def _new_name(node: fx.Node, parts: dict[str, Any]) -> str:
    """Return a name for the step that begins with a node; one layer can begin several."""
    name = f"{node.target}.fused"
    while name in parts:
        name += "_again"
    return name


def _replace(graph: fx.Graph, chain: list[fx.Node], fused: fx.Node) -> None:
    chain[-1].replace_all_uses_with(fused)
    for node in reversed(chain):
        graph.erase_node(node)


def _activation(node: fx.Node, parts: dict[str, Any]) -> nn.Module | None:
    """Return the clamp that a node is, if it is one."""
    module = _module(node, parts)
    if isinstance(module, nn.ReLU | nn.Hardtanh):
        return module
    return nn.ReLU() if node.target in _RELUS else None


def _module(node: fx.Node, parts: dict[str, Any]) -> object:
    return parts.get(str(node.target)) if node.op == "call_module" else None


def _only_reader(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _added(node: fx.Node, term: fx.Node) -> fx.Node | None:
    """Return what a node adds to ``term``, when both are maps of one shape."""
    if node.op != "call_function" or node.target not in _ADDITIONS or node.kwargs or len(node.args) != 2:
        return None
    left, right = node.args
    # ``other += term`` would change a tensor that others may read.
    if right is term and node.target is not operator.iadd:
        left, right = right, left
    if left is not term or not isinstance(right, fx.Node) or right is term:
        return None
    # A sum can also spread one pixel over a map.
    shapes = {getattr(other.meta.get("tensor_meta"), "shape", None) for other in (node, left, right)}
    return right if len(shapes) == 1 and None not in shapes else None

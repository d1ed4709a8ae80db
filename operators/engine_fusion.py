"""What follows a convolution, folded into it for inference: batch norm, residual and activation.

The modules keep their parameters and names; only the graph that runs them changes. Wherever the engine "indirect" can
not run (training, other types and devices), a fused step calls the modules one after another, as before.
"""

import copy
import math
import operator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from operators.convolution_modules import KeyedConv2d
from operators.engine_indirect import can_run, convolve_frames, engine_table, is_plain_inference, is_worth_it
from operators.engine_threads import limited_to, threads_for
from operators.errors import OperatorError
from operators.indirect_weights import NormCache, WeightCache
from operators.norm_kernels import scale_in_parallel, scale_rows
from operators.rows import from_rows, to_rows

# Tables of pointwise layers hold no secret; a network has few sizes.
_IDENTITIES = 32
# Below this many values, starting threads costs more than it saves.
_PARALLEL_VALUES = 100_000
_ADDITIONS = (operator.add, operator.iadd, torch.add)
_RELUS = (F.relu, torch.relu, "relu", "relu_")


class FusedConv2d(nn.Module):
    r"""A convolution with its batch norm, a residual and its activation in one step.

    .. math:: y = \mathrm{activation}(\mathrm{norm}(\mathrm{conv}(x)) + r)

    Made by :func:`fuse_epilogue`.
    """

    def __init__(
        self, conv: KeyedConv2d | nn.Conv2d, norm: nn.BatchNorm2d | None, activation: nn.Module | None
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.activation = conv, norm, activation
        self._low, self._high = _bounds(activation)
        self._weights = WeightCache()

    def forward(self, x: Tensor, slot: Tensor | None = None, residual: Tensor | None = None) -> Tensor:
        """Return (B, D, Ho, Wo) for frames (B, C, H, W); ``slot`` as for :class:`KeyedConv2d`.

        ``residual`` has the result's shape, or is None.
        """
        conv, norm = self.conv, self.norm
        packed = None
        if is_plain_inference(x, residual) and (norm is None or not norm.training):
            # What was packed before was checked before: a layer of a small map takes no longer than such checks.
            packed = self._weights.unchanged(conv, norm)
        if packed is None:
            parameters = (conv.weight, conv.bias, residual, *self._norm_tensors())
            worth_it = conv.tries_indirect if isinstance(conv, KeyedConv2d) else True
            if not worth_it or (norm is not None and norm.training) or not can_run(x, *parameters):
                return self._one_by_one(x, slot, residual)
            by_squares = isinstance(conv, KeyedConv2d) and conv.by_squares
            packed = self._weights.packed(conv, norm, self._low, self._high, by_squares)
        if isinstance(conv, KeyedConv2d):
            return conv.run_indirect(x, packed, slot, residual)
        size = (x.shape[2], x.shape[3])
        return convolve_frames(x, _identity_table(size[0] * size[1], x.shape[1]), packed, size, residual=residual)

    def _norm_tensors(self) -> tuple[Tensor | None, ...]:
        norm = self.norm
        return () if norm is None else (norm.weight, norm.bias, norm.running_mean, norm.running_var)

    def _one_by_one(self, x: Tensor, slot: Tensor | None, residual: Tensor | None) -> Tensor:
        y: Tensor = self.conv(x) if slot is None else self.conv(x, slot)
        y = y if self.norm is None else self.norm(y)
        y = y if residual is None else y + residual
        return y if self.activation is None else self.activation(y)


class FusedNorm(nn.Module):
    r"""A batch norm with its activation in one pass, where no convolution before it could take them.

    .. math:: y = \mathrm{activation}(x s + t), \quad s = \gamma / \sqrt{v + \epsilon}, \quad t = \beta - \mu s

    Batch norm does not mix pixels, so their order does not matter.
    """

    def __init__(self, norm: nn.BatchNorm2d, activation: nn.Module | None) -> None:
        super().__init__()
        self.norm, self.activation = norm, activation
        self._clamp = np.array(_bounds(activation), np.float32)
        self._weights = NormCache()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W), channels-last, for frames (B, C, H, W)."""
        norm = self.norm
        folded = self._weights.folded(norm) if is_plain_inference(x) and not norm.training else None
        if folded is None:
            y: Tensor = norm(x)
            return y if self.activation is None else self.activation(y)
        rows = to_rows(x)
        out = torch.empty_like(rows)
        C = x.shape[1]
        width = C * math.gcd(rows.numel() // C, len(folded[0]) // C) if C else 1
        before, after = rows.numpy().reshape(-1, width), out.numpy().reshape(-1, width)
        parts = threads_for(len(before)) if before.size >= _PARALLEL_VALUES else 1
        if parts == 1:
            scale_rows(before, *folded, self._clamp, after, 0, len(before))
        else:
            with limited_to(parts):
                scale_in_parallel(before, *folded, self._clamp, after, parts)
        return from_rows(out, (x.shape[2], x.shape[3]))


@lru_cache(maxsize=_IDENTITIES)
def _identity_table(size: int, channels: int) -> Tensor:
    """Return the table of a pointwise layer, whose output has its input's order."""
    return engine_table(torch.arange(size, dtype=torch.int32)[:, None], None, size, channels)


def _bounds(activation: nn.Module | None) -> tuple[float, float]:
    """Return the range to which an activation clamps."""
    if activation is None:
        return -math.inf, math.inf
    if isinstance(activation, nn.ReLU):
        return 0.0, math.inf
    if isinstance(activation, nn.Hardtanh):  # ReLU6 is one of them
        return float(activation.min_val), float(activation.max_val)
    raise OperatorError(
        f"{type(activation).__name__} is no clamp and can't be folded into a convolution; call it after"
    )


def _is_foldable(norm: object) -> bool:
    return isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None


def _is_convolution(module: object) -> bool:
    """Whether a module can be fused: keyed, or plain and pixel by pixel."""
    if isinstance(module, KeyedConv2d):
        return module.tries_indirect
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride == (1, 1)
        and module.padding in ((0, 0), "valid", "same")
        and module.in_channels != module.groups
        and is_worth_it(module.in_channels, module.out_channels, module.groups)
    )


def fuse_epilogue(
    conv: KeyedConv2d | nn.Conv2d, norm: nn.BatchNorm2d | None = None, activation: nn.Module | None = None
) -> FusedConv2d:
    """Return one module for a convolution and what follows it.

    Parameters
    ----------
    conv : KeyedConv2d or nn.Conv2d
        A plain one must be pointwise: 1x1 kernel, stride 1, no padding.
    norm : nn.BatchNorm2d, optional
        With running statistics.
    activation : nn.ReLU, nn.ReLU6 or nn.Hardtanh, optional

    Returns
    -------
    FusedConv2d
        Shares the modules, so that later changes of their parameters are seen.

    Raises
    ------
    OperatorError
        When one of them is of another kind.

    Examples
    --------
    >>> fused = fuse_epilogue(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16).eval(), nn.ReLU())
    >>> bool((fused(torch.ones(1, 16, 2, 3)) >= 0).all())
    True
    """
    if not isinstance(conv, KeyedConv2d) and not _is_convolution(conv):
        raise OperatorError(f"{type(conv).__name__} is neither keyed nor pointwise, and can't be fused")
    if norm is not None and not _is_foldable(norm):
        raise OperatorError(f"{type(norm).__name__} without running statistics can't be folded into a convolution")
    return FusedConv2d(conv, norm, activation)


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
        Shares the modules of ``root``, which stays the owner of parameters and names.
    """
    graph = copy.deepcopy(graph)
    parts: dict[str, Any] = {}
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            parts[str(node.target)] = operator.attrgetter(str(node.target))(root)
    for node in list(graph.nodes):
        if node.op == "call_module" and _is_convolution(parts[str(node.target)]) and not node.kwargs:
            _fuse_node(graph, node, parts)
    for node in list(graph.nodes):
        if _is_foldable(_module(node, parts)) and not node.kwargs:
            _fuse_norm(graph, node, parts)
    graph.lint()
    return fx.GraphModule(parts, graph)


def _fuse_node(graph: fx.Graph, conv: fx.Node, parts: dict[str, Any]) -> None:
    """Put one step in the place of a convolution and what follows it."""
    chain, norm, residual = [conv], None, None
    follower = _only_reader(conv)
    if follower is not None and _is_foldable(_module(follower, parts)):
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
    name = f"{conv.target}.fused"
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
    name = f"{norm.target}.fused"
    parts[name] = FusedNorm(parts[str(norm.target)], activation)
    with graph.inserting_after(chain[-1]):
        fused = graph.call_module(name, (norm.args[0],))
    fused.meta = dict(chain[-1].meta)
    _replace(graph, chain, fused)


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

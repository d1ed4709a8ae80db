"""Rules for what looks along one dimension, or over all pixels at once: linear layers, norms, means, attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from networks.alignment import TORN, align, kept, settle
from networks.conversion import Conversion, Rule
from networks.layout import Layout, Several, groups_of
from operators import KeyedLayerNorm, KeyedPositions


def _channelwise(conversion: Conversion, node: fx.Node) -> Layout:
    """Let pass what treats dimension 1 in its own way, and all others alike or by statistics over them."""
    layout = conversion.layout(conversion.input(node))
    if layout[1] is not None:
        raise conversion.refuse(node, "the pixels of its input lie where it expects channels")
    return layout


def _along(place: int, default: int | None = None, *, whole_map: bool = False) -> Rule:
    """Return the rule for what works along one dimension: one without pixels, or with ``whole_map`` of all."""

    def rule(conversion: Conversion, node: fx.Node) -> Any:
        layout = conversion.layout(conversion.input(node))
        dim = (conversion.module(node).dim if node.op == "call_module"
               else conversion.argument(node, place, "dim", default))  # fmt: skip
        if not isinstance(dim, int):
            raise conversion.refuse(node, "it does not name one dimension to work along")
        tag = layout[dim]
        conversion.keep_frames_apart(node, {dim % len(layout)})
        if tag is not None and not (whole_map and tag.axis == "yx"):
            raise conversion.refuse(node, TORN)
        value = node.meta["value"]
        if isinstance(value, Tensor):
            return layout if value.ndim == len(layout) else _without(layout, {dim % len(layout)})
        part = layout if value[0].ndim == len(layout) else _without(layout, {dim % len(layout)})
        return Several((part,) * len(value))

    return rule


def _without(layout: Layout, dims: set[int]) -> Layout:
    return tuple(tag for i, tag in enumerate(layout) if i not in dims)


def _reduce(place: int = 1) -> Rule:
    """Return the rule for means, sums and the like: over all pixels of a map or over none."""

    def rule(conversion: Conversion, node: fx.Node) -> Any:
        layout = conversion.layout(conversion.input(node))
        if not isinstance(node.meta["value"], Tensor) or isinstance(_given(conversion, node, place), Tensor):
            raise conversion.refuse(node, "over pixels it has no result that is the same in every order")
        dims = _reduced(conversion, node, place, len(layout))
        for group in groups_of(layout):
            reduced = [dim % len(layout) in dims for dim in group.dims]
            whole = all(reduced) and (group.is_whole or _is_second_step(conversion, node, place))
            first = len(reduced) == 2 and all(_is_second_step(conversion, user, place) for user in node.users)
            if any(reduced) and not whole and not first:
                raise conversion.refuse(node, "only the result over both height and width is the same in every order")
        if len(conversion.shape(node)) == len(layout):
            return tuple(None if i in dims else tag for i, tag in enumerate(layout))
        return _without(layout, dims)

    return rule


def _given(conversion: Conversion, node: fx.Node, place: int) -> Any:
    return conversion.argument(node, place, "dim", node.kwargs.get("axis"))


def _reduced(conversion: Conversion, node: fx.Node, place: int, rank: int) -> set[int]:
    """Return the dimensions over which a node reduces."""
    given = _given(conversion, node, place)
    if given is None or given == ():
        return set(range(rank))
    return {int(dim) % rank for dim in (given if isinstance(given, (tuple, list)) else (given,))}


_IN_STEPS = ("mean", "sum", "amax", "amin", "prod")


def _is_second_step(conversion: Conversion, node: fx.Node, place: int) -> bool:
    """Whether a node reduces what is left of a map after the same reduction over its rows or columns."""
    first = conversion.input(node) if node.args and isinstance(node.args[0], fx.Node) else None
    names = {getattr(one.target, "__name__", one.target) for one in (node, first) if one is not None}
    if first is None or len(names) != 1 or not names <= set(_IN_STEPS):
        return False
    source = conversion.input(first)
    layout = conversion.layout(source)
    over = _reduced(conversion, first, place, len(layout))
    keeps = len(conversion.shape(first)) == len(layout)
    left = [dim for dim in range(len(layout)) if keeps or dim not in over]
    over |= {left[dim] for dim in _reduced(conversion, node, place, len(left))}
    return all(dim % len(layout) in over for group in groups_of(layout) for dim in group.dims)


def _linear(conversion: Conversion, node: fx.Node) -> Layout:
    """Linear layers over channels are free; over pixels, as token mixing has them, their columns follow the order."""
    source = conversion.input(node)
    tag = conversion.layout(source)[-1]
    if tag is None:
        return conversion.layout(source)
    if tag.axis != "yx":
        raise conversion.refuse(node, TORN)
    if tag.order.follows_frame:
        source = settle(conversion, node, source)
        tag = conversion.layout(source)[-1]
    if tag is None:
        return conversion.layout(source)
    if node.op == "call_module":
        weight, bias = conversion.parameter(node, "weight"), conversion.parameter(node, "bias")
        node.op, node.target, node.args, node.kwargs = "call_function", F.linear, (source, weight, bias), {}
    weight = conversion.raw(node, 1, "weight")
    order, before = tag.order, tag.before
    conversion.insert(
        node, weight, f"columns_{node.name}", lambda _, i, o: KeyedPositions(order.grid, (-1,), before, i, o),
        (None, order), (None, tag),
    )  # fmt: skip
    return (*conversion.layout(source)[:-1], None)


def _layer_norm(conversion: Conversion, node: fx.Node) -> Layout:
    """Over channels it is free; over pixels its weights, one for each, follow their order."""
    source = conversion.input(node)
    layout = conversion.layout(source)
    if node.op == "call_module":
        module: Any = conversion.module(node)
        dims, affine = len(module.normalized_shape), module.elementwise_affine
    else:
        dims, affine = (
            len(conversion.argument(node, 1, "normalized_shape")),
            conversion.raw(node, 2, "weight") is not None,
        )
    inside = layout[-dims:]
    if all(tag is None for tag in inside):
        return layout
    if all(group.is_whole for group in groups_of(inside)) and not affine:
        return layout
    if node.op == "call_module" and conversion.is_only_call(node) and len(layout) == 4 and dims in (2, 3):
        return conversion.replace(node, lambda plain, i, o: KeyedLayerNorm(plain, i or o), same_order=True)
    raise conversion.refuse(
        node, "its weights differ from pixel to pixel, and only a layer over maps (B, C, H, W) can follow"
    )


def _matmul(conversion: Conversion, node: fx.Node) -> Layout:
    one, other = node.args[0], node.args[1] if len(node.args) > 1 else node.kwargs.get("other", node.kwargs.get("mat2"))
    assert isinstance(one, fx.Node)
    assert isinstance(other, fx.Node)
    ranks = len(conversion.shape(one)), len(conversion.shape(other))
    if min(ranks) < 2:
        raise conversion.refuse(node, "products of a map with a single vector are not known")
    batch = [list(range(-rank, -2)) for rank in ranks]
    tags = align(conversion, node, [(one, [*batch[0], "row", "inner"]), (other, [*batch[1], "inner", "column"])])
    return kept(conversion, node, tags, (*range(-max(ranks), -2), "row", "column"))


def _einsum(conversion: Conversion, node: fx.Node) -> Layout:
    equation = str(node.args[0]).replace(" ", "")
    operands = node.args[1] if isinstance(node.args[1], (tuple, list)) else node.args[1:]
    if "->" not in equation or "." in equation:
        raise conversion.refuse(node, "write its equation with '->' and without an ellipsis")
    terms, result = equation.split("->")
    tags = align(conversion, node, [(o, list(t)) for o, t in zip(operands, terms.split(","), strict=True)])
    return kept(conversion, node, tags, result)


def _attention_call(conversion: Conversion, node: fx.Node) -> Layout:
    """Scaled dot-product attention: in any order of queries and of keys, with a mask that follows both."""
    q, k, v, mask = (conversion.raw(node, i, name) for i, name in enumerate(("query", "key", "value", "attn_mask")))
    if conversion.argument(node, 5, "is_causal", False):
        raise conversion.refuse(node, "a causal mask depends on the order of the pixels; give it as attn_mask")
    rank = len(conversion.shape(q))
    batch = list(range(-rank, -2))
    operands = [(q, [*batch, "query", "inner"]), (k, [*batch, "key", "inner"]), (v, [*batch, "key", "value"])]
    if mask is not None:
        wide = len(conversion.shape(mask))
        operands.append((mask, [*range(-wide, -2), "query", "key"]))
    tags = align(conversion, node, operands)
    return kept(conversion, node, tags, (*batch, "query", "value"))


def _attention(conversion: Conversion, node: fx.Node) -> Any:
    """``nn.MultiheadAttention``, and encoder layers made of it: equivariant, so they stay as they are."""
    module: Any = conversion.module(node)
    sources = [
        a for a in (*node.args[:3], *(node.kwargs.get(n) for n in ("query", "key", "value"))) if isinstance(a, fx.Node)
    ]
    allowed = {"need_weights", "average_attn_weights", "query", "key", "value", "src"}
    more = [a for a in node.args[3:] if a is not None] + [
        k for k, v in node.kwargs.items() if k not in allowed and v is not None and v is not False
    ]
    if more or any(len(conversion.shape(s)) != 3 for s in sources):
        raise conversion.refuse(node, "only attention over (batch, tokens, channels) without masks is known")
    if not isinstance(module, nn.MultiheadAttention):
        return conversion.layout(conversion.input(node))
    batch, token = (0, 1) if module.batch_first else (1, 0)
    q, k, v = sources
    labels = [["", "", f"channel {i}"] for i in range(3)]
    for label, name in zip(labels, ("query", "key", "key"), strict=True):
        label[batch], label[token] = "batch", name
    tags = align(conversion, node, list(zip((q, k, v), labels, strict=True)))
    if "batch" in tags or any(f"channel {i}" in tags for i in range(3)):
        raise conversion.refuse(node, "the pixels of its input do not lie along its dimension of tokens")
    out = tuple(tags.get(label) for label in labels[0])
    weights = node.meta["value"][1]
    if weights is not None and weights.shape[-1] != conversion.shape(k)[token]:
        raise conversion.refuse(
            node, "its weights count keys that no token stands for; call it with need_weights=False"
        )
    if weights is None:
        return Several((out, ()))
    heads = (None,) * (weights.ndim - 3)
    return Several((out, (None, *heads, tags.get("query"), tags.get("key"))))


def _encoder(conversion: Conversion, node: fx.Node) -> Any:
    layer: Any = conversion.module(node)
    attention = (layer.layers[0] if isinstance(layer, nn.TransformerEncoder) else layer).self_attn
    layout = conversion.layout(conversion.input(node))
    if len(layout) == 3 and layout[0 if attention.batch_first else 1] is None and layout[2] is None:
        return _attention(conversion, node)
    raise conversion.refuse(node, "the pixels of its input do not lie along its dimension of tokens")


def _global_of_tokens(conversion: Conversion, node: fx.Node) -> Layout:
    """Adaptive pooling of a row of tokens: down to one value it is the same in any order."""
    layout = conversion.layout(conversion.input(node))
    if layout[-1] is not None and (layout[-1].axis != "yx" or conversion.shape(node)[-1] != 1):
        raise conversion.refuse(node, "only the result over all pixels is the same in every order")
    return (*layout[:-1], None)


_softmax, _sorting = _along(1, whole_map=True), _along(1, -1)

TOKEN_RULES: dict[Any, Rule] = {
    **dict.fromkeys(
        (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.Dropout1d,
         nn.Dropout2d, nn.PReLU, nn.LocalResponseNorm, nn.ChannelShuffle, nn.Softmax2d, F.batch_norm, F.group_norm,
         F.instance_norm, F.dropout1d, F.dropout2d, F.prelu, F.local_response_norm, F.channel_shuffle), _channelwise,
    ),
    **dict.fromkeys((nn.Softmax, nn.LogSoftmax, F.softmax, F.log_softmax, torch.softmax, torch.log_softmax, "softmax",
                     "log_softmax"), _softmax),
    **dict.fromkeys((torch.sort, "sort", torch.argsort, "argsort"), _sorting),
    **dict.fromkeys((torch.topk, "topk"), _along(2, -1)),
    **dict.fromkeys((torch.cumsum, "cumsum", torch.cumprod, "cumprod", torch.argmax, "argmax", torch.argmin, "argmin",
                     torch.max, "max", torch.min, "min", nn.GLU), _along(1)),
    F.glu: _along(1, -1),
    F.normalize: _along(2, 1, whole_map=True),
    **dict.fromkeys(
        (torch.mean, "mean", torch.sum, "sum", torch.amax, "amax", torch.amin, "amin", torch.std, "std", torch.var,
         "var", torch.logsumexp, "logsumexp", torch.prod, "prod"), _reduce(),
    ),
    **dict.fromkeys((torch.linalg.vector_norm, torch.norm, "norm"), _reduce(2)),
    **dict.fromkeys(
        (nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d, F.adaptive_avg_pool1d, F.adaptive_max_pool1d), _global_of_tokens
    ),
    **dict.fromkeys((nn.Linear, F.linear), _linear),
    **dict.fromkeys((nn.LayerNorm, F.layer_norm), _layer_norm),
    **dict.fromkeys((torch.matmul, "matmul", torch.bmm, "bmm"), _matmul),
    torch.einsum: _einsum,
    F.scaled_dot_product_attention: _attention_call,
    nn.MultiheadAttention: _attention,
    nn.TransformerEncoderLayer: _encoder,
    nn.TransformerEncoder: _encoder,
}  # fmt: skip

"""What can be converted: the rule for every layer, function and method that the converter knows.

A rule gets the running :class:`networks.conversion.Conversion` and the graph's node; it leaves the node as it is or
replaces it, and returns the layout of the result. Whatever has no rule is refused by name.
"""

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from networks.alignment import align
from networks.conversion import Conversion, Rule, plain_like
from networks.errors import ConversionError
from networks.layers import Normalize, Scale
from networks.layout import Layout
from networks.rules_shapes import SHAPE_RULES
from networks.rules_tokens import TOKEN_RULES
from networks.rules_windows import WINDOW_RULES

__all__ = ["RULES", "ConversionError", "find_rule"]


def _elementwise(conversion: Conversion, node: fx.Node) -> Layout:
    """Value by value: all tensors are brought into one order; single pixels and numbers fit any."""
    sources = [source for source in node.all_input_nodes if isinstance(source.meta.get("value"), Tensor)]
    tags = align(conversion, node, [(s, list(range(-len(conversion.shape(s)), 0))) for s in sources])
    return tuple(tags.get(dim) for dim in range(-len(conversion.shape(node)), 0))


def _constant(conversion: Conversion, node: fx.Node) -> Any:
    """Tensors of one value, made of another's type."""
    return plain_like(node.meta["value"])


_ELEMENTWISE: tuple[Any, ...] = (
    Normalize, Scale, nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Sigmoid, nn.Tanh, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softplus, nn.Softsign,
    nn.Softshrink, nn.Tanhshrink, nn.LogSigmoid, nn.Threshold, nn.RReLU, nn.Dropout, nn.AlphaDropout,
    F.relu, F.relu_, F.relu6, F.leaky_relu, F.elu, F.selu, F.celu, F.gelu, F.silu, F.mish, F.hardtanh, F.hardswish,
    F.hardsigmoid, F.softplus, F.softsign, F.logsigmoid, F.threshold, F.dropout, F.alpha_dropout, F.sigmoid, F.tanh,
    torch.relu, torch.relu_, torch.sigmoid, torch.tanh, torch.abs, torch.neg, torch.exp, torch.expm1, torch.log,
    torch.log1p, torch.sqrt, torch.rsqrt, torch.square, torch.pow, torch.reciprocal, torch.erf, torch.sin, torch.cos,
    torch.sign, torch.floor, torch.ceil, torch.round, torch.clamp, torch.clip, torch.clone, torch.zeros_like,
    torch.ones_like, torch.full_like, torch.rand_like, torch.bernoulli,
    torch.add, torch.sub, torch.mul, torch.div, torch.maximum, torch.minimum, torch.where, torch.lerp, torch.addcmul,
    torch.eq, torch.ne, torch.gt, torch.ge, torch.lt, torch.le, torch.logical_and, torch.logical_or, torch.logical_not,
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.neg, operator.pos, operator.invert, operator.iadd, operator.isub, operator.imul, operator.itruediv,
    operator.eq, operator.ne, operator.gt, operator.ge, operator.lt, operator.le, operator.and_, operator.or_,
    "relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_", "abs", "neg", "exp", "log", "sqrt", "rsqrt", "square",
    "pow", "reciprocal", "erf", "clamp", "clamp_", "clip", "round", "floor", "sign", "float", "double", "half",
    "bfloat16", "to", "type", "type_as", "contiguous", "clone", "detach", "requires_grad_", "masked_fill", "where",
    "add", "add_", "sub", "sub_", "mul", "mul_", "div", "div_", "maximum", "minimum", "lerp", "bernoulli_",
    "eq", "ne", "gt", "ge", "lt", "le",
)  # fmt: skip

RULES: dict[Any, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **SHAPE_RULES,
    **TOKEN_RULES,
    **WINDOW_RULES,
    **dict.fromkeys(("new_zeros", "new_ones", "new_empty", "new_full"), _constant),
    operator.matmul: TOKEN_RULES[torch.matmul],
}

# Functions of libraries that need not be installed, by module and name.
_FOREIGN: dict[tuple[str, str], Rule] = {("torchvision.ops.stochastic_depth", "stochastic_depth"): _elementwise}

# Why operations of these names are refused; anything else is unknown.
_REASONS = {
    "fft": "a Fourier transform mixes all pixels, and no gather table can express it",
    "roi": "it samples at places that depend on the data",
    "grid_sample": "it samples at places that depend on the data",
    "deform": "it samples at places that depend on the data",
    "nonzero": "how much it gives depends on the data",
    "masked_select": "how much it gives depends on the data",
    "unique": "how much it gives depends on the data",
    "unfold": "it makes channels of windows; write it as a convolution",
    "im2col": "it makes channels of windows; write it as a convolution",
    "col2im": "it adds up windows; write it as a transposed convolution",
    "fold": "it adds up windows; write it as a transposed convolution",
}


def find_rule(conversion: Conversion, node: fx.Node) -> Rule | None:
    """Return the rule for a node, or None when there is none.

    Raises
    ------
    ConversionError
        When it is known why there can be none.
    """
    kind: Any = type(conversion.module(node)) if node.op == "call_module" else node.target
    if kind in RULES:
        return RULES[kind]
    home, called = str(getattr(kind, "__module__", "")), str(getattr(kind, "__name__", kind))
    if (home, called) in _FOREIGN:
        return _FOREIGN[home, called]
    name = f"{home} {called}".lower()
    for part, reason in _REASONS.items():
        if part in name:
            raise conversion.refuse(node, reason)
    return None

"""Steps of inference: a convolution with what follows it folded in, and a batch norm with its activation.

The modules keep their parameters and names. Wherever the engine "indirect" can not run (training, other types and
devices), a step calls the modules one after another, as before.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from operators.convolution_modules import KeyedConv2d
from operators.engine_indirect import can_run, convolve_frames, identity_table, is_plain_inference, is_worth_it
from operators.errors import OperatorError
from operators.halves import suits_halves
from operators.indirect import convolve_rows, images_of_table
from operators.indirect_kernels import COLUMNS
from operators.indirect_weights import NormCache, PackedWeights, WeightCache
from operators.rows import from_rows, to_rows

# What steps read of their layers.
_PARAMETERS, _BUFFERS = ("weight", "bias"), ("running_mean", "running_var", "offsets")


# A mapping, a name in it, the tensor that was there, its version and its address.
Watched = tuple[dict[str, Any], str, Tensor | None, int, int]


@dataclass(frozen=True, eq=False)
class Job:
    """What one step does for inputs of one shape.

    Attributes
    ----------
    rows : (int, int, int)
        Shape in which the kernel sees the input.
    table : Tensor of int32
    packed : PackedWeights
    outputs, unit : int
        As for :func:`operators.indirect.convolve_rows`.
    shape : (int, int, int, int)
        Of the result (B, D, Ho, Wo).
    watched : list
        All tensors on which the others depend.
    norms : list of nn.BatchNorm2d
    """

    rows: tuple[int, int, int]
    table: Tensor
    packed: PackedWeights
    outputs: int
    unit: int
    shape: tuple[int, int, int, int]
    watched: list[Watched]
    norms: list[nn.BatchNorm2d]


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
        # Of a plain layer, known with the map for which its weights are packed.
        self.way: str | None = conv.way if isinstance(conv, KeyedConv2d) else None

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
            way = self.way
            if way is None:
                pixels, maps = x.shape[2] * x.shape[3], len(conv.weight)
                way = "halves" if suits_halves(pixels, pixels, 1, x.shape[1], maps, conv.groups) else "rows"
            packed = self._weights.packed(conv, norm, self._low, self._high, way)
        if isinstance(conv, KeyedConv2d):
            return conv.run_indirect(x, packed, slot, residual)
        size = (x.shape[2], x.shape[3])
        return convolve_frames(x, identity_table(size[0] * size[1], x.shape[1]), packed, size, residual=residual)

    def job(self, shape: torch.Size) -> Job | None:
        """Return what the last call did for an input of this shape without a slot; None if not on the engine."""
        conv, norm = self.conv, self.norm
        watched = _watch(conv, norm)
        packed = self._weights.unchanged(conv, norm)
        if watched is None or packed is None or packed.way == "squares":
            return None
        B, C, H, W = shape
        if isinstance(conv, KeyedConv2d):
            table, size = conv.offsets, conv.output_size
        else:
            table, size = identity_table(H * W, C), (H, W)
        if table is None:
            return None
        outputs = size[0] * size[1]
        norms = [] if norm is None else [norm]
        result = (B, packed.groups * packed.maps, *size)
        return Job((B, H * W, C), table, packed, outputs, images_of_table(outputs), result, watched, norms)

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
        self._low, self._high = _bounds(activation)
        self._weights = NormCache()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W), channels-last, for frames (B, C, H, W)."""
        norm = self.norm
        packed = None
        if is_plain_inference(x) and not norm.training:
            repeats = _repeats(x.shape)
            packed = self._weights.unchanged(norm, repeats)
            if packed is None and can_run(x, norm.weight, norm.bias, norm.running_mean, norm.running_var):
                packed = self._weights.packed(norm, repeats, self._low, self._high)
        if packed is None:
            y: Tensor = norm(x)
            return y if self.activation is None else self.activation(y)
        B, C, H, W = x.shape
        pixels, width = H * W // repeats, C * repeats
        rows = to_rows(x).view(B, pixels, width)
        out = convolve_rows(rows, identity_table(pixels, width), packed, pixels, images_of_table(pixels))
        return from_rows(out.view(B, H * W, C), (H, W))

    def job(self, shape: torch.Size) -> Job | None:
        """Return what the last call did for an input of this shape; None if not on the engine."""
        B, C, H, W = shape
        repeats = _repeats(shape)
        watched = _watch(self.norm)
        packed = self._weights.unchanged(self.norm, repeats)
        if watched is None or packed is None:
            return None
        pixels, width = H * W // repeats, C * repeats
        table = identity_table(pixels, width)
        rows, unit = (B, pixels, width), images_of_table(pixels)
        return Job(rows, table, packed, pixels, unit, (B, C, H, W), watched, [self.norm])


def _repeats(shape: torch.Size) -> int:
    """Return how many pixels of few channels are taken together, so that they fill the kernel's columns."""
    pixels = shape[2] * shape[3]
    repeats = COLUMNS // math.gcd(COLUMNS, shape[1])
    return repeats if pixels % repeats == 0 else 1


def _watch(*layers: nn.Module | None) -> list[Watched] | None:
    """Return all that the engine reads of layers; None where that can't be told: weights computed at each call."""
    watched: list[Watched] = []
    for layer in layers:
        if layer is None:
            continue
        if "weight" not in layer._parameters:
            return None
        for home, names in ((layer._parameters, _PARAMETERS), (layer._buffers, _BUFFERS)):
            for name in names:
                tensor = home.get(name)
                # Nobody counts the versions of an inference tensor. Weights are none, or they would be packed anew at
                # each call; a table may be one, and is never written to.
                version = -1 if tensor is None or tensor.is_inference() else tensor._version
                watched.append((home, name, tensor, version, 0 if tensor is None else tensor.data_ptr()))
    return watched


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


def is_foldable(norm: object) -> bool:
    """Whether a module is a batch norm with running statistics."""
    return isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None


def is_convolution(module: object) -> bool:
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
    if not isinstance(conv, KeyedConv2d) and not is_convolution(conv):
        raise OperatorError(f"{type(conv).__name__} is neither keyed nor pointwise, and can't be fused")
    if norm is not None and not is_foldable(norm):
        raise OperatorError(f"{type(norm).__name__} without running statistics can't be folded into a convolution")
    return FusedConv2d(conv, norm, activation)

"""Weights packed for the ``indirect`` engine, with batch norm folded in, and remade when a parameter changes."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from operators.halves_weights import pack_operands
from operators.indirect_kernels import COLUMNS


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A convolution's weights in the order in which tiles read them.

    Attributes
    ----------
    blocks : ndarray of float32, shape (groups * blocks * kh * kw * channels * COLUMNS,)
        Output channels in blocks of COLUMNS, the last of each group filled up with zeros. Of a depthwise convolution,
        whose groups are one channel each, all channels together are in blocks.
    bias : ndarray of float32, shape (groups * blocks * COLUMNS,)
    border : ndarray of float32, shape (max(channels, COLUMNS),)
        What padding reads.
    clamp : ndarray of float32, shape (3,)
        Lowest and highest output, and the factor by which the weights are scaled.
    groups, channels, maps : int
        Groups, and input and output channels of one.
    way : {"rows", "squares", "halves"}
        "squares": they are 16 groups of transformed weights, for :func:`operators.winograd.convolve_squares`; ``bias``
        is then (maps,) and comes after the groups are brought together. "halves": ``blocks`` and ``bias`` are those
        of :func:`pack_halves`.
    """

    blocks: NDArray[Any]
    bias: NDArray[Any]
    border: NDArray[Any]
    clamp: NDArray[Any]
    groups: int
    channels: int
    maps: int
    way: str = "rows"

    @cached_property
    def addresses(self) -> tuple[int, int, int]:
        """Where border, blocks and bias lie in memory."""
        return self.border.ctypes.data, self.blocks.ctypes.data, self.bias.ctypes.data

    def __getstate__(self) -> dict[str, Any]:
        # A copy lies elsewhere in memory.
        return {name: value for name, value in vars(self).items() if name != "addresses"}

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved on its own."""
        return self.channels == self.maps == 1


def fold_norm(weight: Tensor, bias: Tensor | None, norm: nn.BatchNorm2d | None) -> tuple[Tensor, Tensor]:
    r"""Return weight and bias (float64) of a convolution followed by a batch norm in inference.

    .. math:: w' = w \gamma / \sqrt{v + \epsilon}, \quad b' = (b - \mu) \gamma / \sqrt{v + \epsilon} + \beta
    """
    scaled = weight.detach().double()
    start = scaled.new_zeros(len(scaled)) if bias is None else bias.detach().double()
    if norm is None:
        return scaled, start
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    start = (start - mean.double()) * scale
    if norm.bias is not None:
        start = start + norm.bias.detach().double()
    return scaled * scale[:, None, None, None], start


def pack_weights(
    weight: Tensor, bias: Tensor | None, groups: int = 1, low: float = -math.inf, high: float = math.inf
) -> PackedWeights:
    """Return weights (D, C / groups, kh, kw) packed for :func:`operators.indirect.convolve_rows`.

    Parameters
    ----------
    weight, bias : Tensor
        Of any floating type; they become float32.
    groups : int
    low, high : float
        Outputs are clamped to this range: (0, inf) is ReLU.
    """
    D, channels, kh, kw = weight.shape
    maps = D // groups
    apart, together = (1, D) if channels == maps == 1 else (groups, maps)
    blocks = -(-together // COLUMNS)
    spare = blocks * COLUMNS - together
    start = torch.zeros(D) if bias is None else bias.detach().float()
    by_group = weight.detach().float().reshape(apart, together, channels, kh * kw)
    filled = F.pad(by_group, (0, 0, 0, 0, 0, spare)).reshape(apart, blocks, COLUMNS, channels, kh * kw)
    in_order = filled.permute(0, 1, 4, 3, 2).reshape(-1).contiguous()
    start = F.pad(start.reshape(apart, together), (0, spare)).reshape(-1)
    border, clamp = np.zeros(max(channels, COLUMNS), np.float32), np.array([low, high, 1], np.float32)
    return PackedWeights(in_order.numpy(), start.contiguous().numpy(), border, clamp, groups, channels, maps)


# G of F(2x2, 3x3), see operators.winograd_kernels.
_TRANSFORM = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], dtype=torch.float64)


def pack_squares(weight: Tensor, bias: Tensor | None, low: float = -math.inf, high: float = math.inf) -> PackedWeights:
    """Return weights (D, C, 3, 3) transformed and packed for :func:`operators.winograd.convolve_squares`."""
    D, C = weight.shape[:2]
    # One side at a time: einsum over three factors would first make their outer product.
    half = torch.einsum("ik,dckl->idcl", _TRANSFORM, weight.detach().double())
    planes = torch.einsum("idcl,jl->ijdc", half, _TRANSFORM)
    packed = pack_weights(planes.reshape(16 * D, C, 1, 1), None, 16, low, high)
    start = torch.zeros(D) if bias is None else bias.detach().float()
    return replace(packed, bias=start.contiguous().numpy(), way="squares")


def pack_halves(weight: Tensor, bias: Tensor | None, low: float = -math.inf, high: float = math.inf) -> PackedWeights:
    """Return weights (D, C, kh, kw), C and D multiples of 16, as operands of :mod:`operators.halves_kernels`.

    ``blocks`` are those of :func:`operators.halves_weights.pack_operands`; behind the ``bias`` are the factors of all
    output channels.
    """
    packed = pack_weights(weight, bias, 1, low, high)
    depth = packed.channels * weight.shape[2] * weight.shape[3]
    rows = torch.from_numpy(packed.blocks).reshape(-1, depth, COLUMNS)
    blocks, factors, scale = pack_operands(rows, packed.channels)
    clamp = packed.clamp.copy()
    clamp[2] = scale
    return replace(packed, blocks=blocks, bias=np.concatenate([packed.bias, factors]), clamp=clamp, way="halves")


class _Cache:
    """What was packed, and of what. Copies and pickles start empty: addresses and ways are for one process only."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget the packed weights."""
        self._of: tuple[Any, ...] | None = None
        self._packed: PackedWeights | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


class WeightCache(_Cache):
    """The packed weights of one layer; packed again when a parameter was changed or replaced.

    A change is seen by the parameter's version, which every in-place operation raises, and by its address. A write
    through ``parameter.data`` leaves both alone, here as in PyTorch's own gradient checks: nothing short of reading
    every weight again would see it, which costs as much as a layer of one frame. Write to the parameter itself under
    ``torch.no_grad()``, or call :meth:`clear`.
    """

    def packed(
        self,
        conv: Any,
        norm: nn.BatchNorm2d | None = None,
        low: float = -math.inf,
        high: float = math.inf,
        way: str = "rows",
    ) -> PackedWeights:
        """Return the packed weights of a layer with ``weight``, ``bias`` and ``groups``, and of its batch norm."""
        of = self._state(conv, norm)
        if self._packed is None or of is None or of != self._of:
            weight, bias = fold_norm(conv.weight, conv.bias, norm)
            if way == "squares":
                made = pack_squares(weight, bias, low, high)
            else:
                # Here already, so that what was folded in float64 is gone by then.
                weight = weight.float()
                if way == "halves":
                    made = pack_halves(weight, bias, low, high)
                else:
                    made = pack_weights(weight, bias, conv.groups, low, high)
            self._of, self._packed = of, made
        return self._packed

    def unchanged(self, conv: Any, norm: nn.BatchNorm2d | None = None) -> PackedWeights | None:
        """Return the packed weights if they are still those of the layer and its batch norm, else None."""
        if self._of is None or self._of != self._state(conv, norm):
            return None
        return self._packed

    @staticmethod
    def _state(conv: Any, norm: nn.BatchNorm2d | None) -> tuple[Any, ...] | None:
        if norm is None:
            return _state(conv.weight, conv.bias)
        return _state(conv.weight, conv.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps)


class NormCache(_Cache):
    """Scale and shift of one batch norm in inference, as weights; packed again like those of :class:`WeightCache`."""

    def packed(self, norm: nn.BatchNorm2d, repeats: int, low: float, high: float) -> PackedWeights:
        """Return the depthwise weights of ``repeats`` pixels side by side; outputs are clamped to (low, high)."""
        assert norm.running_mean is not None
        scale, shift = fold_norm(torch.ones(len(norm.running_mean), 1, 1, 1), None, norm)
        scale, shift = scale.repeat(repeats, 1, 1, 1), shift.repeat(repeats)
        self._of = self._state(norm, repeats)
        self._packed = pack_weights(scale, shift, len(shift), low, high)
        return self._packed

    def unchanged(self, norm: nn.BatchNorm2d, repeats: int) -> PackedWeights | None:
        """Return the packed weights if they are still those of the norm, for so many pixels, else None."""
        return None if self._of is None or self._of != self._state(norm, repeats) else self._packed

    @staticmethod
    def _state(norm: nn.BatchNorm2d, repeats: int) -> tuple[Any, ...] | None:
        return _state(norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.eps, repeats)


def _state(*parts: Tensor | float | None) -> tuple[Any, ...] | None:
    """Return what changes when a tensor or number does; None where nobody keeps count, as in inference tensors."""
    try:
        return tuple([(part.data_ptr(), part._version) if isinstance(part, Tensor) else part for part in parts])
    except RuntimeError:  # an inference tensor has no version
        return None

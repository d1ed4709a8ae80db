"""Weights packed for the ``indirect`` engine, with batch norm folded in, and remade when a parameter changes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from operators.indirect_kernels import COLUMNS


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A convolution's weights in the order in which tiles read them.

    Attributes
    ----------
    blocks : ndarray of float32, shape (groups * blocks, kh * kw * channels * COLUMNS)
        Output channels in blocks of COLUMNS, the last of each group filled up with zeros. Of a depthwise convolution,
        whose groups are one channel each, all channels together are in blocks.
    bias : ndarray of float32, shape (groups * blocks, COLUMNS)
    border : ndarray of float32, shape (max(channels, COLUMNS),)
        What padding reads.
    clamp : ndarray of float32, shape (2,)
        Lowest and highest output.
    groups, channels, maps : int
        Groups, and input and output channels of one.
    """

    blocks: NDArray[Any]
    bias: NDArray[Any]
    border: NDArray[Any]
    clamp: NDArray[Any]
    groups: int
    channels: int
    maps: int

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
    in_order = filled.permute(0, 1, 4, 3, 2).reshape(apart * blocks, -1).contiguous()
    start = F.pad(start.reshape(apart, together), (0, spare)).reshape(apart * blocks, COLUMNS)
    border, clamp = np.zeros(max(channels, COLUMNS), np.float32), np.array([low, high], np.float32)
    return PackedWeights(in_order.numpy(), start.contiguous().numpy(), border, clamp, groups, channels, maps)


class WeightCache:
    """The packed weights of one layer; packed again when a parameter was changed or replaced.

    A change is seen by the parameter's version, which every in-place operation raises; a write through
    ``parameter.data`` leaves it alone, here as in PyTorch's own gradient checks.
    """

    def __init__(self) -> None:
        self._of: tuple[Any, ...] | None = None
        self._packed: PackedWeights | None = None

    def packed(
        self, conv: Any, norm: nn.BatchNorm2d | None = None, low: float = -math.inf, high: float = math.inf
    ) -> PackedWeights:
        """Return the packed weights of a layer with ``weight``, ``bias`` and ``groups``, and of its batch norm."""
        of = _state(conv.weight, conv.bias)
        if norm is not None and of is not None:
            rest = _state(norm.weight, norm.bias, norm.running_mean, norm.running_var)
            of = None if rest is None else (*of, *rest, norm.eps)
        if self._packed is None or of is None or of != self._of:
            weight, bias = fold_norm(conv.weight, conv.bias, norm)
            self._of, self._packed = of, pack_weights(weight, bias, conv.groups, low, high)
        return self._packed


def _state(*tensors: Tensor | None) -> tuple[Any, ...] | None:
    """Return what changes when one of the tensors does; None where nobody keeps count, as in inference tensors."""
    if any(tensor is not None and tensor.is_inference() for tensor in tensors):
        return None
    return tuple(None if tensor is None else (tensor.data_ptr(), tensor._version) for tensor in tensors)

"""General deformable convolution (DCNv1, DCNv2): every tap reads where a learned or given offset sends it."""

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from operators.deform_kernels import sample_in_parallel, sample_rows
from operators.engine_indirect import identity_table
from operators.engine_scratch import scratch
from operators.engine_threads import limited_to, threads_for
from operators.errors import OperatorError
from operators.geometry import IntOrPair, Window, pair
from operators.halves import suits_halves
from operators.indirect import convolve_rows
from operators.indirect_weights import PackedWeights, pack_halves
from operators.rows import to_rows

# Images are done in turns of about this many sampled values, so that memory stays bounded.
_SAMPLED_VALUES = 1 << 24
# In inference, outputs are done in turns whose sampled values stay in the processor's second-level cache, but are
# enough to be worth a matrix product.
_CACHED_VALUES = 1 << 18
_FEWEST_AT_ONCE = 64
# Values of memory that a thread keeps for the next call.
_MOST_BORROWED = 1 << 22
# Below this many sampled values, starting threads costs more than it saves.
_PARALLEL_VALUES = 100_000


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = (1, 1),
    padding: IntOrPair = (0, 0),
    dilation: IntOrPair = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    r"""Deformable convolution, with torchvision.ops's signature, result and gradients.

    .. math::
        y[b, d, i] = \mathrm{bias}[d] + \sum_{c, k} w[d, c, k]\, m[b, g, k, i]\;
            x\big[b, c,\ p(i, k) + \Delta[b, g, k, i]\big]

    where p(i, k) is the tap's plain place, g the offset group of channel c, and x between pixels is bilinear; the four
    neighbours that lie outside the frame count as 0, so x is 0 at and beyond (-1, H) and (-1, W).

    Parameters
    ----------
    input : Tensor of float32 or float64, shape (B, C, H, W)
    offset : Tensor, shape (B, 2 * offset_groups * kh * kw, Ho, Wo)
        In pixels; channel 2k of a group is down, 2k + 1 is right, k = ky * kw + kx. The number of offset groups
        follows from the shape and divides C.
    weight : Tensor, shape (D, C / groups, kh, kw)
        The number of groups follows from the shape.
    bias : Tensor, shape (D,), optional
    stride, padding, dilation : int or (int, int)
        Vertical and horizontal.
    mask : Tensor, shape (B, offset_groups * kh * kw, Ho, Wo), optional
        Factor of every tap; None for ones.

    Returns
    -------
    Tensor, shape (B, D, Ho, Wo)
        Differentiable in input, offset, weight, bias and mask.

    Raises
    ------
    OperatorError
        When shapes or types do not fit together.

    References
    ----------
    Dai et al., Deformable convolutional networks, ICCV 2017; Zhu et al., Deformable ConvNets v2, CVPR 2019.

    Examples
    --------
    >>> x = torch.tensor([[[[1.0, 2.0, 4.0]]]])
    >>> half_right = torch.tensor([0.0, 0.5]).reshape(1, 2, 1, 1).expand(1, 2, 1, 3)
    >>> deform_conv2d(x, half_right, torch.ones(1, 1, 1, 1)).tolist()
    [[[[1.5, 3.0, 2.0]]]]
    """
    window, groups = _check(input, offset, weight, bias, stride, padding, dilation, mask)
    B, C = input.shape[:2]
    M = math.prod(window.output_size)
    if _is_quick(input, offset, weight, bias, mask):
        product = _infer(input, offset, weight, bias, mask, window, groups)
    else:
        at_once = max(1, _SAMPLED_VALUES // (C * window.taps * M))
        parts = []
        for first in range(0, max(B, 1), at_once):
            images = slice(first, first + at_once)
            columns = _sample(input[images], offset[images], None if mask is None else mask[images], window)
            parts.append(_weigh(columns, _matrix(weight, groups)))
        product = parts[0] if len(parts) == 1 else torch.cat(parts)
        if bias is not None:
            product = product + bias
    return product.transpose(1, 2).reshape(B, weight.shape[0], *window.output_size)


def _is_quick(*tensors: Tensor | None) -> bool:
    """Whether the Numba kernel can sample: float32 or float64 on the CPU, and no gradient or graph is wanted."""
    given = [t for t in tensors if t is not None]
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in given)
    kinds = (torch.float32, torch.float64)
    return (
        not wanted
        and not torch.compiler.is_compiling()
        and all(t.is_cpu and t.dtype in kinds and type(t) in (Tensor, nn.Parameter) for t in given)
    )


def _infer(
    frames: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    window: Window,
    groups: int,
) -> Tensor:
    """Return (B, M, D): what is sampled for a few outputs at a time stays in the processor's cache."""
    B, C, H, W = frames.shape
    (Ho, Wo), K = window.output_size, window.taps
    M, G = Ho * Wo, offset.shape[1] // (2 * K)
    # The smaller of weights and columns is brought into the other's order; in between, weights are quicker to bring.
    as_given = groups == 1 and len(weight) > 2 * B * M
    product = frames.new_empty((B * M, weight.shape[0]))
    # Every turn passes all weights once, so that many of them ask for longer turns.
    at_once = max(_FEWEST_AT_ONCE, max(_CACHED_VALUES, weight.numel()) // (K * C))
    turns = max(1, -(-B * M // at_once))
    at_once = max(1, -(-B * M // turns))
    columns = _borrow("columns", min(at_once, B * M) * K * C, frames.dtype).view(-1, K, C)
    flat = columns.view(-1).numpy()
    factors = frames.new_empty((0, 0, 0, 0)) if mask is None else mask.reshape(B, G, K, M)
    packed = _packed_halves(weight, len(columns)) if groups == 1 else None
    if packed is None:
        matrix = weight.detach().reshape(1, len(weight), -1) if as_given else _matrix(weight.detach(), groups)
    pixels = _borrow("pixels", (B * H * W + 1) * C, frames.dtype)
    pixels[:-C].view(B, H, W, C).copy_(frames.detach().permute(0, 2, 3, 1))
    pixels[-C:] = 0
    inputs = (pixels, offset.reshape(B, G, K, 2, M), factors)
    arrays = (*(t.detach().contiguous().numpy() for t in inputs), *_positions(window))
    serial: Any = sample_rows
    parallel: Any = sample_in_parallel
    for first in range(0, B * M, at_once):
        last = min(first + at_once, B * M)
        sampled = columns[: last - first]
        parts = threads_for(last - first) if sampled.numel() >= _PARALLEL_VALUES else 1
        if parts == 1:
            serial(*arrays, (C, H, W), flat, first, first, last)
        else:
            with limited_to(parts):
                parallel(*arrays, (C, H, W), flat, first, first, last, parts)
        if packed is not None:
            table = identity_table(last - first, K * C)
            made = convolve_rows(sampled.view(1, -1, K * C), table, packed, last - first, 1)[0]
        else:
            ordered = sampled.transpose(1, 2).reshape(1, last - first, K, C) if as_given else sampled[None]
            made = _weigh(ordered, matrix)[0]
        if bias is None:
            product[first:last] = made
        else:
            torch.add(made, bias.detach(), out=product[first:last])
    return product.reshape(B, M, weight.shape[0])


@lru_cache(maxsize=64)
def _positions(window: Window) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the plain places of the taps along both axes, in pixels."""
    return window.positions(0), window.positions(1)


def _borrow(name: str, count: int, dtype: torch.dtype) -> Tensor:
    """Return so many values of this thread's scratch memory: fresh memory costs page faults.

    What is much larger than the caches is fresh, so that a thread does not keep it.
    """
    if count > _MOST_BORROWED:
        return torch.empty(count, dtype=dtype)
    floats = count * dtype.itemsize // 4
    # Cut first: what a call with another type left may be no whole number of these.
    return torch.from_numpy(scratch(name, floats)[:floats]).view(dtype)


# Weights on the matrix unit, and the address and version that they were packed from; gone with the tensors.
_HALVES: Any = WeakTensorKeyDictionary()


def _packed_halves(weight: Tensor, rows: int) -> PackedWeights | None:
    """Return a kernel packed for products on the matrix unit; None where there is none or it is not worth it."""
    D, C, kh, kw = weight.shape
    depth = C * kh * kw
    # Nobody counts the versions of an inference tensor.
    if weight.dtype != torch.float32 or weight.is_inference() or not suits_halves(rows, rows, 1, depth, D, 1):
        return None
    state = (weight.data_ptr(), weight._version)
    kept = _HALVES.get(weight)
    if kept is None or kept[0] != state:
        kept = _HALVES[weight] = (state, replace(pack_halves(weight, None), channels=depth))
    packed: PackedWeights = kept[1]
    return packed


def _sample(frames: Tensor, offset: Tensor, mask: Tensor | None, window: Window) -> Tensor:
    """Return what every tap reads: (B, M, K, C)."""
    B, C, H, W = frames.shape
    M, K = math.prod(window.output_size), window.taps
    groups = offset.shape[1] // (2 * K)
    each = C // groups
    y, x = _places(offset, window, groups)
    low_y, low_x = y.floor(), x.floor()
    part_y, part_x = y - low_y, x - low_x
    # One row of channels for every image, pixel and offset group, and a row of zeros for what lies outside.
    rows = F.pad(to_rows(frames).reshape(B * H * W * groups, each), (0, 0, 0, 1))
    outside = B * H * W * groups
    image = torch.arange(B, device=frames.device).reshape(B, 1, 1, 1) * (H * W)
    group = torch.arange(groups, device=frames.device)
    places, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            corner_y, corner_x = low_y + down, low_x + right
            inside = (corner_y >= 0) & (corner_y < H) & (corner_x >= 0) & (corner_x < W)
            pixel = image + (corner_y * W + corner_x).where(inside, 0).long()
            places.append(torch.where(inside, pixel * groups + group, outside))
            weights.append((part_y if down else 1 - part_y) * (part_x if right else 1 - part_x))
    factor = torch.stack(weights, dim=-1)
    if mask is not None:
        factor = factor * mask.reshape(B, groups, K, M).permute(0, 3, 2, 1).unsqueeze(-1)
    bags = torch.stack(places, dim=-1).reshape(-1, 4)
    values = F.embedding_bag(bags, rows, per_sample_weights=factor.reshape(-1, 4), mode="sum")
    return values.reshape(B, M, K, C)


def _places(offset: Tensor, window: Window, groups: int) -> tuple[Tensor, Tensor]:
    """Return the row and column that every tap reads, each (B, M, K, groups), in pixels."""
    B = offset.shape[0]
    (Ho, Wo), (kh, kw) = window.output_size, window.kernel_size
    moves = offset.reshape(B, groups, kh, kw, 2, Ho, Wo).permute(4, 0, 5, 6, 2, 3, 1)
    base_y = torch.from_numpy(window.positions(0)).to(offset).reshape(Ho, 1, kh, 1, 1)
    base_x = torch.from_numpy(window.positions(1)).to(offset).reshape(1, Wo, 1, kw, 1)
    shape = (B, Ho * Wo, kh * kw, groups)
    H, W = window.input_size
    # Beyond the frame every place is as good as the next; near ones keep the conversion to integers defined.
    y = (moves[0] + base_y).clamp(-2, H + 1).reshape(shape)
    x = (moves[1] + base_x).clamp(-2, W + 1).reshape(shape)
    return y, x


def _matrix(weight: Tensor, groups: int) -> Tensor:
    """Return a kernel as it multiplies columns: (groups, D / groups, K * C / groups), channels innermost."""
    D, each = weight.shape[:2]
    return weight.reshape(groups, D // groups, each, -1).transpose(2, 3).reshape(groups, D // groups, -1)


def _weigh(columns: Tensor, matrix: Tensor) -> Tensor:
    """Multiply columns (B, M, K, C) with a :func:`_matrix`; return (B, M, D)."""
    B, M, K, C = columns.shape
    groups = len(matrix)
    if groups == 1:
        return F.linear(columns.reshape(B, M, K * C), matrix[0])
    grouped = columns.reshape(B, M, K, groups, C // groups).transpose(2, 3).reshape(B, M, groups, -1)
    return torch.einsum("bmgk,gdk->bmgd", grouped, matrix).reshape(B, M, -1)


def _check(
    frames: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: IntOrPair,
    padding: IntOrPair,
    dilation: IntOrPair,
    mask: Tensor | None,
) -> tuple[Window, int]:
    """Return the window and the number of groups, or raise what does not fit."""
    named = {"input": frames, "offset": offset, "weight": weight} | ({} if mask is None else {"mask": mask})
    for name, tensor in named.items():
        if tensor.ndim != 4:
            raise OperatorError(f"{name} must have 4 dimensions; got the shape {tuple(tensor.shape)}")
        if not tensor.is_floating_point() or tensor.dtype != frames.dtype or tensor.device != frames.device:
            raise OperatorError(
                f"{name} must be floating point, with the type and device of input ({frames.dtype} on "
                f"{frames.device}); got {tensor.dtype} on {tensor.device}"
            )
    B, C, H, W = frames.shape
    D, each, kh, kw = weight.shape
    if each < 1 or C % each or D % (C // each):
        raise OperatorError(f"weight {tuple(weight.shape)} does not fit an input of {C} channels in any grouping")
    if bias is not None and tuple(bias.shape) != (D,):
        raise OperatorError(f"bias must have the shape ({D},); got {tuple(bias.shape)}")
    window = Window.of((H, W), (kh, kw), stride, padding, dilation)
    offset_groups = offset.shape[1] // (2 * kh * kw)
    if offset_groups < 1 or offset.shape[1] % (2 * kh * kw) or C % offset_groups:
        raise OperatorError(
            f"offset must have 2 * {kh} * {kw} channels for each offset group, and the number of groups must divide "
            f"the {C} channels of input; got {offset.shape[1]}"
        )
    expected = {"offset": offset.shape[1], "mask": offset_groups * kh * kw}
    for name, channels in expected.items():
        shape = (B, channels, *window.output_size)
        if name in named and tuple(named[name].shape) != shape:
            raise OperatorError(f"{name} must have the shape {shape}; got {tuple(named[name].shape)}")
    return window, C // each


class DeformConv2d(nn.Module):
    """A deformable convolution with weights of its own; see :func:`deform_conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
        Both multiples of ``groups``.
    kernel_size, stride, padding, dilation : int or (int, int)
        Vertical and horizontal.
    groups : int
    bias : bool
        Whether a bias is learned.

    Raises
    ------
    OperatorError
        When an argument is out of range.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise OperatorError(f"{in_channels} and {out_channels} channels must be multiples of {groups} groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias as ``nn.Conv2d`` does: uniform within 1 / sqrt(fan-in)."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """Convolve (B, C, H, W) with the given offsets and mask."""
        return deform_conv2d(input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask=mask)

    def extra_repr(self) -> str:
        """Return the layer's arguments."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )

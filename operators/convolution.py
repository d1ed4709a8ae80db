"""Convolution that reads a shuffled frame and writes a shuffled map.

Five engines with one result:

``"indirect"``
    one pass over the shuffled rows by a kernel of our own whose indirection table is the key; the fastest, and nothing
    is ever stored in natural order. Float32 on the CPU, without gradients. Larger layers take a quicker way of it: the
    processor's matrix unit (``operators.halves_kernels``), or squares (``operators.winograd``). The matrix unit scales
    a whole image at once: where its largest value is above about 2**17 times the typical one, the others lose digits,
    and an infinite pixel gives NaN; "gather" has no such limit.
``"gather"``
    row gather to natural order, the library's convolution, row gather to the output's order; any device, type and
    gradient.
``"im2col"``
    every tap is gathered straight from the shuffled frame into columns in the output's order, then one matrix
    product; no natural-order copy of the frame ever exists. Made for the first layer, where channels are few.
``"pointwise"``
    for 1x1 kernels without padding: one row gather, or none where the orders agree, then the library's convolution.
``"triton"``
    the same idea as "indirect" for GPUs, by name only; without groups and gradients (``operators.triton_conv``).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from operators.engine_indirect import can_run, convolve_frames, engine_table
from operators.errors import OperatorError
from operators.geometry import IntOrPair, Padding, Window
from operators.indirect_weights import pack_weights
from operators.rows import check_slot, from_rows, gather_rows, permute_rows, to_rows
from operators.tables import GatherTable, PixelOrder, compose
from operators.triton_conv import convolve_on_gpu, require_triton, tap_table

ENGINES = ("auto", "indirect", "gather", "im2col", "pointwise", "triton")

# A frame has one to four channels; feature maps have more, and columns then cost more than two row gathers.
_MOST_FRAME_CHANNELS = 4
# Columns of more images are made in turns: fresh blocks of over 32 MB cost page faults.
_COLUMN_ELEMENTS = 1 << 23


def choose_engine(engine: str, window: Window, channels: int) -> str:
    """Return the engine that ``engine`` names for a window over an input of so many channels.

    "auto" names one that can take any tensor; a layer asks for "indirect" first where that is worth it.

    Raises
    ------
    OperatorError
        When there is no engine of that name, or "pointwise" is asked of a window that is none.
    """
    if engine not in ENGINES:
        raise OperatorError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
    pointwise = window.taps == 1 and window.padding == ((0, 0), (0, 0))
    if engine == "pointwise" and not pointwise:
        raise OperatorError("engine 'pointwise' needs a 1x1 kernel without padding; use 'auto'")
    if engine != "auto":
        return engine
    if pointwise:
        return "pointwise"
    return "im2col" if channels <= _MOST_FRAME_CHANNELS else "gather"


def keyed_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    *,
    table: GatherTable | None = None,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
    padding_mode: str = "zeros",
    engine: str = "auto",
) -> Tensor:
    r"""Convolve shuffled frames with plain weights.

    With σ and τ the pixel orders of input and output and S their shuffles,

    .. math:: \mathrm{keyed}(S_\sigma x) = S_\tau\, \mathrm{conv2d}(x).

    Parameters
    ----------
    input : Tensor, shape (B, C, H, W)
        Frames in the order σ; fastest in channels-last memory.
    weight : Tensor, shape (D, C / groups, kh, kw)
    bias : Tensor, shape (D,), optional
    stride, padding, dilation, groups, padding_mode
        As ``nn.Conv2d`` takes them. A ``table`` holds all but ``groups``: leave them out beside it, or repeat them.
    table : GatherTable, optional
        Made beforehand; instead of the permutations.
    permutation_in, permutation_out : permutation, optional
        σ and τ; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of σ for this call, or one for each frame; replaces ``permutation_in``.
    engine : {"auto", "indirect", "gather", "im2col", "pointwise", "triton"}
        "auto" takes "pointwise" where it can, "im2col" for frames of up to 4 channels, else "gather": "indirect" packs
        the weights first, which pays for layers that keep them (:class:`KeyedConv2d`), not for a single call.

    Returns
    -------
    Tensor, shape (B, D, Ho, Wo)
        In the order τ and channels-last memory.

    Raises
    ------
    OperatorError
        When shapes, permutations or options do not fit together.

    Examples
    --------
    >>> x = torch.arange(6.0).reshape(1, 1, 2, 3)
    >>> keyed_conv2d(x, torch.tensor([[[[1.0, 2.0]]]])).tolist()
    [[[[2.0, 5.0], [11.0, 14.0]]]]
    """
    if input.ndim != 4 or weight.ndim != 4:
        raise OperatorError(
            "input must be (B, C, H, W) and weight (D, C / groups, kh, kw); "
            f"got {tuple(input.shape)} and {tuple(weight.shape)}"
        )
    if groups < 1 or weight.shape[1] * groups != input.shape[1] or weight.shape[0] % groups:
        raise OperatorError(
            f"weight {tuple(weight.shape)} with {groups} groups does not fit an input of {input.shape[1]} channels"
        )
    size, kernel = (input.shape[2], input.shape[3]), (weight.shape[2], weight.shape[3])
    if table is None:
        window = Window.of(size, kernel, stride, padding, dilation, padding_mode=padding_mode)
        table = GatherTable.keyed(window, permutation_in, permutation_out)
    else:
        _check_table(table, size, kernel)
        if permutation_in is not None or permutation_out is not None:
            raise OperatorError("give either a table or permutations to keyed_conv2d, not both")
        repeated = (stride, padding, dilation, padding_mode) != (1, 0, 1, "zeros")
        if repeated and Window.of(size, kernel, stride, padding, dilation, padding_mode=padding_mode) != table.window:
            raise OperatorError("stride, padding, dilation or padding_mode differ from the table's; leave them out")
    own = None if slot is None else check_slot(slot, input)
    chosen = choose_engine(engine, table.window, input.shape[1])
    given = _on(table.slot, input) if own is None else own
    if chosen == "gather":
        return by_rows(input, weight, bias, groups, table.window, given, _on(table.source, input))
    if chosen == "triton":
        require_triton(input, groups)
        taps = tap_table(table.places.to(input.device), given, size[0] * size[1])
        return convolve_on_gpu(input, weight, bias, taps, table.output_size)
    if chosen == "indirect":
        require_indirect(input, weight, bias)
        packed = pack_weights(weight, bias, groups)
        ready = engine_table(table.places, given, size[0] * size[1], input.shape[1])
        each = given is not None and given.ndim == 2
        return convolve_frames(input, ready, packed, table.output_size, own_keys=each)
    index = compose(given, table.places.to(input.device), outside=size[0] * size[1])
    if chosen == "pointwise":
        return by_points(input, weight, bias, groups, index, table.output_size)
    return by_columns(input, weight, bias, groups, index, table.output_size)


def require_indirect(frames: Tensor, *parameters: Tensor | None) -> None:
    """Raise unless the engine "indirect", asked for by name, can take these tensors."""
    if not can_run(frames, *parameters):
        raise OperatorError(
            "engine 'indirect' needs float32 frames and weights on the CPU, without gradients; use 'auto'"
        )


def _on(table: Tensor | None, frames: Tensor) -> Tensor | None:
    return None if table is None else table.to(frames.device)


def _check_table(table: GatherTable, size: tuple[int, int], kernel: tuple[int, int]) -> None:
    """Raise unless a table made beforehand fits this frame and this kernel."""
    if table.input_size != size or table.window.kernel_size != kernel:
        raise OperatorError(
            f"the table is for {table.input_size} frames and a {table.window.kernel_size} kernel; "
            f"got {size} and {kernel}"
        )


def by_rows(
    frames: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    window: Window,
    slot: Tensor | None,
    source: Tensor | None,
) -> Tensor:
    """Convolve by row gather, library convolution, row gather; arguments are already checked.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
    slot, source : Tensor or None
        Slot of every natural input pixel, (N,) or (B, N), and natural position in every output slot, (M,).
    """
    natural = from_rows(permute_rows(to_rows(frames), slot), window.input_size)
    (top, bottom), (left, right) = window.padding
    inside = (top, left)
    if window.padding_mode != "zeros" or top != bottom or left != right:
        mode = "constant" if window.padding_mode == "zeros" else window.padding_mode
        natural = F.pad(natural, (left, right, top, bottom), mode=mode)
        inside = (0, 0)
    mapped = F.conv2d(natural, weight, bias, window.stride, inside, window.dilation, groups)
    return from_rows(permute_rows(to_rows(mapped), source), window.output_size)


def by_points(
    frames: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    index: Tensor | None,
    output_size: tuple[int, int],
) -> Tensor:
    """Convolve with a 1x1 kernel by one gather at most; arguments are already checked.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
    index : Tensor of integers, shape (M, 1) or (B, M, 1), or None
        Input slot of every output slot; None when that is the slot itself.
    """
    if index is not None:
        read = index.squeeze(-1)
        rows = to_rows(frames)
        # Stride 1 reads every pixel once, so that the adjoint is a gather too.
        rows = permute_rows(rows, read) if read.shape[-1] == rows.shape[1] else gather_rows(rows, read)
        frames = from_rows(rows, output_size)
    return F.conv2d(frames, weight, bias, groups=groups)


def by_columns(
    frames: Tensor, weight: Tensor, bias: Tensor | None, groups: int, index: Tensor, output_size: tuple[int, int]
) -> Tensor:
    """Convolve by gathering columns in the output's order and one matrix product; arguments are already checked.

    Parameters
    ----------
    frames : Tensor, shape (B, C, H, W)
    index : Tensor of integers, shape (M, K) or (B, M, K)
        Input slot of every tap of every output slot; N = H * W, one past the last, for padding.
    """
    # What padding reads: one more row, of zeros.
    rows = F.pad(to_rows(frames), (0, 0, 0, 1))
    B, _, C = rows.shape
    M, K = index.shape[-2:]
    index = index.flatten(-2)
    at_once = max(1, _COLUMN_ELEMENTS // (M * K * C))
    parts = [
        _matmul_columns(
            gather_rows(rows[first : first + at_once], index if index.ndim == 1 else index[first : first + at_once]),
            weight,
            bias,
            groups,
        )
        for first in range(0, max(B, 1), at_once)
    ]
    return from_rows(parts[0] if len(parts) == 1 else torch.cat(parts), output_size)


def _matmul_columns(columns: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
    """Multiply columns (B, M * K, C) with a convolution weight; return (B, M, D)."""
    B, _, C = columns.shape
    D, each, kh, kw = weight.shape
    K = kh * kw
    M = columns.shape[1] // K
    by_tap = weight.permute(0, 2, 3, 1)
    if groups == 1:
        return F.linear(columns.reshape(B, M, K * C), by_tap.reshape(D, K * C), bias)
    grouped = columns.reshape(B, M, K, groups, each)
    product = torch.einsum("bmkgc,gdkc->bmgd", grouped, by_tap.reshape(groups, D // groups, K, each))
    product = product.reshape(B, M, D)
    return product if bias is None else product + bias

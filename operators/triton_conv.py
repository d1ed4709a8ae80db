"""The ``triton`` engine: convolution of shuffled rows on a GPU, as a matrix product through an index table.

The table sends every tap of every output row straight to its slot, as in the ``indirect`` engine: no natural-order map
exists, and output rows come out in the order that the table was made for. Triton is imported when it is first needed.
"""

import functools
import importlib
from typing import Any

import torch
from torch import Tensor

from operators.errors import OperatorError
from operators.rows import from_rows, to_rows
from operators.tables import compose

# Rows and columns of a tile of the product, and channels that are added up at a time.
TILE = (64, 64, 32)


def is_available(frames: Tensor) -> bool:
    """Whether frames are on a GPU and Triton is installed."""
    if not frames.is_cuda:
        return False
    try:
        importlib.import_module("triton")
    except ImportError:
        return False
    return True


def require_triton(frames: Tensor, groups: int) -> None:
    """Raise OperatorError unless the engine can take these frames."""
    if groups != 1:
        raise OperatorError(f"engine 'triton' knows no groups; got {groups}. Use 'gather'")
    if not is_available(frames):
        raise OperatorError(
            f"engine 'triton' needs frames on a CUDA device and the package triton; got frames on {frames.device}. "
            "Use 'auto'"
        )


def tap_table(places: Tensor, slot: Tensor | None, pixels: int) -> Tensor:
    """Return the table in the form that the kernel reads: taps first, so that a tile's rows lie side by side.

    Parameters
    ----------
    places : Tensor of integers, shape (M, K)
        Natural input positions in the order of the outputs' slots; ``pixels`` for padding.
    slot : Tensor of integers, shape (N,) or (B, N), or None
    pixels : int
        N.

    Returns
    -------
    Tensor of int32, shape (1, K, M) or (B, K, M)
        Input slot of every tap, -1 for padding. As secret as the key.
    """
    index = compose(slot, places, outside=pixels)
    index = torch.where(index >= pixels, -1, index).to(torch.int32)
    return index.reshape(-1, *places.shape).transpose(1, 2).contiguous()


def convolve_on_gpu(
    frames: Tensor, weight: Tensor, bias: Tensor | None, table: Tensor, output_size: tuple[int, int]
) -> Tensor:
    r"""Convolve frames through a :func:`tap_table`.

    .. math:: y_{b i d} = \beta_d + \sum_{k c} x_{b, t(k, i), c} w_{d c k}

    Products are added up in float32 whatever the type; float32 frames use whole float32 products, no shorter ones.

    Parameters
    ----------
    frames : Tensor of float32, float16 or bfloat16, shape (B, C, H, W)
    weight : Tensor of the same type, shape (D, C, kh, kw)
    bias : Tensor, shape (D,), optional
    table : Tensor of int32, shape (1, K, M) or (B, K, M)
    output_size : (int, int)

    Returns
    -------
    Tensor, shape (B, D, Ho, Wo), channels-last

    Raises
    ------
    OperatorError
        If frames, weights and table do not fit together, or are too large for offsets of 32 bits.
    """
    rows = to_rows(frames)
    B, N, C = rows.shape
    D, each, kh, kw = weight.shape
    K, M = table.shape[1:]
    if each != C or kh * kw != K or weight.dtype != frames.dtype or table.shape[0] not in (1, B):
        raise OperatorError(
            f"weights {tuple(weight.shape)} of {weight.dtype} and a table {tuple(table.shape)} do not fit "
            f"{frames.dtype} frames {tuple(frames.shape)}"
        )
    if max(N * C, M * D) >= 2**31:
        raise OperatorError(f"frames of {N} pixels and {C} channels are too large for this engine; use 'gather'")
    out = rows.new_empty((B, M, D))
    if out.numel():
        by_tap = weight.permute(2, 3, 1, 0).reshape(K, C, D).contiguous()
        start = torch.zeros(D, device=rows.device) if bias is None else bias.float().contiguous()
        tile_m, tile_n, tile_k = TILE
        grid = (-(-M // tile_m), -(-D // tile_n), B)
        _kernel()[grid](
            rows, by_tap, start, table, out, N, C, D, K, M, 0 if table.shape[0] == 1 else K * M, tile_m, tile_n, tile_k
        )  # fmt: skip
    return from_rows(out, output_size)


@functools.cache
def _kernel() -> Any:
    """Return the compiled kernel; Triton compiles it for every type that it meets."""
    from operators.triton_kernel import gathered_product

    return gathered_product

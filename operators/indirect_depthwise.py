"""Depthwise convolution through a gather table: one weight for each channel and tap, so no matrix products."""

from typing import Any

import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from operators.engine_threads import share, threads_for
from operators.indirect_weights import PackedWeights

# Below this many products, starting threads costs more than it saves.
_PARALLEL_PRODUCTS = 200_000


@njit(cache=True, nogil=True, error_model="numpy")
def _convolve_row(
    pixels: NDArray[Any], taps: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], clamp: NDArray[Any],
    residual: NDArray[Any], out: NDArray[Any],
) -> None:  # fmt: skip
    """Set out[c] to clamp(bias[c] + residual[c] + sum_k pixels[taps[k], c] * weight[k, c]); tap N is padding."""
    for c in range(out.size):
        out[c] = bias[c]
    if residual.size > 0:
        for c in range(out.size):
            out[c] += residual[c]
    for k in range(taps.size):
        tap = taps[k]
        if tap < pixels.shape[0]:
            for c in range(out.size):
                out[c] += pixels[tap, c] * weight[k, c]
    low, high = clamp[0], clamp[1]
    for c in range(out.size):
        value = out[c]
        value = low if value < low else value
        out[c] = high if value > high else value


@njit(cache=True, nogil=True, error_model="numpy")
def _convolve_rows(
    rows: NDArray[Any], index: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], clamp: NDArray[Any],
    residual: NDArray[Any], out: NDArray[Any], first: int, last: int,
) -> None:  # fmt: skip
    """Do output rows ``first`` to ``last`` of :func:`convolve_depthwise`, which explains the arguments."""
    outputs = out.shape[1]
    for job in range(first, last):
        b, i = job // outputs, job % outputs
        held = residual[b, i] if residual.shape[0] > 0 else residual[:0].ravel()
        _convolve_row(rows[b], index[b % index.shape[0], i], weight, bias, clamp, held, out[b, i])


def convolve_depthwise(rows: Tensor, index: Tensor, packed: PackedWeights, residual: Tensor | None = None) -> Tensor:
    """Convolve every channel of rows with its own kernel.

    Parameters
    ----------
    rows : Tensor of float32 on the CPU, shape (B, N, C), contiguous
    index : Tensor of int32, shape (M, K) or (B, M, K)
        Already known to lie in 0..N; N is padding and reads 0.
    packed : PackedWeights
        Of a depthwise convolution.
    residual : Tensor of float32, shape (B, M, C), contiguous, optional

    Returns
    -------
    Tensor of float32, shape (B, M, C)
    """
    B, _, C = rows.shape
    M, K = index.shape[-2:]
    out = torch.empty((B, M, C))
    tables = index.reshape(-1, M, K).contiguous()
    held = out[:0] if residual is None else residual
    pixels, reads, before, after = (t.detach().numpy() for t in (rows, tables, held, out))
    arrays = (pixels, reads, packed.blocks, packed.bias, packed.clamp, before, after)
    parts = threads_for(B * M) if out.numel() * K >= _PARALLEL_PRODUCTS else 1
    kernel: Any = _convolve_rows

    def work(part: int) -> None:
        kernel(*arrays, B * M * part // parts, B * M * (part + 1) // parts)

    share(parts, work)
    return out

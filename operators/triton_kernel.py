"""The GPU kernel of ``operators.triton_conv``; importing it needs Triton."""

import triton  # type: ignore[import-not-found]  # not everywhere; see operators.triton_conv
import triton.language as tl  # type: ignore[import-not-found]


# Triton reads annotations as instructions: only what is fixed when it compiles may have one.
@triton.jit  # type: ignore[untyped-decorator]  # triton leaves it untyped
def gathered_product(  # type: ignore[no-untyped-def]  # see above
    x, w, start, table, out, N, C, D, K, M, table_step,
    TILE_M: tl.constexpr, TILE_N: tl.constexpr, TILE_K: tl.constexpr,
):  # fmt: skip
    """Add up, for one tile of outputs and channels, gathered rows times the weights of every tap.

    Parameters
    ----------
    x, w, start, out
        (B, N, C), (K, C, D), (D,) and (B, M, D), all contiguous.
    table, table_step
        (K, M) of the first frame, -1 for padding; from one frame's table to the next, 0 if they share it.
    """
    frame = tl.program_id(2).to(tl.int64)
    outputs = tl.program_id(0) * TILE_M + tl.arange(0, TILE_M)
    columns = tl.program_id(1) * TILE_N + tl.arange(0, TILE_N)
    pixels = x + frame * N * C
    taps = table + frame * table_step
    total = tl.zeros((TILE_M, TILE_N), dtype=tl.float32)
    for k in range(K):
        slot = tl.load(taps + k * M + outputs, mask=outputs < M, other=-1)
        for first in range(0, C, TILE_K):
            channels = first + tl.arange(0, TILE_K)
            inside = channels < C
            read = tl.load(
                pixels + slot[:, None] * C + channels[None, :],
                mask=(slot >= 0)[:, None] & inside[None, :],
                other=0.0,
            )
            weights = tl.load(
                w + (k * C + channels)[:, None] * D + columns[None, :],
                mask=inside[:, None] & (columns < D)[None, :],
                other=0.0,
            )
            total += tl.dot(read, weights, input_precision="ieee")
    total += tl.load(start + columns, mask=columns < D, other=0.0)[None, :]
    kept = (outputs < M)[:, None] & (columns < D)[None, :]
    places = out + frame * M * D + outputs[:, None] * D + columns[None, :]
    tl.store(places, total.to(out.dtype.element_ty), mask=kept)

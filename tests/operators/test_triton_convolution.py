"""The GPU engine: its index arithmetic, its kernel in Triton's interpreter and compiled off line, and its refusals."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F

from operators import GatherTable, OperatorError, Window, keyed_conv2d, shuffle_pixels, stack_slots
from operators.triton_conv import TILE, convolve_on_gpu, is_available, tap_table

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def case(draw, channels, maps, kernel, *, own_keys):
    window = Window.of((5, 7), kernel, 2, 1)
    table = GatherTable.keyed(window, None, tau := draw.order(window.output_size))
    single = torch.float32
    x, bias = draw.frames(3, channels, 5, 7, dtype=single), draw.weights(maps, dtype=single)
    weight = draw.weights(maps, channels, *kernel, dtype=single)
    orders = [draw.order((5, 7)) for _ in x] if own_keys else [draw.order((5, 7))] * 3
    seen = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, orders, strict=True)])
    slot = stack_slots(orders) if own_keys else stack_slots(orders[:1])[0]
    expected = shuffle_pixels(F.conv2d(x, weight, bias, 2, 1), tau)
    return seen, weight, bias, tap_table(table.places, slot, 35), expected, window.output_size


def emulated(x, weight, bias, table, size):
    """The kernel's index arithmetic in flat memory, one tile at a time, without Triton."""
    B, C, H, W = x.shape
    N, D, (K, M) = H * W, weight.shape[0], table.shape[1:]
    flat = x.permute(0, 2, 3, 1).reshape(-1)
    weights, taps = weight.permute(2, 3, 1, 0).reshape(-1), table.reshape(-1)
    out, step = torch.full((B * M * D,), torch.nan), 0 if len(table) == 1 else K * M
    for frame in range(B):
        for outputs in torch.arange(M).split(TILE[0]):
            for columns in torch.arange(D).split(TILE[1]):
                total = bias[columns].repeat(len(outputs), 1)
                for k in range(K):
                    slot = taps[frame * step + k * M + outputs]
                    for channels in torch.arange(C).split(TILE[2]):
                        places = frame * N * C + slot[:, None] * C + channels
                        read = torch.where(slot[:, None] >= 0, flat[places.clamp(min=0)], 0.0)
                        total += read @ weights[(k * C + channels)[:, None] * D + columns]
                out[frame * M * D + outputs[:, None] * D + columns] = total
    return out.reshape(B, *size, D).permute(0, 3, 1, 2)


@pytest.mark.parametrize("own_keys", [False, True])
@pytest.mark.parametrize(("channels", "maps", "kernel"), [(3, 5, (3, 2)), (40, 70, (3, 3)), (1, 1, (1, 1))])
def test_the_index_arithmetic_of_the_kernel_is_the_keyed_convolution(draw, channels, maps, kernel, own_keys):
    *arguments, expected, size = case(draw, channels, maps, kernel, own_keys=own_keys)
    assert torch.equal(emulated(*arguments, size), expected)


INTERPRETED = """
import sys, torch
from operators.triton_conv import convolve_on_gpu
x, weight, bias, table, expected, size = torch.load(sys.argv[1])
for dtype in (torch.float32, torch.float16):
    got = convolve_on_gpu(x.to(dtype), weight.to(dtype), bias, table, size)
    assert got.dtype == dtype and torch.equal(got, expected.to(dtype)), (got.float() - expected).abs().max()
"""


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("own_keys", [False, True])
def test_the_kernel_agrees_in_the_interpreter(draw, tmp_path, own_keys):
    # Triton decides when it is imported whether it interprets: hence a process of its own.
    torch.save(case(draw, 40, 70, (3, 2), own_keys=own_keys), tmp_path / "case.pt")
    subprocess.run(
        [sys.executable, "-c", INTERPRETED, str(tmp_path / "case.pt")],
        check=True, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize(("number", "chip"), [("fp16", 90), ("bf16", 90), ("fp32", 80)])
def test_the_kernel_compiles_off_line(monkeypatch, number, chip):
    # Unset, it is warned about.
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "1")
    import triton
    from triton.backends.compiler import GPUTarget

    from operators.triton_kernel import gathered_product

    names = dict.fromkeys(("N", "C", "D", "K", "M", "table_step"), "i32")
    pointers = {"x": f"*{number}", "w": f"*{number}", "start": "*fp32", "table": "*i32", "out": f"*{number}"}
    tiles = dict(zip(("TILE_M", "TILE_N", "TILE_K"), TILE, strict=True))
    source = triton.compiler.ASTSource(gathered_product, {**pointers, **names}, tiles)
    made = triton.compile(source, target=GPUTarget("cuda", chip, 32))
    assert f".target sm_{chip}" in made.asm["ptx"]


def test_the_engine_asks_for_a_gpu():
    x, weight = torch.rand(1, 3, 5, 7), torch.rand(2, 3, 3, 3)
    assert not is_available(x)
    with pytest.raises(OperatorError, match=r"'triton' needs frames on a CUDA device.*on cpu"):
        keyed_conv2d(x, weight, engine="triton")
    with pytest.raises(OperatorError, match="knows no groups"):
        keyed_conv2d(x, weight[:, :1].repeat(3, 1, 1, 1)[:3], groups=3, engine="triton")


def test_tables_and_weights_that_do_not_fit_are_refused(draw):
    x, weight, bias, table, _, size = case(draw, 3, 5, (3, 2), own_keys=False)
    for wrong in ((x, weight[:, :2], bias, table), (x, weight.double(), bias, table), (x, weight, bias, table[:, :2])):
        with pytest.raises(OperatorError, match="do not fit"):
            convolve_on_gpu(*wrong, size)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@needs_triton
def test_the_engine_agrees_on_a_gpu(draw):
    x, weight, bias, table, expected, size = (
        a.cuda() if torch.is_tensor(a) else a for a in case(draw, 40, 70, (3, 2), own_keys=True)
    )
    assert torch.equal(convolve_on_gpu(x, weight, bias, table, size), expected)

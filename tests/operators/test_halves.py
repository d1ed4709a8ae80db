"""Layers on the matrix unit: exact on whole numbers, as close as float32 on reals of like size, blind to order."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import assert_exact, drawn, draws
from naive_operators import convolve
from torch import nn

from operators import KeyedConv2d, shuffle_pixels, stack_slots, unshuffle_pixels
from operators.engine_runs import FusedRun
from operators.engine_steps import fuse_epilogue
from operators.halves import halves_numbers
from operators.halves_kernels import IS_THERE, convolve_halves
from operators.indirect import images_of_table, step_of
from operators.indirect_weights import pack_halves
from operators.rows import from_rows, to_rows

F32 = torch.float32
pytestmark = pytest.mark.skipif(not IS_THERE, reason="needs a processor with AMX-FP16")


@pytest.fixture(autouse=True, params=["halves", "three bytes"])
def no_layer_is_too_small(monkeypatch, request):
    monkeypatch.setattr("operators.halves._FEWEST_PRODUCTS", 0)
    fewest = 1 << 40 if request.param == "halves" else 0
    monkeypatch.setattr("operators.halves_weights._FEWEST_WEIGHTS", fewest)


def layer(draw, size, channels=32, maps=48, kernel=3, stride=1, padding=1, dilation=1, mode="zeros"):
    """Return a keyed layer with whole-number weights, its plain twin, and its orders."""
    plain = nn.Conv2d(channels, maps, kernel, stride, padding, dilation, padding_mode=mode).requires_grad_(False)
    plain.weight.copy_(draw.weights(*plain.weight.shape, dtype=F32))
    plain.bias.copy_(draw.weights(maps, dtype=F32))
    sigma = draw.order(size)
    tau = draw.order(plain(torch.zeros(1, channels, *size)).shape[2:])
    keyed = KeyedConv2d(plain, size, sigma, tau)
    assert keyed.way == "halves"
    return keyed, plain, sigma, tau


@torch.no_grad()
@drawn(30)
@given(
    draw=draws,
    size=st.tuples(st.integers(5, 24), st.integers(5, 23)),
    shape=st.sampled_from([(32, 32), (48, 32), (64, 80), (112, 48)]),
    window=st.sampled_from(
        [(3, 1, 1, 1), (3, 2, 1, 1), (1, 1, 0, 1), (1, 2, 0, 1), (1, 1, 1, 1), (2, 1, 0, 2), (5, 3, 2, 1)]
    ),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    batch=st.integers(0, 4),
    own_keys=st.booleans(),
)
def test_whole_numbers_are_exact_for_every_window_border_and_batch(draw, size, shape, window, mode, batch, own_keys):
    keyed, plain, _, tau = layer(draw, size, *shape, *window, mode)
    x = draw.frames(batch, shape[0], *size, dtype=F32) * 1001
    assert_exact(draw, keyed, plain, tau, x, own_keys=own_keys)


@torch.no_grad()
@pytest.mark.parametrize(
    ("channels", "maps", "size", "kernel"), [(64, 64, (16, 17), 3), (48, 80, (9, 33), 3), (256, 64, (8, 8), 1)]
)
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e12])
def test_real_numbers_of_any_scale_are_as_close_as_float32_comes(draw, channels, maps, size, kernel, scale):
    keyed, plain, sigma, tau = layer(draw, size, channels, maps, kernel, padding=kernel // 2)
    nn.init.normal_(plain.weight, generator=torch.Generator().manual_seed(1))
    plain.bias.zero_()
    plain.weight.div_(scale)
    x = torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(2)) * scale
    borders = ((kernel // 2,) * 2,) * 2
    expected = torch.from_numpy(convolve(x.double().numpy(), plain.weight.double().numpy(), borders=borders))
    found = unshuffle_pixels(keyed(shuffle_pixels(x, sigma)), tau)
    apart, plainly_apart = ((y - expected).abs().max() / expected.abs().max() for y in (found, plain(x)))
    assert apart < max(2 * plainly_apart, 1e-6)


@torch.no_grad()
def test_small_values_beside_one_that_is_thousands_of_times_as_large_keep_their_digits(draw):
    size = (12, 13)
    keyed, plain, sigma, tau = layer(draw, size, 32, 32)
    x = torch.randn(1, 32, *size, generator=torch.Generator().manual_seed(4))
    x[0, 0, 0, 0] = 2.0**16
    found = unshuffle_pixels(keyed(shuffle_pixels(x, sigma)), tau)[:, :, 2:, 2:]
    expected = F.conv2d(x.double(), plain.weight.double(), plain.bias.double(), padding=1)[:, :, 2:, 2:]
    assert (found - expected).abs().max() < 1e-6 * expected.abs().max()


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "times", "apart"), [(3, 2.0**24, 1e-4), (3, 2.0**40, 10), (1, 2.0**40, 1e-6)])
def test_beside_a_far_larger_pixel_others_keep_the_digits_that_the_documentation_says(draw, kernel, times, apart):
    size = (12, 13)
    _, plain, *_ = layer(draw, size, 32, 32, kernel, padding=kernel // 2)
    x = torch.randn(1, 32, *size, generator=torch.Generator().manual_seed(4))
    x[0, 0, 0, 0] = times
    expected = plain.double()(x.double())[:, :, 2:, 2:]
    plain.float()
    by_unit, by_library = (KeyedConv2d(plain, size, engine=name)(x)[:, :, 2:, 2:] for name in ("auto", "gather"))
    most = expected.abs().max()
    assert (by_unit - expected).abs().max() < apart * most
    assert (by_library - expected).abs().max() < 1e-6 * most
    if apart > 1e-6:
        assert (by_unit - expected).abs().max() > 1e-6 * most


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_value_has_the_same_bits_in_every_order_batch_and_number_of_threads(draw, threads, kernel):
    size = (17, 16)
    keyed, plain, sigma, tau = layer(draw, size, 64, 64, kernel, padding=kernel // 2)
    x = torch.randn(9, 64, *size, generator=torch.Generator().manual_seed(3))
    x *= torch.arange(1, 10)[:, None, None, None]
    natural = KeyedConv2d(plain, size)(x[7:8])
    torch.set_num_threads(threads)
    found = unshuffle_pixels(keyed(shuffle_pixels(x, sigma)), tau)
    assert torch.equal(found[7:8], natural)
    slot = stack_slots([*(draw.order(size) for _ in range(7)), *[sigma] * 2])
    assert torch.equal(unshuffle_pixels(keyed(shuffle_pixels(x, sigma), slot), tau)[7:8], natural)


@torch.no_grad()
@pytest.mark.parametrize(
    ("batch", "size", "maps"), [(1, (4, 5), 320), (1, (40, 30), 64), (7, (6, 6), 96), (3, (32, 33), 48)]
)
@pytest.mark.parametrize("kernel", [1, 3])
def test_parts_do_every_output_once_whatever_their_number(draw, batch, size, maps, kernel):
    keyed, plain, sigma, tau = layer(draw, size, 32, maps, kernel, padding=kernel // 2)
    x = draw.frames(batch, 32, *size, dtype=F32)
    expected = shuffle_pixels(plain(x), tau)
    shuffled = shuffle_pixels(x, sigma)
    keyed(shuffled)
    packed, outputs = pack_halves(plain.weight, plain.bias), size[0] * size[1]
    rows = to_rows(shuffled)
    for parts in range(1, 7):
        out = torch.full((batch, outputs, maps), torch.nan)
        step = step_of(tuple(rows.shape), keyed.offsets, packed, outputs, images_of_table(outputs), False)
        memory = np.full((parts * step[26] + 64) // 4, np.nan, np.float32)
        step[3], step[9], step[25] = rows.data_ptr(), out.data_ptr(), -(-memory.ctypes.data // 64) * 64
        for part in range(parts):
            before = out.clone()
            convolve_halves(step, packed.clamp, part, parts)
            assert before[~out.isnan() & ~before.isnan()].equal(out[~out.isnan() & ~before.isnan()])
        assert torch.equal(from_rows(out, size), expected)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("with_residual", [False, True])
def test_residual_and_clamp_come_after_the_sum(draw, with_residual, kernel):
    size = (15, 19)
    keyed, plain, sigma, tau = layer(draw, size, kernel=kernel, padding=kernel // 2)
    x, residual = draw.frames(3, 32, *size, dtype=F32), draw.frames(3, 48, *size, dtype=F32)
    added = shuffle_pixels(residual, tau) if with_residual else None
    fused = fuse_epilogue(keyed, None, nn.Hardtanh(-3, 20))
    expected = (plain(x) + (residual if with_residual else 0)).clamp(-3, 20)
    assert torch.equal(fused(shuffle_pixels(x, sigma), None, added), shuffle_pixels(expected, tau))


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_finite_number_reaches_only_the_outputs_that_read_it(draw, value, kernel):
    size = (12, 14)
    _, plain, _, _ = layer(draw, size, kernel=kernel, padding=kernel // 2)
    plain.weight.abs_().add_(1)
    keyed = KeyedConv2d(plain, size)
    for place in ((0, 0), (3, 4), (11, 13)):
        x = torch.ones(2, 32, *size)
        x[1, :, *place] = value
        found, expected = keyed(x), plain(x)
        assert torch.equal(found.isfinite(), expected.isfinite())
        assert torch.equal(found[expected.isfinite()], expected[expected.isfinite()])


@torch.no_grad()
def test_an_empty_frame_gives_the_bias(draw):
    keyed, plain, *_ = layer(draw, (9, 8))
    assert torch.equal(keyed(torch.zeros(1, 32, 9, 8))[0, :, 0, 0], plain.bias)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize(
    ("pixel", "weight"), [(1e-12, 1e-24), (1e-12, 1e-26), (1e30, 1e-30), (1e-30, 1e30), (1e19, 1e16)]
)
def test_products_of_very_small_and_very_large_numbers_are_there(draw, pixel, weight, kernel):
    size = (6, 7)
    keyed, plain, sigma, tau = layer(draw, size, kernel=kernel, padding=kernel // 2)
    nn.init.uniform_(plain.weight, 0.5, 1, generator=torch.Generator().manual_seed(5)).mul_(weight)
    plain.bias.zero_()
    x = (torch.rand(2, 32, *size, generator=torch.Generator().manual_seed(6)) + 0.5) * pixel
    expected = F.conv2d(x.double(), plain.weight.double(), padding=kernel // 2)
    found = unshuffle_pixels(keyed(shuffle_pixels(x, sigma)), tau)
    assert found.isfinite().all()
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=0)


@torch.no_grad()
def test_values_are_the_same_however_many_images_are_split_at_once(draw, monkeypatch):
    size = (4, 5)
    keyed, plain, sigma, tau = layer(draw, size, padding=0)
    x = draw.frames(9, 32, *size, dtype=F32)
    expected = shuffle_pixels(plain(x), tau)
    assert torch.equal(keyed(shuffle_pixels(x, sigma)), expected)
    monkeypatch.setattr("operators.halves._MOST_VALUES", 2 * 32 * 20)
    halves_numbers.cache_clear()
    assert torch.equal(keyed(shuffle_pixels(x, sigma)), expected)
    halves_numbers.cache_clear()


@torch.no_grad()
@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_of_a_plain_step_packs_its_own_weights(twin_of):
    step = fuse_epilogue(nn.Conv2d(32, 48, 1), nn.BatchNorm2d(48).eval(), nn.ReLU())
    x = torch.randn(2, 32, 6, 7, generator=torch.Generator().manual_seed(7))
    expected = step(x)
    packed = step._weights.unchanged(step.conv, step.norm)
    assert packed.way == "halves"
    twin = twin_of(step)
    assert twin._weights._packed is None
    assert torch.equal(twin(x), expected)
    assert twin._weights._packed.addresses != packed.addresses


@torch.no_grad()
@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_of_a_run_of_plain_steps_gives_the_same_answers(twin_of):
    steps = [fuse_epilogue(nn.Conv2d(32, 48, 1), None, nn.ReLU()), fuse_epilogue(nn.Conv2d(48, 32, 1), None)]
    run = FusedRun(steps, [(0, None), (1, None)], [2], 1)
    x = torch.randn(2, 32, 6, 7, generator=torch.Generator().manual_seed(8))
    for _ in range(2):
        (expected,) = run(x)
    twin = twin_of(run)
    for _ in range(2):
        assert torch.equal(twin(x)[0], expected)

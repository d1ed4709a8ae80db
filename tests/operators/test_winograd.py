"""3x3 layers by squares: exact on whole numbers, close on real ones, and blind to order, batch and threads."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import assert_exact, drawn, draws
from naive_operators import convolve
from torch import nn

from operators import KeyedConv2d, OperatorError, Window, shuffle_pixels, stack_slots, unshuffle_pixels
from operators.engine_steps import fuse_epilogue
from operators.indirect_kernels import LANES
from operators.winograd import suits_winograd
from scrambler import Permutation

F32 = torch.float32
pytestmark = pytest.mark.skipif(LANES < 8, reason="needs a processor with AVX2")


@pytest.fixture(autouse=True)
def no_matrix_unit(monkeypatch):
    """Where there is one, it is quicker still."""
    monkeypatch.setattr("operators.engine_indirect.suits_halves", lambda *_: False)


def layer(draw, size, channels=64, maps=80, padding=1, mode="zeros", bias=True):
    """Return a keyed layer with whole-number weights, its plain twin, and its orders."""
    plain = nn.Conv2d(channels, maps, 3, padding=padding, padding_mode=mode, bias=bias).requires_grad_(False)
    plain.weight.copy_(draw.weights(*plain.weight.shape, dtype=F32))
    if bias:
        plain.bias.copy_(draw.weights(maps, dtype=F32))
    sigma = draw.order(size)
    tau = draw.order(tuple(n + 2 * padding - 2 for n in size))
    keyed = KeyedConv2d(plain, size, sigma, tau)
    assert keyed.way == "squares"
    return keyed, plain, sigma, tau


@torch.no_grad()
@drawn(25)
@given(
    draw=draws,
    size=st.tuples(st.integers(16, 20), st.integers(16, 19)),
    padding=st.integers(0, 2),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    shape=st.sampled_from([(64, 64), (64, 80), (112, 64)]),
    batch=st.integers(0, 3),
    own_keys=st.booleans(),
)
def test_whole_numbers_are_exact_for_every_size_border_and_batch(draw, size, padding, mode, shape, batch, own_keys):
    size = (size[0] + 2, size[1] + 2)
    keyed, plain, _, tau = layer(draw, size, *shape, padding, mode)
    x = draw.frames(batch, shape[0], *size, dtype=F32)
    assert_exact(draw, keyed, plain, tau, x, own_keys=own_keys)


@torch.no_grad()
@pytest.mark.parametrize(
    ("channels", "maps", "size", "batch"), [(64, 64, (16, 17), 3), (64, 80, (9, 33), 2), (256, 64, (8, 8), 2)]
)
def test_real_numbers_are_right_to_a_hundred_thousandth(draw, channels, maps, size, batch):
    keyed, plain, sigma, tau = layer(draw, size, channels, maps)
    torch.nn.init.normal_(plain.weight, generator=torch.Generator().manual_seed(1))
    x = torch.randn(batch, channels, *size, generator=torch.Generator().manual_seed(2))
    naive = convolve(x.double().numpy(), plain.weight.double().numpy(), borders=((1, 1), (1, 1)))
    expected = torch.from_numpy(naive) + plain.bias.double()[:, None, None]
    found = unshuffle_pixels(keyed(shuffle_pixels(x, sigma)), tau)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("threads", [1, 2])
def test_every_value_has_the_same_bits_in_every_order_batch_and_number_of_threads(draw, threads):
    size = (17, 16)
    keyed, plain, sigma, tau = layer(draw, size, 64, 64)
    x = torch.randn(40, 64, *size, generator=torch.Generator().manual_seed(3))
    natural = KeyedConv2d(plain, size)(x[7:8])
    torch.set_num_threads(threads)
    found = unshuffle_pixels(keyed(shuffle_pixels(x, sigma)), tau)
    assert torch.equal(found[7:8], natural)
    slot = stack_slots([sigma, *(draw.order(size) for _ in range(7)), *[sigma] * 32])
    assert torch.equal(unshuffle_pixels(keyed(shuffle_pixels(x, sigma), slot), tau)[-1], found[-1])


@torch.no_grad()
@pytest.mark.parametrize("with_residual", [False, True])
def test_residual_and_clamp_come_after_the_sum(draw, with_residual):
    size = (15, 19)
    keyed, plain, sigma, tau = layer(draw, size, 64, 64)
    x, residual = draw.frames(3, 64, *size, dtype=F32), draw.frames(3, 64, *size, dtype=F32)
    added = shuffle_pixels(residual, tau) if with_residual else None
    fused = fuse_epilogue(keyed, None, nn.Hardtanh(-3, 20))
    expected = (plain(x) + (residual if with_residual else 0)).clamp(-3, 20)
    assert torch.equal(fused(shuffle_pixels(x, sigma), None, added), shuffle_pixels(expected, tau))


@torch.no_grad()
def test_what_is_no_number_reaches_only_the_outputs_that_read_it(draw):
    size = (16, 18)
    _, plain, _, _ = layer(draw, size, 64, 64)
    keyed = KeyedConv2d(plain, size)
    for place in ((0, 0), (3, 4), (4, 3), (15, 17)):
        x = torch.ones(1, 64, *size)
        x[0, :, *place] = float("nan")
        assert torch.equal(keyed(x).isnan(), F.conv2d(x, plain.weight, padding=1).isnan())


@torch.no_grad()
def test_slots_that_do_not_exist_are_refused(draw):
    keyed, *_ = layer(draw, (16, 17), 64, 64)
    for bad in (-1, 272):
        with pytest.raises(OperatorError, match="numbers from 0 to 271"):
            keyed(torch.zeros(1, 64, 16, 17), torch.full((272,), bad, dtype=torch.int32))


@pytest.mark.parametrize(
    ("change", "suits"),
    [({}, True), ({"kernel": 5}, False), ({"stride": 2}, False), ({"dilation": 2}, False), ({"size": (15, 15)}, False),
     ({"channels": 72}, False), ({"maps": 72}, False), ({"size": (7, 9), "channels": 512}, False),
     ({"groups": 2}, False)],
)  # fmt: skip
def test_only_layers_of_the_right_kind_take_it(change, suits):
    case = {"size": (16, 17), "kernel": 3, "stride": 1, "dilation": 1, "channels": 64, "maps": 64, "groups": 1} | change
    window = Window.of(case["size"], case["kernel"], case["stride"], case["kernel"] // 2, case["dilation"])
    assert suits_winograd(window, case["channels"], case["maps"], case["groups"]) == suits


def test_the_transforms_are_those_of_a_hand_example(draw):
    # One square of ones under a kernel of ones: every output counts its 9 inputs in each of 64 channels.
    plain = nn.Conv2d(64, 64, 3, bias=False).requires_grad_(False)
    plain.weight.fill_(1)
    size = (18, 18)
    order = Permutation(draw.rng.permutation(324))
    y = KeyedConv2d(plain, size, order)(torch.ones(1, 64, *size))
    assert torch.equal(y, torch.full((1, 64, 16, 16), 576.0))

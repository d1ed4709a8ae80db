import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import convolve
from torch import nn

from operators import (
    GatherTable,
    KeyedConv2d,
    OperatorError,
    Window,
    keyed_conv2d,
    shuffle_pixels,
    stack_slots,
    unshuffle_pixels,
)
from operators.engine_indirect import convolve_frames, engine_table
from operators.indirect_kernels import COLUMNS, LANES, ROWS
from operators.indirect_weights import pack_weights
from scrambler import Permutation

F32 = torch.float32


def normal(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_published_example():
    shuffled = torch.tensor([[[[5.0, 1, 9], [3, 7, 2], [4, 6, 8]]]])
    kernel = torch.tensor([[[[1.0, 0, 0], [0, 0, 0], [0, 0, 2]]]])
    sigma, tau = Permutation([4, 0, 8, 2, 6, 1, 3, 5, 7]), Permutation(list(range(8, -1, -1)))
    keyed = keyed_conv2d(shuffled, kernel, padding=1, permutation_in=sigma, permutation_out=tau, engine="indirect")
    assert keyed.tolist() == [[[[5, 4, 0], [2, 19, 16], [0, 12, 10]]]]


@drawn(150)
@given(
    draw=draws,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    grouping=st.sampled_from(
        [(1, 3, 2), (1, 9, 33), (2, 4, 6), (2, 18, 40), (3, 3, 3), (8, 8, 8), (2, 2, 4), (1, 1, 1)]
    ),
    batch=st.integers(0, 5),
    own_keys=st.booleans(),
    with_bias=st.booleans(),
)
def test_integers_are_exact_for_every_size_stride_dilation_group_and_batch(
    draw, size, kernel, stride, padding, dilation, mode, grouping, batch, own_keys, with_bias
):
    groups, channels, maps = grouping
    try:
        window = Window.of(size, kernel, stride, padding, dilation, padding_mode=mode)
    except OperatorError:
        return
    x = draw.frames(batch, channels, *size, dtype=F32)
    weight = draw.weights(maps, channels // groups, *kernel, dtype=F32)
    bias = draw.weights(maps, dtype=F32) if with_bias else None
    tau = draw.order(window.output_size)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    keyed = keyed_conv2d(
        shuffled,
        weight,
        bias,
        stride,
        padding,
        dilation,
        groups,
        **key,
        permutation_out=tau,
        padding_mode=mode,
        engine="indirect",
    )
    plain = torch.from_numpy(convolve(x.numpy(), weight.numpy(), stride, window.padding, dilation, groups, mode))
    plain = plain if bias is None else plain + bias[:, None, None]
    assert torch.equal(keyed, shuffle_pixels(plain, tau))
    assert keyed.is_contiguous(memory_format=torch.channels_last) or keyed.numel() == 0


# Full, narrow and cut tiles, one and several blocks, copied columns, and weights too large to stay in the cache.
SHAPES = [
    (12, COLUMNS, (4, 3), 1),
    (12, LANES, (5, 7), 3),
    (5, COLUMNS + LANES, (6, 7), 2),
    (3, 2 * COLUMNS + 3, (7, 9), 2),
    (160, 3 * COLUMNS + 1, (3, 2), 7),
    (7, 5, (1, 1), 4),
    (2, COLUMNS, (2, 1), 9),
]


@pytest.mark.parametrize(("channels", "maps", "size", "batch"), SHAPES)
def test_real_numbers_are_right_to_a_hundred_thousandth(draw, channels, maps, size, batch):
    x, weight, bias = normal(1, batch, channels, *size), normal(2, maps, channels, 3, 3), normal(3, maps)
    tau = draw.order(size)
    shuffled, key = draw.keyed_batch(x, own_keys=True)
    keyed = keyed_conv2d(shuffled, weight, bias, padding=1, **key, permutation_out=tau, engine="indirect")
    plain = torch.from_numpy(convolve(x.double().numpy(), weight.double().numpy(), borders=((1, 1), (1, 1))))
    expected = shuffle_pixels(plain + bias.double()[:, None, None], tau)
    assert (keyed - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("channels", "size"), [(56, (13, 11)), (2 * COLUMNS, (3, 3)), (LANES, (4, 25)), (5, (12, 8))])
def test_depthwise_convolution_is_right_in_whole_and_partial_vectors_and_tiles(draw, channels, size):
    x, weight = draw.frames(3, channels, *size, dtype=F32), draw.weights(channels, 1, 3, 3, dtype=F32)
    for bias in (None, draw.weights(channels, dtype=F32)):
        sigma, tau = draw.order(size), draw.order(size)
        options = {"padding": 1, "groups": channels, "permutation_in": sigma, "permutation_out": tau}
        keyed = keyed_conv2d(shuffle_pixels(x, sigma), weight, bias, **options, engine="indirect")
        assert torch.equal(keyed, shuffle_pixels(F.conv2d(x, weight, bias, padding=1, groups=channels), tau))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("groups", [1, 2, 40])
def test_every_value_has_the_same_bits_in_every_order_batch_and_number_of_threads(draw, groups, threads):
    torch.set_num_threads(threads)
    x, weight = normal(4, 40, 40, 13, 11), normal(5, 40, 40 // groups, 3, 3)
    sigma, tau = draw.order((13, 11)), draw.order((7, 6))
    options = {"stride": 2, "padding": 1, "groups": groups, "engine": "indirect"}
    torch.set_num_threads(1)
    natural = keyed_conv2d(x[7:8], weight, **options)
    torch.set_num_threads(threads)
    keyed = keyed_conv2d(shuffle_pixels(x, sigma), weight, permutation_in=sigma, permutation_out=tau, **options)
    assert torch.equal(unshuffle_pixels(keyed, tau)[7:8], natural)
    slot = stack_slots([draw.order((13, 11)) for _ in range(7)] + [sigma] + [draw.order((13, 11)) for _ in range(32)])
    own = keyed_conv2d(shuffle_pixels(x, sigma), weight, slot=slot, permutation_out=tau, **options)
    assert torch.equal(own[7], keyed[7])


@pytest.mark.parametrize(("channels", "maps", "groups"), [(12, 40, 1), (6, 6, 6), (3, 33, 1), (12, LANES, 1)])
@pytest.mark.parametrize("size", [(5, 7), (3, 2), (16, 12)])
def test_residual_and_clamp_come_after_the_sum(draw, channels, maps, groups, size):
    x, weight = draw.frames(3, channels, *size, dtype=F32), draw.weights(maps, channels // groups, 3, 3, dtype=F32)
    bias, residual = draw.weights(maps, dtype=F32), draw.frames(3, maps, *size, dtype=F32)
    packed = pack_weights(weight, bias, groups, -3.0, 20.0)
    places = GatherTable.keyed(Window.of(size, 3, 1, 1)).places
    table = engine_table(places, None, size[0] * size[1], channels)
    fused = convolve_frames(x, table, packed, size, residual=residual)
    assert torch.equal(fused, (F.conv2d(x, weight, bias, padding=1, groups=groups) + residual).clamp(-3, 20))


@pytest.mark.parametrize("groups", [1, 4])
def test_what_is_no_number_stays_none(groups):
    x = torch.ones(1, 4, 4, 5)
    x[0, :, 2, 2] = float("nan")
    packed = pack_weights(torch.ones(4, 4 // groups, 1, 1), None, groups, 0.0, 1.0)
    places = GatherTable.keyed(Window.of((4, 5), 1)).places
    y = convolve_frames(x, engine_table(places, None, 20, 4), packed, (4, 5))
    assert y.isnan().sum() == 4
    assert y[0, :, 2, 2].isnan().all()


def test_what_lies_around_the_frames_in_memory_never_enters_the_result():
    for B, maps in ((1, 5), (3, COLUMNS + 1), (4, LANES)):
        outside = 64
        held = torch.full((B * 10 * 7 + 2 * outside,), float("nan"))
        rows = held[outside:-outside].view(B, 10, 7)
        rows.copy_(normal(1, B, 10, 7))
        x = rows.permute(0, 2, 1).unflatten(-1, (2, 5))
        y = keyed_conv2d(x, normal(2, maps, 7, 3, 3), padding=1, engine="indirect")
        torch.testing.assert_close(y, F.conv2d(x.clone(), normal(2, maps, 7, 3, 3), padding=1))


def layer(draw, plain, engine="indirect", size=(5, 7)):
    H, W = plain(torch.zeros(1, plain.in_channels, *size)).shape[2:]
    sigma, tau = draw.order(size), draw.order((H, W))
    return KeyedConv2d(plain, size, sigma, tau, engine=engine), sigma, tau


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_layer_runs_without_gradients_in_either_mode(draw, mode, kernel):
    plain = nn.Conv2d(6, 20, kernel, padding=kernel // 2).requires_grad_(False)
    x = normal(1, 2, 6, 5, 7)
    for engine in ("indirect", "auto"):
        keyed, sigma, tau = layer(draw, plain, engine)
        own = [draw.order((5, 7)) for _ in x]
        each = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, own, strict=True)])
        with mode():
            expected = shuffle_pixels(plain(x), tau)
            torch.testing.assert_close(keyed(shuffle_pixels(x, sigma)), expected)
            torch.testing.assert_close(keyed(each, stack_slots(own)), expected)
            torch.testing.assert_close(keyed(each[:1], stack_slots(own)[0]), expected[:1])
        torch.testing.assert_close(keyed(shuffle_pixels(x, sigma)), expected.clone())


def test_auto_goes_to_the_library_where_a_gradient_or_another_type_is_wanted(draw):
    plain = nn.Conv2d(6, 20, 3)
    keyed, sigma, _ = layer(draw, plain, "auto")
    x = shuffle_pixels(normal(1, 2, 6, 5, 7), sigma)
    assert keyed(x).requires_grad
    with torch.no_grad():
        torch.testing.assert_close(keyed(x), keyed(x.clone().requires_grad_()))
        assert keyed(x.clone()).dtype == F32
        assert keyed.double()(x.double()).dtype == torch.float64


def test_the_engine_by_name_says_what_it_needs(draw):
    keyed, sigma, _ = layer(draw, nn.Conv2d(6, 20, 3))
    x = shuffle_pixels(normal(1, 2, 6, 5, 7), sigma)
    with pytest.raises(OperatorError, match="without gradients; use 'auto'"):
        keyed(x)
    with torch.no_grad():
        for call, message in [
            (lambda: keyed_conv2d(x.double(), keyed.weight.double(), engine="indirect"), "needs float32"),
            (lambda: keyed(x[..., 1:]), r"was made for frames \(B, C, 5, 7\)"),
            (lambda: keyed(x, torch.full((35,), 35)), "numbers from 0 to 34"),
            (lambda: keyed(x, torch.full((2, 35), -1)), "numbers from 0 to 34"),
            (lambda: keyed(x, torch.zeros(34, dtype=torch.int32)), "slot must have the shape"),
        ]:
            with pytest.raises(OperatorError, match=message):
                call()
        depthwise, _, _ = layer(draw, nn.Conv2d(6, 6, 3, groups=6))
        with pytest.raises(OperatorError, match="numbers from 0 to 34"):
            depthwise(x, torch.full((35,), 35))


@torch.no_grad()
@pytest.mark.parametrize("change", ["in place", "loaded", "replaced", "moved"])
def test_weights_are_packed_again_when_they_change(draw, change):
    plain = nn.Conv2d(6, 20, 3)
    keyed, sigma, tau = layer(draw, plain)
    x = normal(1, 2, 6, 5, 7)
    before = keyed(shuffle_pixels(x, sigma))
    new = normal(9, 20, 6, 3, 3)
    if change == "in place":
        keyed.weight.copy_(new)
    elif change == "loaded":
        keyed.load_state_dict({"weight": new, "bias": torch.zeros(20)})
    elif change == "replaced":
        keyed.weight = nn.Parameter(new)
    else:
        keyed.weight.copy_(new)
        keyed.double().float()
    after = keyed(shuffle_pixels(x, sigma))
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, shuffle_pixels(F.conv2d(x, keyed.weight, keyed.bias), tau))


@torch.no_grad()
def test_a_used_layer_saves_the_plain_names_and_copies_without_sharing(draw):
    keyed, sigma, _ = layer(draw, nn.Conv2d(6, 20, 3))
    x = shuffle_pixels(normal(1, 2, 6, 5, 7), sigma)
    y = keyed(x)
    assert list(keyed.state_dict()) == ["weight", "bias"]
    assert keyed.offsets.dtype == torch.int32
    twin = copy.deepcopy(keyed)
    keyed.weight.zero_()
    assert torch.equal(twin(x), y)
    assert repr(keyed) == "KeyedConv2d(6, 20, kernel 3x3, 5x7 -> 3x5, engine=indirect)"


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda packed: pickle.loads(pickle.dumps(packed))])
def test_a_copy_of_packed_weights_knows_where_it_lies_itself(twin_of):
    packed = pack_weights(normal(1, 20, 6, 3, 3), None)
    assert packed.addresses[1] == packed.blocks.ctypes.data
    assert twin_of(packed).addresses[1] != packed.addresses[1]


@torch.no_grad()
def test_tables_of_small_maps_repeat_after_a_few_images(draw):
    keyed, sigma, tau = layer(draw, nn.Conv2d(6, 20, 3, padding=1), size=(2, 2))
    x = normal(1, 2 * ROWS + 1, 6, 2, 2)
    plain = shuffle_pixels(F.conv2d(x, keyed.weight, keyed.bias, padding=1), tau)
    for batch in (1, 2, ROWS, 2 * ROWS + 1):
        torch.testing.assert_close(keyed(shuffle_pixels(x[:batch], sigma)), plain[:batch])
    assert keyed.offsets.numel() <= 9 * 4 * ROWS


SNIPPET = """
import torch, torch.nn.functional as F
from operators import keyed_conv2d
from operators.indirect_kernels import LANES
g = torch.Generator().manual_seed(1)
for groups, channels, maps in ((1, 5, 40), (1, 3, 7), (2, 18, 18)):
    x, w = torch.randn(3, channels, 6, 5, generator=g), torch.randn(maps, channels // groups, 3, 3, generator=g)
    y = keyed_conv2d(x, w, padding=1, groups=groups, engine="indirect")
    torch.testing.assert_close(y, F.conv2d(x, w, padding=1, groups=groups))
print(LANES)
"""


@pytest.mark.slow
@pytest.mark.skipif(LANES < 8, reason="needs a processor with AVX2")
@pytest.mark.parametrize(("features", "lanes"), [("+avx2,+fma", 8), ("", 4)])
def test_the_kernels_for_smaller_vectors_are_right(features, lanes, tmp_path):
    settings = {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", SNIPPET], env=os.environ | settings, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == [str(lanes)]


def test_single_precision_sums_are_chains_of_fused_products():
    # 1 + 2**-24 rounds to 1 at every step of a chain that starts at 1, but survives in a chain that starts at 0.
    x, weight = torch.full((1, 3, 1, 1), 2.0**-12), torch.full((1, 3, 1, 1), 2.0**-12)
    y = keyed_conv2d(x, weight, torch.ones(1), engine="indirect")
    assert y.item() == float(np.float32(1))

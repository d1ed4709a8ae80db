import copy
import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import pool
from torch import nn

from operators import (
    KeyedAdaptiveAvgPool2d,
    KeyedAdaptiveMaxPool2d,
    KeyedAvgPool2d,
    KeyedMaxPool2d,
    OperatorError,
    keyed_adaptive_avg_pool2d,
    keyed_adaptive_max_pool2d,
    keyed_avg_pool2d,
    keyed_max_pool2d,
    pooling_kernels,
    shuffle_pixels,
    stack_slots,
)
from scrambler import Permutation, ShuffleCamError

ENGINES = ("table", "gather")
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_published_example(engine):
    sigma = Permutation([14, 9, 13, 15, 11, 4, 6, 12, 5, 0, 2, 10, 3, 8, 1, 7])
    tau = Permutation([2, 0, 3, 1])
    shuffled = torch.from_numpy(sigma.source.astype(np.float32)).reshape(1, 1, 4, 4)
    keyed = keyed_max_pool2d(shuffled, 2, permutation_in=sigma, permutation_out=tau, engine=engine)
    assert keyed.tolist() == [[[[13, 5], [15, 7]]]]


@drawn(120)
@given(
    draw=draws,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=pairs,
    stride=st.none() | pairs,
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    dilation=pairs,
    ceil_mode=st.booleans(),
    batch=st.integers(0, 3),
    own_keys=st.booleans(),
    engine=st.sampled_from(ENGINES),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_keyed_maximum_of_shuffled_maps_is_the_shuffled_maximum(
    draw, size, kernel, stride, padding, dilation, ceil_mode, batch, own_keys, engine, dtype
):
    x = draw.frames(batch, 3, *size, dtype=dtype)
    try:
        library = F.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    except RuntimeError:
        with pytest.raises(OperatorError):
            keyed_max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
        return
    steps = kernel if stride is None else stride
    plain = pool(x.numpy(), lambda v, *_: v.max(-1), kernel, steps, padding, dilation, ceil_mode)
    np.testing.assert_array_equal(library.numpy(), plain)
    tau = draw.order(library.shape[2:])
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    keyed = keyed_max_pool2d(
        shuffled, kernel, stride, padding, dilation, ceil_mode, **key, permutation_out=tau, engine=engine
    )
    assert torch.equal(keyed, shuffle_pixels(library, tau))


@drawn(120)
@given(
    draw=draws,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    kernel=st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 2, 4])),
    stride=st.none() | pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    ceil_mode=st.booleans(),
    include=st.booleans(),
    override=st.sampled_from([None, 1, 8]),
    batch=st.integers(0, 3),
    own_keys=st.booleans(),
    engine=st.sampled_from(ENGINES),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_keyed_average_of_shuffled_maps_is_the_shuffled_average(
    draw, size, kernel, stride, padding, ceil_mode, include, override, batch, own_keys, engine, dtype
):
    # Multiples of 720 keep every average over up to 4 x 4 pixels whole; 7, 11, 13 and 14 cannot be counts here.
    x = draw.frames(batch, 3, *size, dtype=dtype) * 720
    try:
        F.avg_pool2d(x, kernel, stride, padding, ceil_mode, include, override)
    except RuntimeError:
        with pytest.raises(OperatorError):
            keyed_avg_pool2d(x, kernel, stride, padding, ceil_mode, include, override)
        return

    def mean(values, rows, columns):
        count = override or (rows * columns if include else values.shape[-1])
        return values.sum(-1) / count

    steps = kernel if stride is None else stride
    plain = torch.from_numpy(pool(x.numpy(), mean, kernel, steps, padding, ceil_mode=ceil_mode)).to(dtype)
    tau = draw.order(plain.shape[2:])
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    keyed = keyed_avg_pool2d(
        shuffled, kernel, stride, padding, ceil_mode, include, override, **key, permutation_out=tau, engine=engine
    )
    assert torch.equal(keyed, shuffle_pixels(plain, tau))


@drawn(120)
@given(
    draw=draws,
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    target=st.tuples(st.none() | st.integers(1, 11), st.none() | st.integers(1, 11)),
    batch=st.integers(0, 3),
    own_keys=st.booleans(),
    engine=st.sampled_from(ENGINES),
)
def test_adaptive_pooling_obeys_the_law(draw, size, target, batch, own_keys, engine):
    x = draw.frames(batch, 3, *size)
    outputs = tuple(t or s for t, s in zip(target, size, strict=True))
    average, largest = np.zeros((2, batch, 3, *outputs))
    for o in np.ndindex(*outputs):
        cut = tuple(
            slice(math.floor(i * length / n), math.ceil((i + 1) * length / n))
            for i, length, n in zip(o, size, outputs, strict=True)
        )
        seen = x.numpy()[(..., *cut)]
        average[(..., *o)] = seen.mean((-2, -1))
        largest[(..., *o)] = seen.max((-2, -1))
    tau = draw.order(outputs)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    options = {**key, "permutation_out": tau, "engine": engine}
    torch.testing.assert_close(
        keyed_adaptive_avg_pool2d(shuffled, target, **options),
        shuffle_pixels(torch.from_numpy(average), tau),
        rtol=1e-12,
        atol=1e-12,
    )
    assert torch.equal(
        keyed_adaptive_max_pool2d(shuffled, target, **options), shuffle_pixels(torch.from_numpy(largest), tau)
    )


def test_global_pooling_needs_no_key(draw):
    x = draw.frames(2, 3, 4, 6)
    shuffled = shuffle_pixels(x, draw.order((4, 6)))
    assert torch.equal(KeyedAdaptiveAvgPool2d(nn.AdaptiveAvgPool2d(1), (4, 6))(shuffled), x.mean((2, 3), keepdim=True))
    assert torch.equal(KeyedMaxPool2d(nn.MaxPool2d((4, 6)), (4, 6))(shuffled), x.amax((2, 3), keepdim=True))
    assert torch.equal(KeyedAvgPool2d(nn.AvgPool2d((4, 6)), (4, 6))(shuffled), x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize("own_keys", [False, True])
def test_gradients_are_those_of_finite_differences(draw, own_keys):
    # Distinct values keep every maximum away from ties.
    x = torch.from_numpy(draw.rng.permutation(2 * 2 * 5 * 6)).reshape(2, 2, 5, 6).double()
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    shuffled.requires_grad_()
    options = {**key, "permutation_out": draw.order((3, 3))}
    assert torch.autograd.gradcheck(lambda t: keyed_max_pool2d(t, 3, 2, 1, **options), [shuffled])
    assert torch.autograd.gradcheck(lambda t: keyed_avg_pool2d(t, 3, 2, 1, **options), [shuffled])
    assert torch.autograd.gradcheck(lambda t: keyed_adaptive_avg_pool2d(t, 3, **options), [shuffled])


def test_not_a_number_wins_a_maximum_in_both_engines():
    x = torch.tensor([[[[1.0, math.nan, 3.0, 2.0]]]])
    for engine in ENGINES:
        assert keyed_max_pool2d(x, (1, 2), engine=engine).isnan().tolist() == [[[[True, False]]]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_window_that_sees_no_pixel_has_no_maximum(engine):
    # The only window reads rows -1 and 2 of a frame with rows 0 and 1.
    keyed = keyed_max_pool2d(torch.ones(1, 1, 2, 1), (2, 1), 1, (1, 0), (3, 1), engine=engine)
    assert keyed.flatten().tolist() == [-math.inf]


@pytest.mark.parametrize("engine", ENGINES)
def test_one_output_that_reads_part_of_the_frame_still_needs_the_key(engine):
    # Rows 0 and 2 of a frame with rows 0 and 1: as many taps as pixels, and yet not global.
    shuffled, swap = torch.tensor([[[[1.0], [2.0]]]]), Permutation([1, 0])
    options = {"ceil_mode": True, "permutation_in": swap, "engine": engine}
    assert keyed_max_pool2d(shuffled, (2, 1), dilation=(2, 1), **options).item() == 2


def test_many_threads_give_the_result_of_one(draw, two_threads):
    rows = draw.frames(3, 60, 20, dtype=torch.float32).numpy()
    index = draw.rng.integers(0, 61, (3, 40, 5)).astype(np.int32)
    divisor = draw.rng.integers(1, 6, 40).astype(np.float32)
    for name, extra in (("max", ()), ("mean", (divisor,))):
        results = []
        for variant in ("serial", "parallel"):
            kernel = getattr(pooling_kernels, f"_{name}_{variant}")
            for run in (kernel, kernel.py_func):
                results.append(out := np.empty((3, 40, 20), np.float32))
                run(rows, index, *extra, out, *((0, 120) if variant == "serial" else (2,)))
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


def test_large_maps_take_the_parallel_kernel_and_agree_with_the_library(draw, two_threads):
    x = draw.frames(4, 32, 40, 36, dtype=torch.float32)
    sigma, tau = draw.order((40, 36)), draw.order((20, 18))
    shuffled = shuffle_pixels(x, sigma)
    options = {"permutation_in": sigma, "permutation_out": tau}
    assert torch.equal(keyed_max_pool2d(shuffled, 2, **options), shuffle_pixels(F.max_pool2d(x, 2), tau))
    assert torch.equal(keyed_avg_pool2d(shuffled, 2, **options), shuffle_pixels(F.avg_pool2d(x, 2), tau))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    ("keyed_layer", "plain"),
    [
        (KeyedMaxPool2d, nn.MaxPool2d(3, 2, 1)),
        (KeyedMaxPool2d, nn.MaxPool2d((3, 2), stride=(2, 1), dilation=(1, 2), ceil_mode=True)),
        (KeyedAvgPool2d, nn.AvgPool2d(2, ceil_mode=True)),
        (KeyedAdaptiveAvgPool2d, nn.AdaptiveAvgPool2d((3, None))),
        (KeyedAdaptiveMaxPool2d, nn.AdaptiveMaxPool2d(2)),
    ],
)
def test_layers_take_the_plain_layers_arguments(draw, keyed_layer, plain, dtype):
    x = draw.frames(3, 4, 7, 6, dtype=dtype)
    expected = plain(x)
    sigma, tau = draw.order((7, 6)), draw.order(expected.shape[2:])
    keyed = keyed_layer(plain, (7, 6), sigma, tau)
    assert (keyed.input_size, keyed.output_size) == ((7, 6), tuple(expected.shape[2:]))
    assert not keyed.state_dict()
    torch.testing.assert_close(keyed(shuffle_pixels(x, sigma)), shuffle_pixels(expected, tau))
    orders = [draw.order((7, 6)) for _ in x]
    shuffled = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, orders, strict=True)])
    torch.testing.assert_close(keyed(shuffled, stack_slots(orders)), shuffle_pixels(expected, tau))
    torch.testing.assert_close(copy.deepcopy(keyed)(shuffle_pixels(x, sigma)), shuffle_pixels(expected, tau))


def test_layers_are_never_pickled(draw):
    with pytest.raises(ShuffleCamError, match="never pickled"):
        pickle.dumps(KeyedMaxPool2d(nn.MaxPool2d(2), (4, 6), draw.order((4, 6))))


def test_what_does_not_fit_is_named(draw):
    x = draw.frames(1, 2, 4, 6)
    for call, message in [
        (lambda: keyed_max_pool2d(x[0], 2), r"\(B, C, H, W\)"),
        (lambda: keyed_max_pool2d(x, 2, engine="im2col"), "engine must be one of"),
        (lambda: keyed_max_pool2d(x.bfloat16(), 2, engine="table"), "use 'auto'"),
        (lambda: keyed_max_pool2d(x, 2, slot=torch.arange(24) + 1), "numbers from 0 to 23"),
        (lambda: keyed_max_pool2d(x, 2, slot=torch.arange(24) - 1), "numbers from 0 to 23"),
        (lambda: keyed_avg_pool2d(x, 2, divisor_override=0), "divisor_override"),
        (lambda: keyed_adaptive_avg_pool2d(x, (0, 2.5)), "output_size"),
        (lambda: KeyedMaxPool2d(nn.MaxPool2d(2, return_indices=True), (4, 6)), "indices"),
        (lambda: KeyedAdaptiveMaxPool2d(nn.AdaptiveMaxPool2d(2, return_indices=True), (4, 6)), "indices"),
    ]:
        with pytest.raises(OperatorError, match=message):
            call()

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import convolve
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from operators import (
    GatherTable,
    KeyedConv2d,
    OperatorError,
    Window,
    keyed_conv2d,
    shuffle_pixels,
    stack_slots,
)
from scrambler import Permutation, ShuffleCamError

ENGINES = ("gather", "im2col")


@pytest.mark.parametrize("engine", ENGINES)
def test_the_published_example(engine):
    shuffled = torch.tensor([[[[5.0, 1, 9], [3, 7, 2], [4, 6, 8]]]])
    kernel = torch.tensor([[[[1.0, 0, 0], [0, 0, 0], [0, 0, 2]]]])
    sigma, tau = Permutation([4, 0, 8, 2, 6, 1, 3, 5, 7]), Permutation(list(range(8, -1, -1)))
    keyed = keyed_conv2d(shuffled, kernel, padding=1, permutation_in=sigma, permutation_out=tau, engine=engine)
    assert keyed.tolist() == [[[[5, 4, 0], [2, 19, 16], [0, 12, 10]]]]


@drawn(120)
@given(
    draw=draws,
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.one_of(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.sampled_from(["same", "valid"])),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    grouping=st.sampled_from([(1, 3, 2), (2, 4, 6), (3, 3, 3), (2, 2, 4), (1, 6, 1)]),
    batch=st.integers(0, 3),
    own_keys=st.booleans(),
    engine=st.sampled_from(["auto", *ENGINES]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_keyed_convolution_of_shuffled_frames_is_the_shuffled_convolution(
    draw, size, kernel, stride, padding, dilation, mode, grouping, batch, own_keys, engine, dtype
):
    groups, channels, maps = grouping
    if padding == "same":
        stride = (1, 1)
    try:
        window = Window.of(size, kernel, stride, padding, dilation, padding_mode=mode)
    except OperatorError:
        with pytest.raises((RuntimeError, ValueError)):  # What we refuse, PyTorch refuses.
            nn.Conv2d(1, 1, kernel, stride, padding, dilation, padding_mode=mode)(torch.zeros(1, 1, *size))
        return
    x = draw.frames(batch, channels, *size, dtype=dtype)
    weight = draw.weights(maps, channels // groups, *kernel, dtype=dtype)
    bias = draw.weights(maps, dtype=dtype)
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
        engine=engine,
    )
    plain = convolve(x.numpy(), weight.numpy(), stride, window.padding, dilation, groups, mode)
    plain += bias.numpy()[:, None, None]
    assert keyed.dtype == dtype
    torch.testing.assert_close(keyed, shuffle_pixels(torch.from_numpy(plain), tau), rtol=0, atol=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("own_keys", [False, True])
def test_gradients_are_those_of_finite_differences(draw, engine, own_keys):
    x = draw.frames(2, 4, 4, 5)
    tau = draw.order((2, 3))
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    inputs = [t.requires_grad_() for t in (shuffled, draw.weights(6, 2, 3, 2), draw.weights(6))]

    def run(frames, weight, bias):
        return keyed_conv2d(frames, weight, bias, 2, (1, 1), groups=2, **key, permutation_out=tau, engine=engine)

    assert torch.autograd.gradcheck(run, inputs)
    assert torch.autograd.gradgradcheck(run, inputs)


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_a_layer_on_shuffled_frames_has_the_plain_layers_weight_gradient(draw, engine):
    plain = nn.Conv2d(6, 8, 3, padding=1, stride=2).double()
    sigma, tau = draw.order((5, 7)), draw.order((3, 4))
    keyed = KeyedConv2d(plain, (5, 7), sigma, tau, engine=engine)
    x = torch.randn(3, 6, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    target = torch.randn(3, 8, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (expected,) = torch.autograd.grad((plain(x) - target).square().sum(), [plain.weight])
    error = keyed(shuffle_pixels(x, sigma)) - shuffle_pixels(target, tau)
    (found,) = torch.autograd.grad(error.square().sum(), [plain.weight])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_pointwise_layer_between_equal_orders_moves_nothing(draw):
    plain = nn.Conv2d(6, 4, 1)
    order = draw.order((3, 5))
    keyed = KeyedConv2d(plain, (3, 5), order, order)
    x = draw.frames(2, 6, 3, 5, dtype=torch.float32)
    assert keyed.engine == "pointwise"
    assert keyed.index is None
    torch.testing.assert_close(keyed(x), plain(x))
    other = draw.order((3, 5))
    torch.testing.assert_close(
        keyed(shuffle_pixels(x, other), torch.from_numpy(other.slot.copy())), shuffle_pixels(plain(x), order)
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("own_keys", [False, True])
def test_pointwise_layers_obey_the_law_and_have_gradients(draw, stride, own_keys):
    x = draw.frames(2, 6, 3, 5)
    weight = draw.weights(4, 3, 1, 1)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    plain = F.conv2d(x, weight, stride=stride, groups=2)
    tau = draw.order(plain.shape[2:])

    def run(frames, kernel):
        return keyed_conv2d(frames, kernel, stride=stride, groups=2, **key, permutation_out=tau)

    assert torch.equal(run(shuffled, weight), shuffle_pixels(plain, tau))
    assert torch.autograd.gradcheck(run, [shuffled.requires_grad_(), weight.requires_grad_()])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_slot_given_to_the_call_replaces_the_layers_own_order(draw, engine):
    plain = nn.Conv2d(5, 7, 2, padding="same", padding_mode="circular").double()
    keyed = KeyedConv2d(plain, (4, 6), draw.order((4, 6)), tau := draw.order((4, 6)), engine=engine)
    x = draw.frames(3, 5, 4, 6)
    orders = [draw.order((4, 6)) for _ in x]
    shuffled = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, orders, strict=True)])
    expected = shuffle_pixels(plain(x), tau)
    torch.testing.assert_close(keyed(shuffled, stack_slots(orders)), expected)
    torch.testing.assert_close(keyed(shuffled[:1], stack_slots(orders[:1])), expected[:1])
    torch.testing.assert_close(keyed(shuffled[:1], stack_slots(orders[:1])[0]), expected[:1])


def test_a_wrong_key_gives_another_map(draw):
    x, weight = draw.frames(1, 5, 6, 7), draw.weights(3, 5, 3, 3)
    sigma, wrong = draw.order((6, 7)), draw.order((6, 7))
    shuffled = shuffle_pixels(x, sigma)
    right = keyed_conv2d(shuffled, weight, permutation_in=sigma)
    assert not torch.equal(right, keyed_conv2d(shuffled, weight, permutation_in=wrong))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_memory_layout_does_not_matter(draw, layout):
    x, weight = draw.frames(2, 5, 6, 7), draw.weights(3, 5, 3, 3)
    sigma = draw.order((6, 7))
    shuffled = shuffle_pixels(x, sigma).contiguous(memory_format=layout)
    assert torch.equal(keyed_conv2d(shuffled, weight, permutation_in=sigma), F.conv2d(x, weight))


def test_columns_made_in_turns_give_the_same_map(draw, monkeypatch):
    x, weight, sigma = draw.frames(5, 3, 6, 7), draw.weights(4, 3, 3, 3), draw.order((6, 7))
    monkeypatch.setattr("operators.convolution._COLUMN_ELEMENTS", 1000)
    orders = [sigma] * 5
    keyed = keyed_conv2d(shuffle_pixels(x, sigma), weight, slot=stack_slots(orders), engine="im2col")
    assert torch.equal(keyed, F.conv2d(x, weight))


class Witness(TorchDispatchMode):
    """Remember every tensor that an operation makes."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.seen += [result] if torch.is_tensor(result) else []
        return result


@pytest.mark.parametrize("own_keys", [False, True])
def test_the_first_layer_makes_no_natural_order_copy_of_the_frame(draw, own_keys):
    x, weight = draw.frames(2, 3, 6, 7), draw.weights(4, 3, 3, 3)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    picture = {x[0].flatten().numpy().tobytes(), x[0].permute(1, 2, 0).flatten().numpy().tobytes()}
    counts = {}
    for engine in ENGINES:
        with Witness() as witness:
            keyed_conv2d(shuffled, weight, padding=1, **key, permutation_out=draw.order((6, 7)), engine=engine)
        frames = [t.contiguous().reshape(2, -1)[0] for t in witness.seen if t.numel() == x.numel()]
        counts[engine] = sum(frame.numpy().tobytes() in picture for frame in frames)
    assert counts["im2col"] == 0
    assert counts["gather"] > 0


def test_low_precision_and_a_ready_table_work(draw):
    x, weight = draw.frames(2, 5, 6, 7, dtype=torch.bfloat16), draw.weights(3, 5, 3, 3, dtype=torch.bfloat16)
    sigma = draw.order((6, 7))
    table = GatherTable.keyed(Window.of((6, 7), 3, 2), sigma)
    for engine in ENGINES:
        for repeated in ({}, {"stride": (2, 2)}):
            keyed = keyed_conv2d(shuffle_pixels(x, sigma), weight, **repeated, table=table, engine=engine)
            torch.testing.assert_close(keyed, F.conv2d(x, weight, stride=2))


def test_state_holds_the_plain_names_and_no_table(draw):
    plain = nn.Conv2d(3, 4, 3)
    for engine in ENGINES:
        keyed = KeyedConv2d(plain, (5, 6), draw.order((5, 6)), draw.order((3, 4)), engine=engine)
        assert list(keyed.state_dict()) == ["weight", "bias"]
        assert keyed.weight is plain.weight
        assert keyed.bias is plain.bias
        assert (keyed.input_size, keyed.output_size) == ((5, 6), (3, 4))
        assert all(table.dtype == torch.int32 for table in keyed.double().buffers())
        assert repr(keyed) == f"KeyedConv2d(3, 4, kernel 3x3, 5x6 -> 3x4, engine={engine})"


def test_a_layer_is_copied_but_never_pickled(draw):
    keyed = KeyedConv2d(nn.Conv2d(3, 4, 3), (5, 6), draw.order((5, 6)))
    twin = copy.deepcopy(nn.Sequential(keyed))[0]
    x = draw.frames(1, 3, 5, 6, dtype=torch.float32)
    assert twin.weight is not keyed.weight
    assert torch.equal(twin(x), keyed(x))
    with pytest.raises(ShuffleCamError, match="never pickled"):
        pickle.dumps(keyed)


def test_what_does_not_fit_is_named(draw):
    x, weight, sigma = draw.frames(2, 4, 5, 6), draw.weights(3, 4, 3, 3), draw.order((5, 6))
    table = GatherTable.keyed(Window.of((5, 6), 3), sigma)
    keyed = KeyedConv2d(nn.Conv2d(4, 3, 3).double(), (5, 6), sigma)
    for call, message in [
        (lambda: keyed_conv2d(x[0], weight), "input must be"),
        (lambda: keyed_conv2d(x, weight, groups=2), "does not fit an input of 4 channels"),
        (lambda: keyed_conv2d(x, weight, engine="fast"), "engine must be one of"),
        (lambda: keyed_conv2d(x, weight, engine="pointwise"), "needs a 1x1 kernel"),
        (lambda: keyed_conv2d(x, weight, table=table, permutation_in=sigma), "not both"),
        (lambda: keyed_conv2d(x, weight, padding=1, table=table), "differ from the table's"),
        (lambda: keyed_conv2d(x[..., 1:], weight, table=table), "the table is for"),
        (lambda: keyed_conv2d(x, weight, slot=torch.arange(29)), r"slot must have the shape \(30,\)"),
        (lambda: keyed_conv2d(x, weight, slot=torch.rand(30)), "integer tensor"),
        (lambda: keyed(x[..., 1:]), r"was made for frames \(B, C, 5, 6\)"),
    ]:
        with pytest.raises(OperatorError, match=message):
            call()

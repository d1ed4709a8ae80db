"""Transposed convolution of shuffled maps: hand examples, the law, loops, gradients, bad input."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_maps import transpose_convolve
from torch import nn

from operators import KeyedConvTranspose2d, OperatorError, keyed_conv_transpose2d, shuffle_pixels

ENGINES = ["gather", "im2col"]


@pytest.mark.parametrize("engine", ENGINES)
def test_one_pixel_becomes_the_kernel(engine):
    kernel = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    out = keyed_conv_transpose2d(torch.tensor([[[[2.0]]]]), kernel, torch.tensor([1.0]), engine=engine)
    assert out.tolist() == [[[[3.0, 5.0, 7.0], [9.0, 11.0, 13.0]]]]


def test_two_pixels_in_reverse_order_are_spread_in_natural_order():
    out = keyed_conv_transpose2d(
        torch.tensor([[[[2.0, 1.0]]]]), torch.tensor([[[[1.0, 10.0]]]]), stride=2, slot=torch.tensor([1, 0])
    )
    assert out.tolist() == [[[[1.0, 10.0, 2.0, 20.0]]]]


@st.composite
def geometries(draw):
    pairs = [draw(st.tuples(*(st.integers(low, high),) * 2)) for low, high in ((1, 5), (1, 3), (1, 3), (0, 2), (1, 2))]
    size, kernel, stride, padding, dilation = pairs
    output_padding = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    for n, k, s, p, o, d in zip(size, kernel, stride, padding, output_padding, dilation, strict=True):
        if (n - 1) * s - 2 * p + d * (k - 1) + o + 1 < 1:
            return (4, 3), kernel, (3, 2), (0, 1), (1, 0), dilation
    return size, kernel, stride, padding, output_padding, dilation


@given(draws, geometries(), st.sampled_from([(1, 2, 3), (2, 4, 6), (3, 3, 3)]), st.integers(0, 3), st.booleans())
@drawn(60)
def test_shuffled_in_and_out_equals_the_loops_bit_for_bit(draw, geometry, channels, batch, own_keys):
    size, kernel, stride, padding, output_padding, dilation = geometry
    groups, C, D = channels
    x, weight = draw.frames(batch, C, *size), draw.weights(C, D // groups, *kernel)
    expected = torch.from_numpy(
        transpose_convolve(x.numpy(), weight.numpy(), stride, padding, output_padding, dilation, groups)
    )
    shuffled, keys = draw.keyed_batch(x, own_keys=own_keys)
    out = draw.order(expected.shape[2:])
    for engine in ENGINES:
        got = keyed_conv_transpose2d(
            shuffled, weight, None, stride, padding, output_padding, groups, dilation,
            permutation_out=out, engine=engine, **keys,
        )  # fmt: skip
        torch.testing.assert_close(got, shuffle_pixels(expected, out), rtol=0, atol=0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_module_equals_the_plain_layer_in_other_types_and_memory(draw, engine, dtype):
    plain = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2).to(dtype)
    with torch.no_grad():
        plain.weight.copy_(draw.weights(*plain.weight.shape, dtype=dtype))
        plain.bias.copy_(draw.weights(6, dtype=dtype))
    x = draw.frames(2, 4, 3, 5, dtype=dtype)
    order, out = draw.order((3, 5)), draw.order((6, 10))
    layer = KeyedConvTranspose2d(plain, (3, 5), order, out, engine)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert "tensor" not in repr(layer)
    expected = shuffle_pixels(plain(x), out)
    for frames in (shuffle_pixels(x, order), shuffle_pixels(x, order).contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(layer(frames), expected, rtol=0, atol=0)
    slots = torch.from_numpy(order.slot.astype("int32")).expand(2, -1)
    torch.testing.assert_close(layer(shuffle_pixels(x, order), slots), expected, rtol=0, atol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_are_right(draw, engine):
    order, out = draw.order((2, 3)), draw.order((4, 6))
    x = draw.frames(2, 2, 2, 3).requires_grad_()
    weight, bias = draw.weights(2, 3, 2, 3).requires_grad_(), draw.weights(3).requires_grad_()

    def keyed(x, weight, bias):
        return keyed_conv_transpose2d(
            x, weight, bias, 2, (0, 1), (0, 1), permutation_in=order, permutation_out=out, engine=engine
        )

    assert torch.autograd.gradcheck(keyed, (x, weight, bias))


def test_its_adjoint_is_the_convolution(draw):
    x, y, weight = draw.frames(1, 2, 4, 5), draw.frames(1, 3, 7, 9), draw.weights(2, 3, 3, 3)
    order, out = draw.order((4, 5)), draw.order((7, 9))
    up = keyed_conv_transpose2d(x, weight, stride=2, padding=1, permutation_in=order, permutation_out=out)
    natural = shuffle_pixels(y, out)
    down = F.conv2d(y, weight, stride=2, padding=1)
    torch.testing.assert_close((up * natural).sum(), (x * shuffle_pixels(down, order)).sum(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "fast"}, "engine must be one of"),
        ({"output_padding": 2}, "output_padding"),
        ({"padding": 4}, "leaves nothing"),
        ({"groups": 3}, "3 groups"),
        ({"slot": torch.zeros(3, dtype=torch.int32)}, r"shape \(6,\)"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(OperatorError, match=message):
        keyed_conv_transpose2d(torch.zeros(1, 2, 2, 3), torch.zeros(2, 1, 2, 2), **({"stride": 2} | change))


def test_a_weight_of_other_channels_is_refused():
    with pytest.raises(OperatorError, match="weight"):
        keyed_conv_transpose2d(torch.zeros(1, 2, 2, 3), torch.zeros(3, 1, 2, 2))

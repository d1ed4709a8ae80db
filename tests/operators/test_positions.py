"""Tokens, position tables and pixel-wise affine maps in a keyed order."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from torch import nn

from operators import (
    KeyedLayerNorm,
    KeyedPositions,
    OperatorError,
    shuffle_pixels,
    shuffle_positions,
    stack_slots,
    unshuffle_positions,
)
from scrambler import Permutation


def test_a_class_token_stays_in_front():
    order = Permutation([2, 0, 1])
    table = torch.tensor([[9.0], [1.0], [2.0], [3.0]])
    assert shuffle_positions(table, order, (1, 3), before=1).flatten().tolist() == [9.0, 3.0, 1.0, 2.0]


def test_flattening_to_tokens_keeps_the_order(draw):
    x, order = draw.frames(2, 4, 3, 5), draw.order((3, 5))
    tokens = shuffle_pixels(x, order).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens, shuffle_positions(x.flatten(2).transpose(1, 2), order, (3, 5)), rtol=0, atol=0)


@given(draws, st.tuples(st.integers(1, 4), st.integers(1, 5)), st.integers(0, 2), st.booleans())
@drawn(50)
def test_any_dimensions_are_moved_as_an_index_would(draw, size, before, channels_last):
    N = size[0] * size[1]
    order = draw.order(size)
    source = torch.from_numpy(order.source.astype("int64"))
    if channels_last:
        x, dims, before = draw.frames(2, *size, 3), (-3, -2), 0
        expected = x.flatten(1, 2)[:, source].reshape(x.shape)
    else:
        x, dims = draw.frames(2, 3, before + N, 2), (-2,)
        expected = x[:, :, torch.cat([torch.arange(before), before + source])]
    got = shuffle_positions(x, order, size, dims, before)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    torch.testing.assert_close(unshuffle_positions(got, order, size, dims, before), x, rtol=0, atol=0)


def test_one_order_for_each_sample_and_broadcast_constants(draw):
    size, orders = (2, 3), [draw.order((2, 3)) for _ in range(3)]
    out = draw.order(size)
    x = draw.frames(3, 4, *size)
    shuffled = torch.cat([shuffle_pixels(x[b : b + 1], order) for b, order in enumerate(orders)])
    move = KeyedPositions(size, (-2,), 0, None, out)
    tokens = shuffled.flatten(2).transpose(1, 2)
    expected = shuffle_pixels(x, out).flatten(2).transpose(1, 2)
    torch.testing.assert_close(move(tokens, stack_slots(orders)), expected, rtol=0, atol=0)
    column = torch.tensor([[1.0], [2.0]])  # one value a row of the frame
    wide = KeyedPositions(size, (-2, -1), 0, None, out)(column)
    torch.testing.assert_close(wide, shuffle_pixels(column.expand(1, 1, 2, 3), out)[0, 0], rtol=0, atol=0)
    row = KeyedPositions(size, (-2, -1), 0, None, out)(torch.tensor([1.0, 2.0, 3.0]))
    assert row.shape == (2, 3)


def test_gradients_are_right(draw):
    order = draw.order((2, 3))
    table = draw.frames(1, 7, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: shuffle_positions(t, order, (2, 3), before=1), (table,))
    layer = KeyedLayerNorm(nn.LayerNorm((2, 2, 3)).double(), order)
    x = torch.rand(2, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, layer.weight, layer.bias))


@pytest.mark.parametrize("shape", [(4, 3, 5), (3, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_over_pixels_follows_the_order(draw, shape, affine):
    plain = nn.LayerNorm(shape, elementwise_affine=affine).double()
    if affine:
        nn.init.normal_(plain.weight)
        nn.init.normal_(plain.bias)
    x = torch.rand(2, 4, 3, 5, dtype=torch.float64)
    orders = [draw.order((3, 5)) for _ in range(2)]
    layer = KeyedLayerNorm(plain, orders[0])
    assert list(layer.state_dict()) == list(plain.state_dict())
    torch.testing.assert_close(layer(shuffle_pixels(x, orders[0])), shuffle_pixels(plain(x), orders[0]))
    each = torch.cat([shuffle_pixels(x[b : b + 1], order) for b, order in enumerate(orders)])
    expected = torch.cat([shuffle_pixels(plain(x)[b : b + 1], order) for b, order in enumerate(orders)])
    torch.testing.assert_close(layer(each, stack_slots(orders)), expected)


def test_attention_with_a_shuffled_table_is_attention_in_shuffled_order(draw):
    attention = nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    x, table, order = torch.rand(2, 8, 3, 4).double(), torch.rand(1, 12, 8).double(), draw.order((3, 4))
    plain = x.flatten(2).transpose(1, 2) + table
    keyed = shuffle_pixels(x, order).flatten(2).transpose(1, 2) + shuffle_positions(table, order, (3, 4))
    with torch.no_grad():
        expected, got = attention(plain, plain, plain)[0], attention(keyed, keyed, keyed)[0]
    torch.testing.assert_close(got, shuffle_positions(expected, order, (3, 4)), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(F.pad(got, (0, 0)), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KeyedPositions((2, 3), (1,)), "negative"),
        (lambda: KeyedPositions((2, 3), (-2, -1), 1), "before"),
        (lambda: shuffle_positions(torch.zeros(1, 6, 2), Permutation([1, 0]), (2, 3)), "2 pixels"),
        (lambda: KeyedLayerNorm(nn.LayerNorm(4)), "depends on the pixels"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(OperatorError, match=message):
        make()

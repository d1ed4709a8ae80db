"""Convolutions that get their weights with the call follow the same law as the layers."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws

from operators import (
    KeyedConv2dCall,
    KeyedConvTranspose2dCall,
    OperatorError,
    TransposedWindow,
    Window,
    shuffle_pixels,
    stack_slots,
)


@given(draws, st.integers(1, 3), st.integers(0, 2), st.booleans())
@drawn(30)
def test_both_equal_the_library_bit_for_bit_with_one_order_or_one_a_frame(draw, stride, padding, transposed):
    size, x = (5, 7), draw.frames(3, 4, 5, 7)
    bias = draw.weights(6)
    if transposed:
        weight, window = draw.weights(4, 3, 2, 3), TransposedWindow.of(size, (2, 3), stride, min(padding, 1))
        expected = F.conv_transpose2d(x, weight, bias, stride, min(padding, 1), groups=2)
    else:
        weight, window = draw.weights(6, 2, 2, 3), Window.of(size, (2, 3), stride, padding)
        expected = F.conv2d(x, weight, bias, stride, padding, groups=2)
    orders, out = [draw.order(size) for _ in range(3)], draw.order(window.output_size)
    kind = KeyedConvTranspose2dCall if transposed else KeyedConv2dCall
    layer = kind(window, 2, orders[0], out)
    shuffled = shuffle_pixels(x, orders[0])
    torch.testing.assert_close(layer(shuffled, weight, bias), shuffle_pixels(expected, out), rtol=0, atol=0)
    each = torch.cat([shuffle_pixels(x[b : b + 1], order) for b, order in enumerate(orders)])
    got = layer(each, weight, bias, stack_slots(orders))
    torch.testing.assert_close(got, shuffle_pixels(expected, out), rtol=0, atol=0)
    assert not layer.state_dict()


def test_gradients_reach_frames_and_weights(draw):
    order, out = draw.order((3, 4)), draw.order((2, 3))
    layer = KeyedConv2dCall(Window.of((3, 4), 2), 1, order, out)
    inputs = (draw.frames(2, 2, 3, 4).requires_grad_(), draw.weights(3, 2, 2, 2).requires_grad_())
    assert torch.autograd.gradcheck(layer, inputs)


def test_frames_of_another_size_are_refused():
    with pytest.raises(OperatorError, match="3, 4"):
        KeyedConv2dCall(Window.of((3, 4), 2))(torch.zeros(1, 1, 4, 3), torch.zeros(1, 1, 2, 2))

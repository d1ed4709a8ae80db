"""Channels with a permutation each: the laws of the operators that read them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import convolve

from operators import (
    KeyedChannels,
    OperatorError,
    keyed_channel_conv2d,
    shuffle_channels,
    shuffle_pixels,
    stack_slots,
    unshuffle_channels,
)


def test_every_channel_moves_by_its_own_permutation():
    class Order:
        def __init__(self, source, slot):
            self.source, self.slot = source, slot

    orders = [Order([1, 2, 0], [2, 0, 1]), Order([0, 1, 2], [0, 1, 2])]
    x = torch.tensor([[[[1, 2, 3]], [[4, 5, 6]]]])
    assert shuffle_channels(x, orders).tolist() == [[[[2, 3, 1]], [[4, 5, 6]]]]
    assert torch.equal(unshuffle_channels(shuffle_channels(x, orders), orders), x)


@drawn(30)
@given(draws, st.tuples(st.integers(4, 7), st.integers(4, 9)), st.sampled_from([1, 2]), st.booleans())
def test_the_convolution_reads_channels_of_any_order(draw, size, groups, own_keys):
    channels, stride, padding = 2 * groups, (2, 1), (1, 2)
    x, weight = draw.frames(3, channels, *size), draw.weights(2 * groups, 2, 3, 2)
    orders = [[draw.order(size) for _ in range(channels)] for _ in x] if own_keys else None
    shared = [draw.order(size) for _ in range(channels)]
    per_frame = orders or [shared] * len(x)
    seen = torch.cat([shuffle_channels(frame[None], own) for frame, own in zip(x, per_frame, strict=True)])
    slot = torch.stack([stack_slots(own) for own in per_frame]) if own_keys else stack_slots(shared)
    borders = ((padding[0],) * 2, (padding[1],) * 2)
    expected = torch.from_numpy(convolve(x.numpy(), weight.numpy(), stride, borders, groups=groups))
    tau = draw.order(expected.shape[2:])
    got = keyed_channel_conv2d(seen, weight, None, stride, padding, groups=groups, slot=slot, permutation_out=tau)
    assert torch.equal(got, shuffle_pixels(expected, tau))
    joined = KeyedChannels(size, own := draw.order(size))(seen, slot)
    assert torch.equal(joined, shuffle_pixels(x, own))
    assert torch.equal(KeyedChannels(size)(seen, slot), x)


def test_gradients_are_those_of_the_plain_convolution(draw):
    x, weight, bias = draw.frames(2, 2, 4, 5), draw.weights(3, 2, 3, 3), draw.weights(3)
    for tensor in (x, weight, bias):
        tensor.requires_grad_()
    orders = [draw.order((4, 5)) for _ in range(2)]
    seen, slot = shuffle_channels(x, orders), stack_slots(orders)
    keyed = torch.autograd.grad(
        keyed_channel_conv2d(seen, weight, bias, padding=1, padding_mode="circular", slot=slot).square().sum(),
        (x, weight, bias),
    )
    wrapped = F.pad(x, (1, 1, 1, 1), mode="circular")
    plain = torch.autograd.grad(F.conv2d(wrapped, weight, bias).square().sum(), (x, weight, bias))
    for one, other in zip(keyed, plain, strict=True):
        assert torch.equal(one, other)


def test_tables_that_do_not_fit_are_refused(draw):
    x, weight = draw.frames(2, 2, 4, 5), draw.weights(3, 2, 3, 3)
    slot = stack_slots([draw.order((4, 5))] * 2)
    for wrong in (slot[:1], slot[:, :-1], slot.double(), slot.expand(3, 2, 20)):
        with pytest.raises(OperatorError, match=r"slot must be integers of the shape \(2, 20\) or \(2, 2, 20\)"):
            keyed_channel_conv2d(x, weight, slot=wrong)
    with pytest.raises(OperatorError, match="does not fit 2 channels"):
        keyed_channel_conv2d(x, weight, groups=2, slot=slot)

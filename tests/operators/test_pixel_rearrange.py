"""Pixel shuffle and unshuffle of shuffled maps, bit for bit."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_maps import pixel_shuffle
from torch import nn

from operators import (
    KeyedPixelShuffle,
    KeyedPixelUnshuffle,
    OperatorError,
    keyed_pixel_shuffle,
    keyed_pixel_unshuffle,
    shuffle_pixels,
)


def test_four_channels_of_one_pixel_become_four_pixels():
    assert keyed_pixel_shuffle(torch.arange(4.0).reshape(1, 4, 1, 1), 2).tolist() == [[[[0.0, 1.0], [2.0, 3.0]]]]


def test_pixels_in_reverse_order_are_spread_in_natural_order():
    x = torch.tensor([[[[5.0, 1.0]], [[6.0, 2.0]], [[7.0, 3.0]], [[8.0, 4.0]]]])
    out = keyed_pixel_shuffle(x, 2, slot=torch.tensor([1, 0]))
    assert out.tolist() == [[[[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]]]


@given(draws, st.tuples(st.integers(1, 4), st.integers(1, 5)), st.integers(1, 3), st.integers(0, 3), st.booleans())
@drawn(60)
def test_shuffling_equals_the_loops_and_unshuffling_undoes_it(draw, size, r, batch, own_keys):
    x = draw.frames(batch, 2 * r * r, *size)
    shuffled, keys = draw.keyed_batch(x, own_keys=own_keys)
    large = (size[0] * r, size[1] * r)
    out = draw.order(large)
    spread = keyed_pixel_shuffle(shuffled, r, permutation_out=out, **keys)
    expected = torch.from_numpy(pixel_shuffle(x.numpy(), r))
    torch.testing.assert_close(spread, shuffle_pixels(expected, out), rtol=0, atol=0)
    back = draw.order(size)
    joined = keyed_pixel_unshuffle(spread, r, permutation_in=out, permutation_out=back)
    torch.testing.assert_close(joined, shuffle_pixels(x, back), rtol=0, atol=0)
    other, keys = draw.keyed_batch(expected, own_keys=own_keys)
    torch.testing.assert_close(keyed_pixel_unshuffle(other, r, **keys), x, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_modules_stand_in_for_the_plain_ones(draw, dtype):
    x = draw.frames(2, 8, 4, 6, dtype=dtype).contiguous(memory_format=torch.channels_last)
    order = draw.order((4, 6))
    for plain, keyed, size in (
        (nn.PixelShuffle(2), KeyedPixelShuffle, (8, 12)),
        (nn.PixelUnshuffle(2), KeyedPixelUnshuffle, (2, 3)),
    ):
        out = draw.order(size)
        layer = keyed(plain, (4, 6), order, out)
        torch.testing.assert_close(layer(shuffle_pixels(x, order)), shuffle_pixels(plain(x), out), rtol=0, atol=0)
        assert not layer.state_dict()
        assert repr(layer).startswith(f"{keyed.__name__}(2, 4x6")


def test_gradients_are_right(draw):
    order, out = draw.order((2, 4)), draw.order((4, 8))
    x = draw.frames(2, 4, 2, 4).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: keyed_pixel_shuffle(x, 2, permutation_in=order, permutation_out=out), (x,)
    )
    assert torch.autograd.gradcheck(lambda x: keyed_pixel_unshuffle(x, 2, permutation_in=order), (x,))


def test_what_does_not_divide_is_named():
    with pytest.raises(OperatorError, match="multiple of 4 channels"):
        keyed_pixel_shuffle(torch.zeros(1, 3, 2, 2), 2)
    with pytest.raises(OperatorError, match="sides that it divides"):
        keyed_pixel_unshuffle(torch.zeros(1, 3, 2, 3), 2)


def test_the_library_agrees(draw):
    x = draw.frames(1, 12, 3, 2)
    torch.testing.assert_close(keyed_pixel_shuffle(x, 2), F.pixel_shuffle(x, 2), rtol=0, atol=0)

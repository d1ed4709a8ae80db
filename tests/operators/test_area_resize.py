import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import area_average

from operators import OperatorError, area_resize_table, keyed_area_resize, resample, shuffle_pixels

sizes = st.tuples(st.integers(1, 11), st.integers(1, 11))


def squared(x, crop):
    """Cut the largest centred square out of (..., H, W)."""
    H, W = x.shape[-2:]
    side = min(H, W)
    top, left = (H - side) // 2, (W - side) // 2
    return x[..., top : top + side, left : left + side] if crop else x


def test_three_pixels_into_two_by_hand():
    # Cells of 1.5 pixels: (2 + 4 / 2) / 1.5 and (4 / 2 + 7) / 1.5.
    assert keyed_area_resize(torch.tensor([[[[2.0, 4, 7]]]]), (1, 2), crop=False).flatten().tolist() == pytest.approx(
        [8 / 3, 6]
    )


def test_the_table_weighs_every_pixel_of_the_square_equally():
    index, weights = area_resize_table((5, 9), (3, 4))
    total = np.zeros(45)
    np.add.at(total, index, weights)
    np.testing.assert_allclose(total.reshape(5, 9)[:, 2:7], 12 / 25)
    assert not total.reshape(5, 9)[:, [0, 1, 7, 8]].any()
    np.testing.assert_allclose(weights.sum(1), 1)


@drawn(80)
@given(draws, sizes, sizes, st.booleans(), st.integers(0, 3), st.booleans())
def test_it_equals_the_plain_loop_and_obeys_the_law_bit_for_bit(draw, size, target, crop, batch, own_keys):
    x = torch.from_numpy(draw.rng.normal(size=(batch, 3, *size)))
    tau = draw.order(target)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    keyed = keyed_area_resize(shuffled, target, **key, permutation_out=tau, crop=crop)
    assert torch.equal(keyed, shuffle_pixels(keyed_area_resize(x, target, crop=crop), tau))
    plain = shuffle_pixels(torch.from_numpy(area_average(squared(x.numpy(), crop), *target)), tau)
    torch.testing.assert_close(keyed, plain, rtol=1e-12, atol=1e-12)
    single = keyed_area_resize(shuffled.float(), target, **key, permutation_out=tau, crop=crop)
    torch.testing.assert_close(single.double(), plain, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("taps", [1, 40, 300])
def test_work_done_in_turns_gives_the_same_bits(draw, monkeypatch, taps):
    x = torch.from_numpy(draw.rng.normal(size=(4, 2, 12, 9))).float()
    shuffled, key = draw.keyed_batch(x, own_keys=True)
    expected = keyed_area_resize(x, (5, 4))
    monkeypatch.setattr(resample, "_TAPS_AT_ONCE", taps)
    assert torch.equal(keyed_area_resize(shuffled, (5, 4), **key), expected)


def test_a_large_frame_obeys_the_law_bit_for_bit(draw):
    x = torch.from_numpy(draw.rng.normal(size=(1, 3, 301, 402))).float()
    shuffled, key = draw.keyed_batch(x, own_keys=False)
    tau = draw.order((32, 32))
    keyed = keyed_area_resize(shuffled, 32, **key, permutation_out=tau)
    assert torch.equal(keyed, shuffle_pixels(keyed_area_resize(x, 32), tau))


@pytest.mark.parametrize("own_keys", [False, True])
def test_gradients_are_those_of_finite_differences(draw, own_keys):
    shuffled, key = draw.keyed_batch(draw.frames(2, 2, 5, 4), own_keys=own_keys)
    tau = draw.order((3, 2))
    shuffled.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: keyed_area_resize(t, (3, 2), **key, permutation_out=tau), [shuffled])


def test_what_does_not_fit_is_named(draw):
    x = draw.frames(1, 3, 4, 5)
    for call, message in [
        (lambda: keyed_area_resize(x.int(), 2), "floating point"),
        (lambda: keyed_area_resize(x, 0), "size must be"),
        (lambda: keyed_area_resize(x, 2, permutation_in=draw.order((2, 2))), "arranges 4 pixels"),
        (lambda: keyed_area_resize(x, 2, permutation_out=draw.order((2, 3))), "permutation_out arranges 6"),
    ]:
        with pytest.raises(OperatorError, match=message):
            call()

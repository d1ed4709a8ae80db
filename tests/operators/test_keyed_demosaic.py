import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import demosaic

from operators import OperatorError, keyed_demosaic, shuffle_pixels
from operators import demosaic as demosaic_module

patterns = st.sampled_from(["RGGB", "BGGR", "GRBG", "GBRG"])


def test_a_small_mosaic_by_hand():
    # R G    8 4    Mirrored without repeating the edge, photosite (0, 0) sees 1 in all corners, 2 above and below,
    # G B    2 1    4 left and right.
    rgb = keyed_demosaic(torch.tensor([[[[8.0, 4], [2, 1]]]]))
    assert rgb[0, :, 0, 0].tolist() == [8, 3, 1]
    assert rgb[0, :, 0, 1].tolist() == [8, 4, 1]


def test_a_grey_frame_stays_grey():
    assert torch.equal(keyed_demosaic(torch.full((1, 1, 5, 6), 100.0), "GBRG"), torch.full((1, 3, 5, 6), 100.0))


@drawn(60)
@given(draws, st.tuples(st.integers(2, 9), st.integers(2, 9)), patterns, st.integers(0, 3), st.booleans())
def test_keyed_demosaicing_is_the_shuffled_plain_loop(draw, size, cfa, batch, own_keys):
    x = draw.frames(batch, 1, *size)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    tau = draw.order(size)
    plain = np.zeros((batch, 3, *size))
    for b in range(batch):
        plain[b] = demosaic(x[b, 0].numpy(), cfa)
    keyed = keyed_demosaic(shuffled, cfa, **key, permutation_out=tau)
    assert torch.equal(keyed, shuffle_pixels(torch.from_numpy(plain), tau))


def test_outputs_done_in_turns_are_the_same(draw, monkeypatch):
    x = draw.frames(2, 1, 7, 6)
    shuffled, key = draw.keyed_batch(x, own_keys=True)
    expected = keyed_demosaic(x)
    monkeypatch.setattr(demosaic_module, "_OUTPUTS_AT_ONCE", 10)
    assert torch.equal(keyed_demosaic(shuffled, **key), expected)


def test_gradients_are_those_of_finite_differences(draw):
    shuffled, key = draw.keyed_batch(draw.frames(2, 1, 4, 3), own_keys=True)
    tau = draw.order((4, 3))
    shuffled.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: keyed_demosaic(t, "GRBG", **key, permutation_out=tau), [shuffled])


def test_what_does_not_fit_is_named(draw):
    x = draw.frames(1, 1, 4, 5)
    for call, message in [
        (lambda: keyed_demosaic(x[0]), r"\(B, 1, H, W\)"),
        (lambda: keyed_demosaic(x.int()), "floating point"),
        (lambda: keyed_demosaic(x, "RGBG"), "cfa must be one of"),
        (lambda: keyed_demosaic(x[:, :, :1]), "too wide"),
        (lambda: keyed_demosaic(x, permutation_in=draw.order((2, 2))), "arranges 4 pixels"),
    ]:
        with pytest.raises(OperatorError, match=message):
            call()

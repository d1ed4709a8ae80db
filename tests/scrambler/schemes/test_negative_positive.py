"""Pixel-based encryption: docs, methods, section 5."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import FixedNonceWarning, FrameError, Key, scheme
from scrambler.schemes.negative_positive import COLOUR_ORDERS, negate, negate_and_reorder

KEY = Key.from_bytes(bytes(range(32)))


def test_a_pixel_by_hand():
    bits, pixel = np.array([0b10100000], np.uint8), np.array([[[10, 200, 30]]], np.uint8)
    assert negate(pixel, bits, 255).tolist() == [[[245, 200, 225]]]
    hidden = negate_and_reorder(pixel, bits, np.array([3]), 255)
    assert hidden.tolist() == [[[200, 225, 245]]]
    assert negate_and_reorder(hidden, bits, np.array([3]), 255, inverse=True).tolist() == pixel.tolist()


def test_twelve_bits_by_hand():
    assert negate(np.array([[100]], np.uint16), np.array([128], np.uint8), 4095).tolist() == [[3995]]


def test_the_six_orders_are_those_of_the_paper_and_their_inverses_follow():
    assert [tuple(order[:3]) for order in COLOUR_ORDERS.tolist()] == list(permutations(range(3)))
    assert (COLOUR_ORDERS[:, 3] == 3).all()
    rgb, none = np.array([[[1, 2, 3]]], np.uint8), np.zeros(1, np.uint8)
    for order, inverse in enumerate([0, 1, 2, 4, 3, 5]):
        there = negate_and_reorder(rgb, none, np.array([order]), 255)
        assert negate_and_reorder(there, none, np.array([inverse]), 255).tolist() == rgb.tolist()


@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 6), st.sampled_from([3, 4])),
    st.integers(0, 2**32 - 1),
    st.sampled_from([8, 10, 12, 16]),
)
@settings(deadline=None, max_examples=25)
def test_the_kernels_are_the_definition_value_by_value(shape, seed, bits):
    rng = np.random.default_rng(seed)
    top = 2**bits - 1
    images = rng.integers(0, top + 1, shape).astype(np.uint8 if bits == 8 else np.uint16)
    flags = rng.integers(0, 2, shape[1:])
    orders = rng.integers(0, 6, shape[1:3])
    octets = np.packbits(flags)
    both, plain = negate_and_reorder(images, octets, orders.ravel(), top), negate(images, octets, top)
    for b, y, x, k in np.ndindex(*shape):
        c = int(COLOUR_ORDERS[orders[y, x], k])
        value = int(images[b, y, x, c])
        assert int(both[b, y, x, k]) == (top - value if flags[y, x, c] else value)
        assert int(plain[b, y, x, c]) == (top - value if flags[y, x, c] else value)
    np.testing.assert_array_equal(negate_and_reorder(both, octets, orders.ravel(), top, inverse=True), images)


def test_folded_values_survive_and_half_of_all_values_are_negated():
    image = np.random.default_rng(0).integers(0, 256, (120, 140, 3), np.uint8)
    hidden = np.asarray(scheme("negative-positive", key=KEY).protect(image))
    np.testing.assert_array_equal(np.minimum(hidden, 255 - hidden), np.minimum(image, 255 - image))
    for channel in range(3):
        changed = int((hidden != image)[..., channel].sum())
        assert stats.binomtest(changed, 120 * 140).pvalue > 1e-4
    both = np.asarray(scheme("negative-positive+color", key=KEY).protect(image))
    folded = [np.sort(np.minimum(v, 255 - v), axis=2) for v in (both, image)]
    np.testing.assert_array_equal(*folded)


def test_all_six_orders_are_equally_likely():
    image = np.broadcast_to(np.array([10, 20, 30], np.uint8), (90, 100, 3))
    hidden = np.asarray(scheme("negative-positive+color", key=KEY).protect(image))
    orders = np.unique(np.minimum(hidden, 255 - hidden).reshape(-1, 3), axis=0, return_counts=True)[1]
    assert len(orders) == 6
    assert stats.chisquare(orders).pvalue > 1e-4


def test_raw_frames_keep_their_bits():
    frame = np.random.default_rng(0).integers(0, 4096, (9, 14), np.uint16)
    s = scheme("negative-positive", key=KEY, bits=12)
    protected = s.protect(frame)
    assert np.asarray(protected).max() <= 4095
    np.testing.assert_array_equal(s.reveal(protected), frame)
    with pytest.raises(FrameError, match="bits=8"):
        scheme("negative-positive", key=KEY, bits=8).protect(frame)


def test_the_same_key_for_all_images_is_a_flag():
    images = np.zeros((3, 6, 8, 3), np.uint8)
    s = scheme("negative-positive+color", key=KEY, fixed_nonce=True)
    with pytest.warns(FixedNonceWarning):
        protected = s.protect(images)
    assert len(set(protected.nonces)) == 1
    assert (np.asarray(protected) == np.asarray(protected)[0]).all()
    np.testing.assert_array_equal(s.reveal(protected), images)

"""DLMT: docs, methods, section 2."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import FrameError, Key, SchemeError, scheme
from scrambler.schemes.affine import affine, inverse_affine, stretch

KEY = Key.from_bytes(bytes(range(32)))
A = np.array([[[0, 10], [200, 255]]], np.uint8)
ADD, MUL = [[5, 1], [256, 100]], [[3, 7], [1, 10]]
NAMES = ["mat", "mmt", "rise-mmt", "mat-mmt", "mmt-mat"]


@pytest.mark.parametrize(
    ("before", "times", "after", "expected"),
    [
        (0, 1, ADD, [[5, 11], [456, 355]]),
        (0, MUL, 0, [[0, 70], [200, 2550]]),
        (100, MUL, 0, [[300, 770], [300, 3550]]),
        (ADD, MUL, 0, [[15, 77], [456, 3550]]),
        (0, MUL, ADD, [[5, 71], [456, 2650]]),
    ],
    ids=NAMES,
)
def test_the_five_transforms_by_hand(before, times, after, expected):
    values = affine(A, before, times, after)
    assert values.tolist() == [expected]
    assert inverse_affine(values, before, times, after, A.dtype).tolist() == A.tolist()


def test_stretching_by_hand():
    assert stretch(affine(A, 0, MUL, 0)).tolist() == [[[0, 7], [20, 255]]]
    assert stretch(np.full((1, 2, 2), 9)).tolist() == [[[0, 0], [0, 0]]]


@given(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)), st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None, max_examples=25)
def test_the_kernel_is_the_formula_value_by_value(shape, seed, wide):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 65536 if wide else 256, shape).astype(np.uint16 if wide else np.uint8)
    before, times, after = (rng.integers(low, 3000, shape[1:]) for low in (0, 1, 0))
    values = affine(images, before, times, after)
    for place in np.ndindex(*shape):
        at = place[1:]
        assert int(values[place]) == (int(images[place]) + int(before[at])) * int(times[at]) + int(after[at])
    np.testing.assert_array_equal(inverse_affine(values, before, times, after, images.dtype), images)


def test_values_that_outgrow_32_bits_become_64_bits():
    top = np.array([[65535]], np.uint16)
    assert affine(top, 0, 1_000_000, 0).dtype == np.int64
    assert affine(top, 0, 1_000_000, 0).tolist() == [[65_535_000_000]]
    assert affine(top, 0, 32768, 0).dtype == np.int32
    image = np.full((5, 7), 65535, np.uint16)
    s = scheme("mat-mmt", key=KEY, max_add=10**6, max_mul=10**6)
    np.testing.assert_array_equal(s.reveal(s.protect(image)), image)


def test_r_covers_its_range_ends_included_and_evenly():
    zeros = np.zeros((200, 300), np.uint8)
    r = np.asarray(scheme("mat", key=KEY, max_add=5).protect(zeros))
    assert (r.min(), r.max()) == (1, 5)
    assert stats.chisquare(np.bincount(r.ravel())[1:]).pvalue > 1e-4
    r = np.asarray(scheme("mmt", key=KEY, max_mul=3).protect(zeros + np.uint8(1)))
    assert stats.chisquare(np.bincount(r.ravel())[1:]).pvalue > 1e-4


def test_one_r_serves_the_whole_data_set_and_each_size_has_its_own():
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 5, 3), np.uint8)
    s = scheme("mat", key=KEY)
    r = np.asarray(s.protect(images)) - images
    assert (r == r[0]).all()
    assert (np.asarray(s.protect(np.zeros((5, 6, 3), np.uint8))).reshape(-1) != r[0].reshape(-1)).any()


@pytest.mark.parametrize("name", NAMES)
def test_global_normalisation_stays_within_0_and_1_and_reveals_exactly(name):
    images = np.random.default_rng(0).integers(0, 65536, (3, 6, 5), np.uint16)
    s = scheme(name, key=KEY, normalise="global")
    protected = s.protect(images)
    assert 0 <= np.asarray(protected).min() <= np.asarray(protected).max() <= 1
    np.testing.assert_array_equal(s.reveal(protected), images)
    with pytest.raises(SchemeError, match="normalise='global' needs the images' type"):
        s.reveal(np.asarray(protected))


def test_stretching_each_image_cannot_be_undone_and_the_card_says_so():
    s = scheme("mmt", key=KEY, normalise="per_image")
    assert not s.card.invertible
    protected = s.protect(A)
    assert np.asarray(protected).dtype == np.uint8
    with pytest.raises(SchemeError, match="cannot be undone"):
        s.reveal(protected)


@pytest.mark.parametrize("name", NAMES)
def test_the_wrong_key_is_noticed_from_the_values(name):
    image = np.random.default_rng(0).integers(0, 256, (20, 21), np.uint8)
    protected = np.asarray(scheme(name, key=KEY).protect(image))
    with pytest.raises(FrameError, match="no images under this key"):
        scheme(name, key=Key.from_bytes(bytes(32))).reveal(protected)


def test_the_greatest_common_divisor_of_eight_ciphertexts_is_r():
    images = np.random.default_rng(3).integers(0, 256, (40, 6, 5), np.uint8)
    s = scheme("mmt", key=KEY)
    r = np.asarray(s.protect(np.ones((6, 5), np.uint8)))
    np.testing.assert_array_equal(np.gcd.reduce(np.asarray(s.protect(images)), axis=0), r)

"""The schemes that only move pixels."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import (
    FixedNonceError,
    FixedNonceWarning,
    Key,
    MissingKeyError,
    NonceError,
    SchemeError,
    keyed_permutation,
    scheme,
)

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
SHAPES = [(5, 7), (5, 7, 3), (4, 5, 7), (2, 5, 7, 3), (1, 1), (0, 4, 4), (0, 5, 7), (6, 2, 4), (3, 9, 2)]
ANY_TYPE = ["pixel-shuffle", "rows-columns", "tile-shuffle", "block-shuffle"]


def random_images(shape, dtype=np.uint8, seed=1):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("name", ANY_TYPE)
@pytest.mark.parametrize("shape", SHAPES)
def test_shuffles_take_any_type(name, shape):
    images = random_images(shape).astype(np.float32)
    s = scheme(name, key=KEY)
    protected = s.protect(images)
    assert np.asarray(protected).dtype == np.float32
    np.testing.assert_array_equal(s.reveal(protected), images)


def test_pixel_shuffle_is_the_keyed_permutation_of_each_image():
    images = np.random.default_rng(1).integers(0, 255, (3, 6, 5, 3)).astype(np.uint8)
    protected = scheme("pixel-shuffle", key=KEY).protect(images)
    assert len(set(protected.nonces)) == 3
    for image, shuffled, nonce in zip(images, np.asarray(protected), protected.nonces, strict=True):
        p = keyed_permutation(KEY, (6, 5), nonce)
        np.testing.assert_array_equal(shuffled, p.shuffle(image, channels_last=True))


@given(st.integers(2, 5), st.tuples(st.integers(1, 12), st.integers(1, 12)))
@settings(deadline=None, max_examples=20)
def test_tiles_keep_their_values_and_blocks_their_insides(side, shape):
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    tiles = np.asarray(scheme("tile-shuffle", key=KEY, tile=side).protect(image))
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            part = slice(y, y + side), slice(x, x + side)
            assert sorted(tiles[part].ravel()) == sorted(image[part].ravel())
    blocks = np.asarray(scheme("block-shuffle", key=KEY, block=side).protect(image))
    whole = {
        image[y : y + side, x : x + side].tobytes() for y in range(0, shape[0], side) for x in range(0, shape[1], side)
    }
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            assert blocks[y : y + side, x : x + side].tobytes() in whole


def test_rows_columns_has_its_three_orders():
    image = np.arange(48).reshape(6, 8)
    rows = np.asarray(scheme("rows-columns", key=KEY, order="rows").protect(image))
    assert sorted(map(tuple, rows)) == list(map(tuple, image))
    columns = np.asarray(scheme("rows-columns", key=KEY, order="columns").protect(image))
    np.testing.assert_array_equal(np.sort(columns, axis=1), image)
    with pytest.raises(SchemeError, match="order must be"):
        scheme("rows-columns", order="diagonal")


def test_the_published_mode_has_one_permutation_no_nonce_and_a_flag():
    images = np.random.default_rng(1).integers(0, 255, (4, 32, 32, 3)).astype(np.uint8)
    legacy = Key.legacy(1312)
    with pytest.raises(FixedNonceError, match="fixed_nonce=True"):
        scheme("pixel-shuffle", key=legacy).protect(images)
    s = scheme("pixel-shuffle", key=legacy, fixed_nonce=True)
    with pytest.warns(FixedNonceWarning):
        protected = s.protect(images)
    assert protected.nonces == ()
    expected = images.reshape(4, 1024, 3)[:, keyed_permutation(legacy, 1024).source].reshape(images.shape)
    np.testing.assert_array_equal(protected, expected)
    np.testing.assert_array_equal(s.reveal(protected), images)
    with pytest.raises(NonceError, match="takes no nonce"):
        s.protect(images[0], nonce=NONCE)
    with pytest.raises(SchemeError, match="unit"):
        scheme("pixel-shuffle", key=legacy, unit="quad").protect(images[0])
    with pytest.raises(MissingKeyError, match="LegacyKey"):
        scheme("tile-shuffle", key=legacy).protect(images[0])


def test_one_nonce_for_a_batch_is_guarded():
    images = np.zeros((17, 4, 5), np.uint8)
    with pytest.raises(FixedNonceError):
        scheme("pixel-shuffle", key=KEY).protect(images[:2], nonce=NONCE)
    with pytest.raises(FixedNonceError, match="allow_many"):
        scheme("pixel-shuffle", key=KEY, fixed_nonce=True).protect(images)
    with pytest.warns(FixedNonceWarning):
        protected = scheme("pixel-shuffle", key=KEY, fixed_nonce=True, allow_many=True).protect(images)
    assert len(set(protected.nonces)) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheme("pixel-shuffle", key=KEY).reveal(protected)

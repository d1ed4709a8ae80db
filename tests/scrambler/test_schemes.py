import pickle
import warnings
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import (
    Card,
    FixedNonceError,
    FixedNonceWarning,
    FrameError,
    Key,
    MissingKeyError,
    NonceError,
    PatternError,
    SchemeError,
    ShuffleCamError,
    WrongKeyError,
    keyed_permutation,
    list_schemes,
    register_scheme,
    scheme,
)

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
SHAPES = [(5, 7), (5, 7, 3), (4, 5, 7), (2, 5, 7, 3), (1, 1), (0, 4, 4)]


@pytest.mark.parametrize("name", list_schemes())
def test_cards_need_no_key_and_are_complete(name):
    card = scheme(name).card
    assert card.name == name
    for field in fields(Card):
        assert getattr(card, field.name) not in ("", None)


@pytest.mark.parametrize("name", list_schemes())
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_is_protected_is_revealed_bit_for_bit(name, shape, dtype):
    images = np.random.default_rng(1).integers(0, 255, shape).astype(dtype)
    s = scheme(name, key=KEY)
    protected = s.protect(images)
    assert protected.shape == shape
    assert np.asarray(protected).dtype == dtype
    np.testing.assert_array_equal(s.reveal(protected), images)
    np.testing.assert_array_equal(s.reveal(np.asarray(protected), nonce=protected.nonces, shape=shape), images)


def test_pixel_shuffle_is_the_keyed_permutation_of_each_image():
    images = np.random.default_rng(1).integers(0, 255, (3, 6, 5, 3)).astype(np.uint8)
    protected = scheme("pixel-shuffle", key=KEY).protect(images)
    assert len(set(protected.nonces)) == 3
    for image, shuffled, nonce in zip(images, np.asarray(protected), protected.nonces, strict=True):
        p = keyed_permutation(KEY, (6, 5), nonce)
        np.testing.assert_array_equal(shuffled, p.shuffle(image, channels_last=True))


def test_given_nonces_are_used_and_give_the_same_again():
    image = np.arange(30).reshape(5, 6)
    s = scheme("pixel-shuffle", key=KEY)
    assert s.protect(image, nonce=NONCE).nonces == (NONCE,)
    np.testing.assert_array_equal(s.protect(image, nonce=NONCE), s.protect(image, nonce=NONCE))


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


@pytest.mark.parametrize("name", list_schemes())
def test_a_missing_key_is_named_when_it_is_needed(name):
    for use in (scheme(name).protect, scheme(name).reveal):
        with pytest.raises(MissingKeyError, match=rf"scheme '{name}' needs key="):
            use(np.zeros((4, 4), np.uint8))


def test_the_wrong_key_and_the_wrong_scheme_are_refused_and_bare_values_are_not():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    protected = scheme("pixel-shuffle", key=KEY).protect(image)
    other = Key.from_bytes(bytes(32))
    with pytest.raises(WrongKeyError, match=f"{KEY.id}.*{other.id}"):
        scheme("pixel-shuffle", key=other).reveal(protected)
    with pytest.raises(FrameError, match="'pixel-shuffle'"):
        scheme("tile-shuffle", key=KEY).reveal(protected)
    wrong = scheme("pixel-shuffle", key=other).reveal(np.asarray(protected), nonce=protected.nonces)
    assert (wrong != image).any()
    with pytest.raises(NonceError, match="needs nonce="):
        scheme("pixel-shuffle", key=KEY).reveal(np.asarray(protected))
    with pytest.raises(FrameError, match="shape"):
        scheme("pixel-shuffle", key=KEY).reveal(np.asarray(protected), nonce=protected.nonces, shape=(4, 16))


BAD_IMAGES = [
    np.zeros(5),
    np.zeros((2, 4, 4, 2)),
    np.zeros((1, 2, 3, 4, 1)),
    np.full((4, 4), np.nan),
    np.array([[np.inf]]),
    np.zeros((4, 4), complex),
    np.zeros((4, 4), bool),
    np.array([["a"]]),
    None,
]


@pytest.mark.parametrize("images", BAD_IMAGES, ids=range(len(BAD_IMAGES)))
def test_images_that_do_not_fit_are_refused_in_one_sentence(images):
    with pytest.raises(FrameError, match="images") as caught:
        scheme("pixel-shuffle", key=KEY).protect(images)
    assert "\n" not in str(caught.value)


def test_unknown_schemes_and_parameters_are_named():
    with pytest.raises(SchemeError, match="there is no scheme 'pixel'"):
        scheme("pixel")
    with pytest.raises(SchemeError, match=r"no parameter 'tile'.*unit"):
        scheme("pixel-shuffle", tile=4)
    for parameters in ({"unit": "octet"}, {"period": 3}):
        with pytest.raises(PatternError):
            scheme("pixel-shuffle", **parameters)
    with pytest.raises(ShuffleCamError, match="at least 2"):
        scheme("tile-shuffle", tile=1)


def test_other_packages_can_register_a_scheme_once():
    with pytest.raises(SchemeError, match="already"):
        register_scheme("pixel-shuffle", lambda key: scheme("tile-shuffle", key=key))


def test_protected_images_say_what_they_are_and_hold_no_secret():
    images = np.zeros((3, 4, 5), np.uint8)
    s = scheme("pixel-shuffle", key=KEY)
    protected = s.protect(images)
    assert repr(protected) == f"Protected(scheme='pixel-shuffle', shape=(3, 4, 5), dtype=uint8, key_id='{KEY.id}')"
    assert len(protected) == 3
    again = pickle.loads(pickle.dumps(protected))
    np.testing.assert_array_equal(s.reveal(again), images)
    assert KEY.to_bytes() not in pickle.dumps(protected)
    assert np.asarray(protected, dtype=np.float32).dtype == np.float32
    assert KEY.to_bytes().hex() not in repr(s)
    with pytest.raises(ShuffleCamError):
        pickle.dumps(s)

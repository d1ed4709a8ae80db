import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import (
    FixedNonceError,
    FixedNonceWarning,
    FrameError,
    Key,
    MissingKeyError,
    NonceError,
    WrongKeyError,
    keyed_permutation,
    mask_of,
    mask_values,
    new_nonces,
    scheme,
)
from scrambler.keystream import Keystream

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
NAMES = ["shuffle+mask", "chacha20"]


def openssl_mask(key, nonce, shape, dtype):
    """The format's definition: derive, then OpenSSL's ChaCha20 from block 0 on."""
    bits, count = 8 * np.dtype(dtype).itemsize, int(np.prod(shape))
    seed = key.derive("mask", nonce, context=f"mask/v1;size={count};bits={bits}".encode())
    octets = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor().update(bytes(count * bits // 8))
    return np.frombuffer(octets, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def test_rfc_8439_section_2_4_2_is_masked_by_hand():
    # The RFC's sunscreen: key 00..1f, counter 1, nonce 00 00 00 00 00 00 00 4a 00 00 00 00.
    text = np.frombuffer(
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it.",
        np.uint8,
    ).copy()
    Keystream(bytes(range(32)), 0x4A << 56, start=64).mask(text)
    assert text.tobytes()[:16].hex() == "6e2e359a2568f98041ba0728dd0d6981"
    assert text.tobytes()[-8:].hex() == "8eedf2785e42874d"


@pytest.mark.parametrize("start", [0, 1, 63, 64, 65, 40_000])
def test_a_keystream_starts_anywhere(start):
    whole = Keystream(bytes(32), 5).octets(50_000)
    np.testing.assert_array_equal(Keystream(bytes(32), 5, start).octets(9000), whole[start : start + 9000])


def test_the_mask_never_changes():
    assert mask_of(KEY, NONCE, (8,), np.uint8).tobytes().hex() == "bab7dfcc21461bea"
    assert mask_of(KEY, NONCE, (4,), np.uint16).astype("<u2").tobytes().hex() == "d920e9fe3dadd6e3"


@given(
    st.sampled_from([np.uint8, np.uint16]),
    st.lists(st.integers(0, 40), min_size=1, max_size=3),
    st.binary(min_size=16, max_size=16),
)
@settings(deadline=None, max_examples=40)
def test_values_are_xored_with_openssl_s_keystream_and_back(dtype, shape, nonce):
    values = np.random.default_rng(3).integers(0, 250, shape).astype(dtype)
    masked = mask_values(values, KEY, nonce)
    np.testing.assert_array_equal(masked, values ^ openssl_mask(KEY, nonce, shape, dtype))
    np.testing.assert_array_equal(mask_values(masked, KEY, nonce), values)
    np.testing.assert_array_equal(mask_of(KEY, nonce, tuple(shape), dtype), openssl_mask(KEY, nonce, shape, dtype))


def test_strided_and_read_only_values_are_masked_in_their_own_order_and_left_alone():
    values = np.arange(60, dtype=np.uint16).reshape(5, 12)
    values.flags.writeable = False
    np.testing.assert_array_equal(mask_values(values.T, KEY, NONCE), values.T ^ mask_of(KEY, NONCE, (12, 5), np.uint16))
    np.testing.assert_array_equal(values, np.arange(60).reshape(5, 12))


def test_sizes_types_nonces_keys_and_labels_have_masks_of_their_own():
    masks = [
        mask_of(KEY, NONCE, (32,), np.uint8),
        mask_of(KEY, NONCE, (33,), np.uint8)[:32],
        mask_of(KEY, NONCE, (32,), np.uint16).view(np.uint8)[:32],
        mask_of(KEY, bytes(16), (32,), np.uint8),
        mask_of(Key.from_bytes(bytes(32)), NONCE, (32,), np.uint8),
    ]
    assert len({mask.tobytes() for mask in masks}) == 5


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros(3, np.int16), np.zeros(3, bool), np.zeros(3, ">u2"), [1, 2]])
def test_only_unsigned_codes_are_masked(values):
    with pytest.raises(FrameError, match="uint8 or uint16"):
        mask_values(values, KEY, NONCE)


def test_a_mask_needs_a_key_and_a_nonce():
    with pytest.raises(MissingKeyError, match="a mask needs key="):
        mask_of(None, NONCE, (3,), np.uint8)
    with pytest.raises(NonceError, match="a mask needs nonce="):
        mask_of(KEY, None, (3,), np.uint8)
    with pytest.raises(NonceError, match="16 bytes"):
        mask_of(KEY, b"abc", (3,), np.uint8)


def test_shuffle_and_mask_by_hand():
    images = np.random.default_rng(1).integers(0, 255, (3, 6, 5, 3)).astype(np.uint8)
    protected = scheme("shuffle+mask", key=KEY).protect(images)
    assert len(set(protected.nonces)) == 3
    for image, masked, nonce in zip(images, np.asarray(protected), protected.nonces, strict=True):
        shuffled = image.reshape(30, 3)[keyed_permutation(KEY, 30, nonce).source].reshape(6, 5, 3)
        np.testing.assert_array_equal(masked, shuffled ^ openssl_mask(KEY, nonce, (6, 5, 3), np.uint8))


def test_chacha20_is_the_cipher_alone():
    mosaic = np.random.default_rng(1).integers(0, 4096, (7, 9)).astype(np.uint16)
    protected = scheme("chacha20", key=KEY).protect(mosaic, nonce=NONCE)
    np.testing.assert_array_equal(protected, mosaic ^ openssl_mask(KEY, NONCE, (7, 9), np.uint16))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (4, 5, 7), (2, 5, 7, 3), (1, 1), (0, 4, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_masked_is_revealed_bit_for_bit(name, shape, dtype):
    images = np.random.default_rng(1).integers(0, 255, shape).astype(dtype)
    s = scheme(name, key=KEY)
    protected = s.protect(images)
    assert np.asarray(protected).dtype == dtype
    np.testing.assert_array_equal(s.reveal(protected), images)
    np.testing.assert_array_equal(s.reveal(np.asarray(protected), nonce=protected.nonces, shape=shape), images)


def test_mosaics_can_be_moved_by_whole_quads():
    mosaic = np.random.default_rng(1).integers(0, 4096, (8, 10)).astype(np.uint16)
    s = scheme("shuffle+mask", key=KEY, unit="quad")
    shuffled = np.asarray(scheme("pixel-shuffle", key=KEY, unit="quad").protect(mosaic, nonce=NONCE))
    protected = s.protect(mosaic, nonce=NONCE)
    np.testing.assert_array_equal(protected, shuffled ^ mask_of(KEY, NONCE, (8, 10), np.uint16))
    np.testing.assert_array_equal(s.reveal(protected), mosaic)


@pytest.mark.parametrize("name", NAMES)
def test_bad_calls_are_named(name):
    s, image = scheme(name, key=KEY), np.zeros((4, 5), np.uint8)
    with pytest.raises(FrameError, match="uint8 or uint16"):
        s.protect(image.astype(np.float32))
    with pytest.raises(FixedNonceError, match="fixed_nonce=True"):
        s.protect(np.zeros((2, 4, 5), np.uint8), nonce=NONCE)
    with pytest.raises(FixedNonceError, match="allow_many"):
        scheme(name, key=KEY, fixed_nonce=True).protect(np.zeros((17, 4, 5), np.uint8))
    with pytest.warns(FixedNonceWarning) as caught:
        scheme(name, key=KEY, fixed_nonce=True).protect(np.zeros((2, 4, 5), np.uint8))
    assert len(caught) == 1
    other = Key.from_bytes(bytes(32))
    with pytest.raises(WrongKeyError, match=f"{KEY.id}.*{other.id}"):
        scheme(name, key=other).reveal(s.protect(image))
    with pytest.raises(NonceError, match="needs nonce="):
        s.reveal(image)
    with pytest.raises(NonceError, match="1 nonces were given for 2 frames"):
        s.reveal(np.zeros((2, 4, 5), np.uint8), nonce=new_nonces(1))
    with pytest.raises(MissingKeyError, match="needs key="):
        scheme(name).protect(image)
    assert (s.reveal(s.protect(image, nonce=NONCE).values, nonce=bytes(16)) != image).any()


def test_a_flat_image_under_the_mask_shows_no_constant_bit():
    for dtype, value in ((np.uint8, 0), (np.uint16, 0x0FFF)):
        masked = np.asarray(scheme("shuffle+mask", key=KEY).protect(np.full((200, 300), value, dtype), nonce=NONCE))
        bits = np.unpackbits(masked.view(np.uint8).reshape(60_000, -1), axis=1).mean(axis=0)
        # 60,000 fair bits: standard error 0.002.
        assert np.abs(bits - 0.5).max() < 0.01

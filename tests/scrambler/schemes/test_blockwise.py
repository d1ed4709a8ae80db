"""Block-wise transforms: docs, methods, section 11."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import FrameError, Key, scheme
from scrambler.schemes.blocks import block_members, from_blocks, pad_to_blocks, to_blocks
from scrambler.schemes.ffx import code_table, encrypt_digits, inverse_table
from scrambler.schemes.signed_gather import SignedGather

KEY = Key.from_bytes(bytes(range(32)))


def test_published_values_of_ffx():
    table = code_table(b"password", 255)
    assert table[:8].tolist() == [355, 522, 858, 133, 916, 326, 747, 930]
    assert (table.max(), table.dtype) == (996, np.uint16)
    assert encrypt_digits(b"foo", 3, ["abc".index(letter) for letter in "cba"]) == ["abc".index(c) for c in "abb"]


@pytest.mark.parametrize("top", [1, 9, 99, 255, 4095, 65535])
def test_code_tables_are_the_digit_cipher_and_injective(top):
    table, length = code_table(b"pw", top), len(str(top))
    for code in range(0, top + 1, max(1, top // 50)):
        digits = encrypt_digits(b"pw", 10, [int(digit) for digit in str(code).zfill(length)])
        assert int(table[code]) == int("".join(map(str, digits)))
    assert len(np.unique(table)) == top + 1
    assert table.max() < 10**length
    decoded = inverse_table(table)
    np.testing.assert_array_equal(decoded[table], np.arange(top + 1))
    assert (decoded >= 0).sum() == top + 1


@given(
    st.tuples(st.integers(1, 2), st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 3, 4])), st.integers(1, 4)
)
@settings(deadline=None, max_examples=25)
def test_blocks_are_cut_and_put_together(shape, block):
    images = np.arange(np.prod(shape)).reshape(shape)
    padded = pad_to_blocks(images, block)
    for b, y, x, c in np.ndindex(*padded.shape):
        assert padded[b, y, x, c] == images[b, min(y, shape[1] - 1), min(x, shape[2] - 1), c]
    blocks = to_blocks(padded, block)
    across = padded.shape[2] // block
    for b, i, y, x, c in np.ndindex(*blocks.shape):
        assert blocks[b, i, y, x, c] == padded[b, i // across * block + y, i % across * block + x, c]
    np.testing.assert_array_equal(from_blocks(blocks, *padded.shape[1:3]), padded)
    members = block_members(padded.shape[1:], block)
    np.testing.assert_array_equal(padded[0].ravel()[members], blocks[0].reshape(len(members), -1))


@given(st.integers(1, 60), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_a_signed_gather_is_its_formula_and_undoes_itself(size, count, seed):
    rng = np.random.default_rng(seed)
    source, negative = rng.permutation(size).astype(np.uint32), rng.integers(0, 2, size).astype(np.uint8)
    images = rng.integers(0, 4096, (count, size)).astype(np.uint16)
    table = SignedGather(source=source, negative=negative)
    out = table.apply(images, 4095)
    for b, j in np.ndindex(count, size):
        value = int(images[b, source[j]])
        assert out[b, j] == (4095 - value if negative[j] else value)
    np.testing.assert_array_equal(table.undo(out, 4095), images)
    assert "array" not in repr(table)


def test_shf_moves_the_values_of_all_blocks_alike():
    image = np.random.default_rng(0).permutation(8 * 12 * 3).astype(np.uint16).reshape(8, 12, 3)
    hidden = np.asarray(scheme("shf", key=KEY).protect(image))
    plain, cipher = (to_blocks(v[None], 4)[0].reshape(6, 48) for v in (image, hidden))
    order = [plain[0].tolist().index(value) for value in cipher[0].tolist()]
    assert sorted(order) == list(range(48))
    assert order != list(range(48))
    np.testing.assert_array_equal(cipher, plain[:, order])


def test_shf_gives_all_24_orders_of_4_elements_evenly():
    image = np.array([[0, 1], [2, 3]], np.uint8)
    batch = np.repeat(image[None], 4800, axis=0)
    hidden = np.asarray(scheme("shf", key=KEY, block=2, per_image=True).protect(batch)).reshape(-1, 4)
    counts = np.unique(hidden, axis=0, return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("block", "channels", "half"), [(4, 3, 24), (2, 3, 6), (3, 3, 13), (2, 1, 2)])
def test_bit_flip_negates_exactly_half_of_each_block_at_the_same_places(block, channels, half):
    image = np.zeros((3 * block, 2 * block, channels), np.uint16)
    hidden = np.asarray(scheme("bit-flip", key=KEY, block=block, bits=10).protect(image))
    blocks = to_blocks(hidden[None].reshape(1, 3 * block, 2 * block, channels), block)[0].reshape(6, -1)
    assert set(np.unique(blocks)) == {0, 1023}
    assert ((blocks > 0).sum(axis=1) == half).all()
    assert (blocks == blocks[0]).all()


def test_ffx_encrypts_half_of_the_codes_and_keeps_the_rest():
    image = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    s = scheme("ffx", key=KEY)
    hidden = np.asarray(s.protect(image))
    assert hidden.dtype == np.uint16
    blocks, plain = (to_blocks(v[None], 4)[0].reshape(20, 48) for v in (hidden, image))
    kept = (blocks == plain).all(axis=0)
    assert kept.sum() == 24
    pairs = set(zip(plain[:, ~kept].ravel().tolist(), blocks[:, ~kept].ravel().tolist(), strict=True))
    assert len({code for code, _ in pairs}) == len({cipher for _, cipher in pairs}) == len(pairs)


@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, None), (np.uint16, 12), (np.uint16, None)])
def test_ffx_divided_by_its_largest_code_still_reveals_every_bit(dtype, bits):
    top = 2 ** (bits or 8 * np.dtype(dtype).itemsize) - 1
    image = np.linspace(0, top, 48 * 60).astype(dtype).reshape(48, 60)
    s = scheme("ffx", key=KEY, normalise="max", bits=bits)
    protected = s.protect(image)
    assert np.asarray(protected).dtype == np.float32
    np.testing.assert_array_equal(s.reveal(protected), image)
    whole = scheme("ffx", key=KEY, bits=bits)
    values = np.asarray(whole.protect(image))
    np.testing.assert_array_equal(whole.reveal(values, shape=image.shape), image)


def test_ffx_refuses_values_that_no_code_has():
    s = scheme("ffx", key=KEY)
    values = np.full((4, 4), 999, np.uint16)
    with pytest.raises(FrameError, match="protected values"):
        s.reveal(values)
    with pytest.raises(FrameError, match="no images"):
        s.reveal(values + 5000)

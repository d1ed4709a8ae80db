"""RMT and block-wise AES: docs, methods, section 3."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import Key, NonceError, SchemeError, scheme
from scrambler.schemes.block_aes import aes_codebook
from scrambler.schemes.blocks import to_blocks
from scrambler.schemes.draws import Draws
from scrambler.schemes.rmt import multiply_blocks, orthogonal_matrices, projection_matrices

KEY = Key.from_bytes(bytes(range(32)))
DRAWS = Draws(bytes(range(32)))


def test_a_block_times_its_matrix_by_hand():
    block, matrix = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), np.array([[[0.0, -1.0], [1.0, 0.0]]])
    out = multiply_blocks(block, matrix, np.array([0]), np.array([0]))[0, :, :, 0]
    assert out.tolist() == [[2, -1], [4, -3]]
    assert (out**2).sum(axis=1).tolist() == [5, 25]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_the_kernel_is_the_matrix_product_of_every_block(side, down, right, channels, seed):
    rng = np.random.default_rng(seed)
    images, count = rng.random((2, down * side, right * side, channels)), down * right
    matrices, source, to = rng.random((count, side, side)), rng.permutation(count), rng.permutation(count)
    out = to_blocks(multiply_blocks(images, matrices, source, to), side)
    blocks = to_blocks(images, side)
    for b in range(2):
        for i in range(count):
            for c in range(channels):
                expected = blocks[b, source[i], :, :, c] @ matrices[i]
                np.testing.assert_allclose(out[b, to[i], :, :, c], expected, rtol=1e-12, atol=1e-12)


def test_orthogonal_matrices_are_haar():
    q = orthogonal_matrices(DRAWS, "haar", 20_000, 2)
    np.testing.assert_allclose(q @ q.transpose(0, 2, 1), np.broadcast_to(np.eye(2), q.shape), atol=1e-12)
    # In the plane: half of them are reflections, and the angle of the first row is uniform for each kind.
    reflected = np.linalg.det(q) < 0
    assert stats.binomtest(int(reflected.sum()), len(q)).pvalue > 1e-4
    angle = np.arctan2(q[:, 0, 1], q[:, 0, 0]) / (2 * np.pi) + 0.5
    for kind in (reflected, ~reflected):
        assert stats.kstest(angle[kind], "uniform").pvalue > 1e-4
    # In s dimensions each squared entry has mean 1/s and variance 2 (s - 1) / (s^2 (s + 2)).
    s = 5
    squares = orthogonal_matrices(DRAWS, "five", 4000, s) ** 2
    error = np.sqrt(2 * (s - 1) / (s**2 * (s + 2)) / 4000)
    assert np.abs(squares.mean(axis=0) - 1 / s).max() < 5 * error


def test_projections_are_uniform_and_invertible():
    matrices = projection_matrices(DRAWS, "projection", 500, 3)
    assert (np.linalg.cond(matrices) <= 1e3).all()
    assert 0 < matrices.min() < matrices.max() < 1


@given(
    st.integers(1, 5),
    st.sampled_from([0.0, 25.0, 100.0]),
    st.sampled_from(["before", "after"]),
    st.sampled_from(["orthogonal", "projection"]),
    st.booleans(),
    st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_every_variant_reveals_codes_bit_for_bit(block, noise, position, transform, permute, wide):
    rng = np.random.default_rng(1)
    images = rng.integers(0, 65536 if wide else 256, (3, 9, 7, 3)).astype(np.uint16 if wide else np.uint8)
    s = scheme("rmt", key=KEY, block=block, noise=noise, noise_position=position, transform=transform, permute=permute)
    protected = s.protect(images)
    assert np.asarray(protected).dtype == (np.float32 if transform == "orthogonal" else np.float64)
    assert len(protected.nonces) == (3 if noise else 0)
    np.testing.assert_array_equal(s.reveal(protected), images)


def test_norms_of_rows_survive_and_noise_has_its_mean_and_variance():
    image = np.random.default_rng(0).integers(0, 256, (8, 12)).astype(np.uint8)
    still = np.asarray(scheme("rmt", key=KEY, block=2, noise=0, permute=False).protect(image))
    rows = [np.sort(np.linalg.norm(v.reshape(-1, 2), axis=1)) for v in (image.astype(float), still)]
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-5)
    # Behind the matrix the noise is uniform over 0 .. 30 itself: mean 15, variance 75, for 120,000 values.
    zeros = np.zeros((300, 400), np.uint8)
    noise = np.asarray(scheme("rmt", key=KEY, block=2, noise=30, noise_position="after").protect(zeros))
    assert abs(noise.mean() - 15) < 5 * np.sqrt(75 / 120_000)
    assert stats.kstest(noise.ravel() / 30, "uniform").pvalue > 1e-4


def test_noise_is_fresh_for_every_image_and_matrices_are_not():
    images = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 14, 14)).astype(np.uint8), 2, axis=0)
    noisy = np.asarray(scheme("rmt", key=KEY).protect(images))
    assert (noisy[0] != noisy[1]).any()
    quiet = np.asarray(scheme("rmt", key=KEY, noise=0).protect(images))
    np.testing.assert_array_equal(quiet[0], quiet[1])
    with pytest.raises(NonceError, match="for their noise"):
        scheme("rmt", key=KEY).reveal(noisy)


@pytest.mark.parametrize(
    ("key", "plain", "cipher"),
    [
        ("2b7e151628aed2a6abf7158809cf4f3c", "6bc1bee22e409f96e93d7e117393172a", "3ad77bb40d7a3660a89ecaf32466ef97"),
        ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff", "69c4e0d86a7b0430d8cdb78070b4c55a"),
    ],
)
def test_published_vectors_of_aes(key, plain, cipher):
    unit, secret = np.frombuffer(bytes.fromhex(plain), np.uint8), bytes.fromhex(key)
    hidden = aes_codebook(unit, secret)
    assert hidden.tobytes().hex() == cipher
    assert aes_codebook(hidden, secret, inverse=True).tobytes().hex() == plain


@pytest.mark.parametrize("keys", ["one", "per_position"])
def test_a_block_of_a_channel_is_one_unit_of_aes(keys):
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 12, 3)).astype(np.uint8)
    s = scheme("block-aes", key=KEY, keys=keys)
    protected = s.protect(images)
    np.testing.assert_array_equal(s.reveal(protected), images)
    # Equal blocks of equal positions give equal ciphers, and a change stays inside its unit.
    touched = images.copy()
    touched[0, 5, 6, 1] ^= 1
    changed = np.asarray(s.protect(touched)) != np.asarray(protected)
    assert changed[0, 4:8, 4:8, 1].sum() > 8
    changed[0, 4:8, 4:8, 1] = False
    assert not changed.any()
    flat = np.asarray(s.protect(np.full((8, 12), 7, np.uint8)))
    units = {block.tobytes() for block in to_blocks(flat[None, ..., None], 4)[0]}
    assert len(units) == (1 if keys == "one" else 6)


def test_two_pixels_a_unit_average_the_cipher_and_cannot_be_undone():
    s = scheme("block-aes", key=KEY, pixels_per_unit=2)
    assert not s.card.invertible
    image = np.random.default_rng(0).integers(0, 256, (4, 8)).astype(np.uint8)
    hidden = np.asarray(s.protect(image))
    secret = bytes(range(16))
    from scrambler.schemes.block_aes import BlockAes

    class Known:
        def octets(self, part, count):
            return np.frombuffer(secret, np.uint8)

    shown = BlockAes(pixels_per_unit=2).forward(image[None, ..., None], Known(), [])[0, ..., 0]
    unit = aes_codebook(np.repeat(image[2, 4:6], 8), secret).reshape(2, 8)
    np.testing.assert_array_equal(shown[2, 4:6], np.rint(unit.mean(axis=1)))
    with pytest.raises(SchemeError, match="cannot be undone"):
        s.reveal(hidden)
    with pytest.raises(SchemeError, match="8 bits"):
        s.protect(image.astype(np.uint16))


def test_salt_and_pepper_hit_their_share_of_values():
    s = scheme("block-aes", key=KEY, salt_pepper=0.03, rng=4)
    image = np.full((200, 300), 128, np.uint8)
    hidden = np.asarray(s.protect(image))
    shown = scheme("block-aes", key=KEY).reveal(hidden)
    assert stats.binomtest(int((shown == 0).sum()), 60_000, 0.015).pvalue > 1e-4
    assert stats.binomtest(int((shown == 255).sum()), 60_000, 0.015).pvalue > 1e-4
    assert set(np.unique(shown)) == {0, 128, 255}
    assert not s.card.invertible

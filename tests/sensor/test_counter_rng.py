import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from sensor import CaptureError
from sensor.counter_rng import NoiseSource, Stream, _fill, standard_normal


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, answer):
    block, row, frame, stream = counter
    column = 64 * (block // 16) + block % 16
    out = np.empty((1, 49), np.uint32)
    _fill(out, np.uint64(row), column, *map(np.uint64, (frame, stream, *key)))
    assert out[0, ::16].tolist() == answer


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 9), st.integers(1, 200), st.integers(0, 2**64 - 1))
def test_a_tile_holds_the_words_of_its_own_photosites(row, column, height, width, seed):
    whole = NoiseSource(seed=seed, frame=3).words(Stream.READ, (row + height, column + width))
    tile = NoiseSource(seed=seed, frame=3, origin=(row, column)).words(Stream.READ, (height, width))
    np.testing.assert_array_equal(tile, whole[row:, column:])


def test_seed_frame_and_stream_each_give_unrelated_words():
    shape = (64, 100)
    base = NoiseSource(seed=1, frame=1).words(Stream.SHOT, shape)
    others = [
        NoiseSource(seed=2, frame=1).words(Stream.SHOT, shape),
        NoiseSource(seed=1 + 2**32, frame=1).words(Stream.SHOT, shape),
        NoiseSource(seed=1, frame=2).words(Stream.SHOT, shape),
        NoiseSource(seed=1, frame=1).words(Stream.READ, shape),
    ]
    for other in others:
        # 6400 pairs of 32-bit words: one equal pair by chance has probability 1.5e-6.
        assert not (base == other).any()
        # The correlation of n independent pairs has standard error 1/sqrt(n).
        assert abs(np.corrcoef(base.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(base.size)


def test_fixed_words_do_not_depend_on_the_frame():
    first, second = (NoiseSource(seed=9, frame=f).words(Stream.PRNU, (4, 70), fixed=True) for f in (0, 5))
    np.testing.assert_array_equal(first, second)


def test_normal_numbers_are_the_quantiles_of_their_words():
    words = np.concatenate(
        [np.arange(2000), np.linspace(0, 2**32 - 1, 20001).astype(np.int64), 2**32 - 1 - np.arange(2000)]
    ).astype(np.uint32)
    exact = ndtri((words.astype(np.float64) + 0.5) / 2**32)
    np.testing.assert_allclose(standard_normal(words), exact, rtol=2e-7, atol=1e-9)


def test_normal_numbers_at_both_ends_of_the_words_mirror_each_other():
    low = np.array([0, 1, 123456789, 2**31 - 1], np.uint32)
    np.testing.assert_array_equal(standard_normal(low), -standard_normal(~low))
    # -6.338 is the normal quantile of 2**-33, the half of one word.
    np.testing.assert_allclose(standard_normal(low)[0], ndtri(2.0**-33), rtol=1e-7)


def test_normal_numbers_have_the_moments_of_a_normal():
    z = NoiseSource(seed=4).normals(Stream.READ, (1000, 1000)).astype(np.float64)
    n = z.size
    # Standard errors of mean, variance, skewness and kurtosis of n normal numbers.
    assert abs(z.mean()) < 5 / np.sqrt(n)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / n)
    for neighbour in (z[:, 1:] * z[:, :-1], z[1:] * z[:-1], z[:, 16:] * z[:, :-16], z[:, 64:] * z[:, :-64]):
        assert abs(neighbour.mean()) < 5 / np.sqrt(neighbour.size)


@pytest.mark.parametrize("bad", [-1, 2**64, 1.5, "7", None, True])
def test_a_seed_that_is_no_64_bit_number_is_refused(bad):
    with pytest.raises(CaptureError, match="seed"):
        NoiseSource(seed=bad)

"""Keyed numbers: exact where that can be said, else uniform at a significance of 1e-4 with fixed seeds."""

import pickle
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from scrambler import SecretPickleError
from scrambler.key import part_seed
from scrambler.keystream import Keystream
from scrambler.schemes.draws import Draws
from scrambler.schemes.signed_gather import SignedGather

DRAWS = Draws(bytes(range(32)))
ALPHA = 1e-4


@pytest.mark.parametrize("bound", [1, 2, 3, 6, 256, 1000, 3 << 30, 2**32 - 1])
def test_bounded_draws_are_lemires_by_a_plain_loop(bound):
    words = iter(Keystream(part_seed(bytes(range(32)), "x"), 0).words(5000).tolist())
    expected = []
    while len(expected) < 500:
        product = next(words) * bound
        if product % 2**32 >= 2**32 % bound:
            expected.append(product >> 32)
    assert DRAWS.below("x", bound, 500).tolist() == expected


def test_parts_and_seeds_are_independent_and_repeat():
    one = DRAWS.octets("a", 64)
    np.testing.assert_array_equal(one, Draws(bytes(range(32))).octets("a", 64))
    assert (one != DRAWS.octets("b", 64)).any()
    assert (one != Draws(bytes(32)).octets("a", 64)).any()
    np.testing.assert_array_equal(DRAWS.octets("a", 9), one[:9])
    assert repr(DRAWS) == "Draws()"


def test_what_gives_images_away_is_not_pickled():
    table = SignedGather(source=np.zeros(1, np.uint32), negative=np.zeros(1, np.uint8))
    for secret in (DRAWS, table):
        with pytest.raises(SecretPickleError, match=type(secret).__name__):
            pickle.dumps(secret)


@pytest.mark.parametrize("bound", [2, 3, 6, 8, 10])
def test_bounded_draws_are_uniform(bound):
    counts = np.bincount(DRAWS.below("uniform", bound, 60_000), minlength=bound)
    assert stats.chisquare(counts).pvalue > ALPHA


def test_all_24_orders_of_4_elements_are_equally_likely():
    orders = Counter(map(tuple, DRAWS.orders("orders", 24_000, 4).tolist()))
    assert len(orders) == 24
    assert stats.chisquare(list(orders.values())).pvalue > ALPHA
    single = Counter(tuple(DRAWS.permutation(f"order {i}", 4).tolist()) for i in range(4800))
    assert len(single) == 24
    assert stats.chisquare(list(single.values())).pvalue > ALPHA


def test_a_half_is_exact_and_every_position_is_in_it_as_often():
    halves = np.array([DRAWS.half(f"half {i}", 7) for i in range(4000)])
    assert (halves.sum(axis=1) == 3).all()
    # Sums of 4000 draws at 3/7 each, 31.3 standard deviation; 4.5 of them are 7e-6 likely.
    assert np.abs(halves.sum(axis=0) - 4000 * 3 / 7).max() < 4.5 * np.sqrt(4000 * 12 / 49)


def test_flags_are_fair_coins():
    assert stats.binomtest(int(DRAWS.flags("flags", 100_001).sum()), 100_001).pvalue > ALPHA


def test_uniform_and_normal_numbers_have_their_distributions():
    uniform = DRAWS.uniform("u", 100_000)
    assert uniform.min() > 0
    assert uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > ALPHA
    normal = DRAWS.normal("n", 99_999)
    assert normal.shape == (99_999,)
    assert stats.kstest(normal, "norm").pvalue > ALPHA
    # The two halves come from the same pairs, and must be independent all the same.
    assert abs(np.corrcoef(normal[:49_999], normal[50_000:])[0, 1]) < 4.5 / np.sqrt(49_999)

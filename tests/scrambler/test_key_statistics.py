"""Neighbouring keys, nonces and labels give masks and permutations that have nothing to do with each other."""

import numpy as np
import pytest
from scipy import stats

from scrambler import Key, keyed_permutation, mask_of
from scrambler.keystream import Keystream

SECRET, NONCE = bytes(range(100, 132)), bytes(range(16))
BITS = 10_000_000


def flipped(octets, bit):
    changed = bytearray(octets)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def changed_share(base, others):
    """Share of bits in which masks differ from the first one, over at least 10 million bits in all."""
    masks = list(others)
    assert len(masks) * base.size * 8 >= BITS
    return np.mean([np.bitwise_count(mask ^ base).sum() / (8 * base.size) for mask in masks])


@pytest.mark.parametrize("what", ["key", "nonce", "label"])
def test_one_bit_of_the_key_another_nonce_or_another_label_changes_half_of_the_mask(what):
    key = Key.from_bytes(SECRET)
    if what == "key":
        base = mask_of(key, NONCE, (5_000,), np.uint8)
        others = (mask_of(Key.from_bytes(flipped(SECRET, bit)), NONCE, (5_000,), np.uint8) for bit in range(256))
    elif what == "nonce":
        base = mask_of(key, NONCE, (10_000,), np.uint8)
        others = (mask_of(key, flipped(NONCE, bit), (10_000,), np.uint8) for bit in range(128))
    else:
        base = Keystream(key.derive("mask", NONCE), 0).octets(10_000)
        others = (Keystream(key.derive(f"layer/{n}", NONCE), 0).octets(10_000) for n in range(128))
    # The standard error over 10 million fair bits is 0.016 %.
    assert abs(changed_share(base, others) - 0.5) < 0.001


@pytest.mark.parametrize("vary", ["nonce", "key"])
def test_fixed_points_of_ten_thousand_permutations_are_poisson_of_mean_one(vary):
    places, seen = np.arange(97), np.zeros(7, np.int64)
    for number in range(10_000):
        secret = number.to_bytes(32, "big") if vary == "key" else SECRET
        nonce = number.to_bytes(16, "big") if vary == "nonce" else NONCE
        source = keyed_permutation(Key.from_bytes(secret), 97, nonce=nonce).source
        seen[min(6, np.count_nonzero(source == places))] += 1
    expected = 10_000 * np.append(stats.poisson.pmf(range(6), 1), stats.poisson.sf(5, 1))
    # Keys and nonces are fixed, so this passes or fails for good; 0.001 on both sides.
    assert 0.001 < stats.chisquare(seen, expected).pvalue < 0.999

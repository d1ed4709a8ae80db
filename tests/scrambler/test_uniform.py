import itertools
from collections import Counter
from hashlib import sha256

import numba
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import uniform
from scrambler.keystream import Keystream
from scrambler.route import Route
from scrambler.uniform import shuffle_segments, uniform_permutation

SEED = bytes(range(32))


def naive_chacha20(seed, stream, count):
    """RFC 8439 section 2.3 in plain integers."""

    def rotate(value, bits):
        return (value << bits | value >> (32 - bits)) & 0xFFFFFFFF

    def quarter(s, a, b, c, d):
        for first, second, third, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[first] = (s[first] + s[second]) & 0xFFFFFFFF
            s[third] = rotate(s[third] ^ s[first], bits)

    def words(octets):
        return [int.from_bytes(octets[i : i + 4], "little") for i in range(0, len(octets), 4)]

    out = b""
    for block in range(-(-count // 64)):
        start = words(b"expand 32-byte k") + words(seed) + [block] + words(stream.to_bytes(12, "little"))
        state = list(start)
        for _ in range(10):
            for i in range(4):
                quarter(state, i, 4 + i, 8 + i, 12 + i)
            for i in range(4):
                quarter(state, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
        out += b"".join(((x + y) & 0xFFFFFFFF).to_bytes(4, "little") for x, y in zip(state, start, strict=True))
    return out[:count]


def openssl_words(seed, stream):
    cipher = Cipher(algorithms.ChaCha20(seed, bytes(4) + stream.to_bytes(12, "little")), mode=None).encryptor()
    while True:
        yield from np.frombuffer(cipher.update(bytes(4096)), "<u4").tolist()


def naive_fisher_yates(items, words, spare=None):
    """The format's definition, one draw at a time; `words` is an iterator."""
    for last in range(len(items) - 1, 0, -1):
        bound = last + 1
        while True:
            word = next(words)
            if word * bound % 2**32 >= 2**32 % bound:
                break
        other = word * bound >> 32
        items[last], items[other] = items[other], items[last]
    return items


def test_the_keystream_is_rfc_8439():
    octets = Keystream(SEED, 2**40 + 3).octets(1000).tobytes()
    assert octets == naive_chacha20(SEED, 2**40 + 3, 1000)


def test_pieces_of_the_keystream_join_and_words_are_little_endian():
    whole = Keystream(SEED, 1).octets(200_000)
    stream = Keystream(SEED, 1)
    pieces = [stream.octets(count) for count in (1, 32_768, 0, 70_003)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole[: 1 + 32_768 + 70_003])
    np.testing.assert_array_equal(Keystream(SEED, 1).words(50_000), whole.view("<u4"))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 64, 1024, 5000])
def test_small_permutations_are_fisher_yates_over_the_keystream(size):
    expected = naive_fisher_yates(list(range(size)), openssl_words(SEED, 1))
    assert uniform_permutation(SEED, size).tolist() == expected


def test_large_permutations_are_buckets_of_fisher_yates():
    size = 2**18 + 17
    octets = np.frombuffer(
        Cipher(algorithms.ChaCha20(SEED, bytes(16)), mode=None).encryptor().update(bytes(size)), np.uint8
    )
    buckets = [[] for _ in range(256)]
    for item, octet in enumerate(octets.tolist()):
        buckets[octet].append(item)
    words, expected = openssl_words(SEED, 1), []
    for bucket in buckets:
        owned = [next(words) for _ in range(len(bucket) + 1 + len(bucket) // 1024 + (len(bucket) // 256) ** 2 // 65536)]
        expected += naive_fisher_yates(bucket, iter(owned))
    assert uniform_permutation(SEED, size).tolist() == expected


GOLDEN = {
    1: [0],
    2: [1, 0],
    3: [1, 2, 0],
    5: [2, 1, 3, 4, 0],
}
GOLDEN_SHA256 = {
    1024: "7118c66b024c4c66aa80ff7c863f67ef9e4c9763dd97fe17393caaf6ad04ce8f",
    2**18 + 17: "323a12c138785e44ec2f2752367261f13d43af2ff6d5ce6b9700d2f6e7c3914f",
    3_000_000: "165d6a1ddb66433c52d57f151d9371cb88eb601f22245ecec097236d70ebf8f4",
}


def test_format_v1_never_changes():
    for size, expected in GOLDEN.items():
        assert uniform_permutation(SEED, size).tolist() == expected
    for size, digest in GOLDEN_SHA256.items():
        assert sha256(uniform_permutation(SEED, size).astype("<u4").tobytes()).hexdigest() == digest


@given(st.integers(0, 3000), st.binary(min_size=32, max_size=32))
@settings(deadline=None, max_examples=30)
def test_every_result_is_a_permutation(size, seed):
    np.testing.assert_array_equal(np.sort(uniform_permutation(seed, size)), np.arange(size))


def test_the_same_bits_on_any_number_of_threads():
    most = numba.get_num_threads()
    results = []
    try:
        for threads in {1, most}:
            numba.set_num_threads(threads)
            results.append(uniform_permutation(SEED, 700_001))
    finally:
        numba.set_num_threads(most)
    for result in results:
        np.testing.assert_array_equal(result, results[0])


def test_all_orders_of_four_and_five_items_are_equally_likely():
    for size, orders in ((4, 24), (5, 120)):
        counts = Counter(uniform_permutation(number.to_bytes(32, "little"), size).tobytes() for number in range(12_000))
        assert len(counts) == orders
        # Seeds are fixed, so this passes or fails for good; 0.001 on both sides.
        assert 0.001 < stats.chisquare(list(counts.values())).pvalue < 0.999


def test_fixed_points_are_poisson_of_mean_one():
    drawn = np.array(
        [
            np.count_nonzero(uniform_permutation(number.to_bytes(32, "big"), 200) == np.arange(200))
            for number in range(4000)
        ]
    )
    seen = np.bincount(np.minimum(drawn, 5), minlength=6)
    expected = 4000 * np.append(stats.poisson.pmf(range(5), 1), stats.poisson.sf(4, 1))
    assert 0.001 < stats.chisquare(seen, expected).pvalue < 0.999


def test_in_a_large_permutation_each_place_is_uniform():
    # Which 64th of the frame the items of each 64th come from: 4096 cells with mean 64 each.
    source = uniform_permutation(SEED, 2**18)
    cells = np.bincount((source >> 12) * 64 + (np.arange(2**18) >> 12), minlength=4096)
    # Margins are fixed, hence 63 * 63 degrees of freedom.
    statistic = float(((cells - 64.0) ** 2 / 64).sum())
    assert 0.001 < stats.chi2.sf(statistic, 63 * 63) < 0.999


def test_biased_words_are_rejected_by_hand():
    # bound 3: 2**32 mod 3 = 1, so only word 0 (low 0) is rejected; bound 2 rejects nothing.
    order, done = np.arange(3, dtype=np.uint32), np.zeros(1, np.bool_)
    words = np.array([0, 0, 2**31, 2**31], np.uint32)
    uniform._shuffle_some(order, np.array([0, 3]), words, np.array([0, 4]), False, done)
    # 0, 0 rejected; 2**31 * 3 >> 32 = 1: swap items 2 and 1 -> 0 2 1; 2**31 * 2 >> 32 = 1: item 1 stays.
    assert order.tolist() == [0, 2, 1]
    assert done.tolist() == [True]


def test_a_segment_that_runs_out_of_words_says_so():
    order, done = np.arange(3, dtype=np.uint32), np.ones(1, np.bool_)
    uniform._shuffle_some(order, np.array([0, 3]), np.zeros(4, np.uint32), np.array([0, 4]), False, done)
    assert done.tolist() == [False]


@pytest.mark.parametrize("size", [50, 2**18 + 5])
def test_segments_without_enough_words_are_drawn_again_from_their_own_stream(monkeypatch, size):
    # No spare words and one too few: every segment longer than one item fails at first.
    monkeypatch.setattr(uniform, "_spare_words", lambda lengths: -np.maximum(lengths - 1, 0))
    again = uniform_permutation(SEED, size)
    np.testing.assert_array_equal(np.sort(again), np.arange(size))
    if size == 50:
        # The single word moved the last item once before the segment failed.
        partly = list(range(50))
        other = next(openssl_words(SEED, 1)) * 50 >> 32
        partly[49], partly[other] = partly[other], partly[49]
        assert again.tolist() == naive_fisher_yates(partly, openssl_words(SEED, 2**32))


def test_words_drawn_in_turns_give_what_words_drawn_at_once_give(monkeypatch):
    lengths = np.array([7, 0, 1, 300, 2, 64, 64, 1000])
    once = np.arange(lengths.sum(), dtype=np.uint32)
    shuffle_segments(once, lengths, SEED)
    monkeypatch.setattr(uniform, "_WORDS_AT_A_TIME", 1)
    turns = np.arange(lengths.sum(), dtype=np.uint32)
    shuffle_segments(turns, lengths, SEED)
    np.testing.assert_array_equal(once, turns)
    assert (np.split(once, np.cumsum(lengths)[:-1])[3] >= 8).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_a_route_is_its_table_both_ways(dtype):
    rng = np.random.default_rng(3)
    octets = rng.integers(0, 256, 5000).astype(np.uint8)
    octets[octets == 7] = 8  # an empty bucket
    chunks = [octets[5000 * c // 64 : 5000 * (c + 1) // 64] for c in range(64)]
    counts = np.array([np.bincount(chunk, minlength=256) for chunk in chunks])
    local = np.concatenate([rng.permutation(length) for length in counts.sum(axis=0)]).astype(np.uint16)
    route = Route(octets, counts, local)
    order = np.argsort(octets, kind="stable")
    bounds = np.append(0, np.cumsum(counts.sum(axis=0)))
    expected = np.concatenate([order[a:b][local[a:b]] for a, b in itertools.pairwise(bounds)])
    np.testing.assert_array_equal(route.slot(), np.argsort(expected))
    plain = rng.integers(0, 200, 5000).astype(dtype)
    shuffled, back = np.empty_like(plain), np.empty_like(plain)
    route.gather(plain, shuffled)
    route.scatter(shuffled, back)
    np.testing.assert_array_equal(shuffled, plain[expected])
    np.testing.assert_array_equal(back, plain)

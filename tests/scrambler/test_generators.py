"""Address generators: bijections by hand and by law, the same order in every use, and the table's statistics."""

from dataclasses import asdict
from itertools import permutations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import GENERATORS, Key, Multiplexer, list_generators, list_patterns
from scrambler.errors import PatternError
from scrambler.feistel import ROUNDS, Bijection, Domain, biject_segments, domain_of, round_keys

KEY = Key.from_bytes(bytes(range(32)))
KEYED = ("feistel", "light")
BELOW_CHANCE = 0.001


def seed_of(number):
    return number.to_bytes(32, "big")


def naive_address(generator, n, domain, words):
    """One address, in plain integers, straight from the text of the format."""
    a, b, rest = domain.high, domain.low, domain.rest
    for i, (k0, k1, high, low) in enumerate(words.tolist()):
        if i == 0 or rest:
            n = (n + (high * a >> 32) * b + (low * b >> 32)) % (a * b + rest)
        if n >= a * b:
            continue
        left, right = divmod(n, b)
        x, modulus = (right, a) if i % 2 == 0 else (left, b)
        width = 32 if generator == "feistel" else 16
        t = (x + k0) % 2**width
        if generator == "feistel":
            t = (2**32 - 1 - t + (t << 15)) % 2**32
            t ^= t >> 12
            t = (t + k1) * 5 % 2**32
            t ^= t >> 4
            t = t * 2057 % 2**32
            t ^= t >> 16
        else:
            t = t * 33025 % 2**16
            t ^= t >> 7
            t = (t + k1) * 33 % 2**16
            t ^= t >> 9
        half = 2 ** (width // 2)
        step = (t % half * half + t // half) * modulus >> width
        left, right = ((left + step) % a, right) if i % 2 == 0 else (left, (right + step) % b)
        n = left * b + right
    return n


@pytest.mark.parametrize("generator", KEYED)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 2**64))
@settings(max_examples=60, deadline=None)
def test_a_bijection_is_the_formula_address_by_address(generator, high, low, rest, number):
    domain = Domain(high, low, min(rest, low) if low > 1 or high > 1 else 0)
    source = Bijection(generator, domain, seed_of(number)).source()
    words = round_keys(generator, seed_of(number))[0]
    assert len(words) == ROUNDS[generator]
    if domain.size > 1:
        assert source.tolist() == [naive_address(generator, n, domain, words) for n in range(domain.size)]
    assert sorted(source.tolist()) == list(range(domain.size))


@given(st.integers(0, 70), st.integers(0, 70))
def test_every_grid_has_a_domain_of_its_size(rows, columns):
    domain = domain_of(rows, columns)
    assert domain.size == rows * columns
    assert domain.rest <= max(domain.low, 1)


def test_a_domain_too_large_is_refused():
    with pytest.raises(PatternError, match="use the table"):
        domain_of(65536, 65536)
    assert domain_of(65535, 65535) == Domain(65535, 65535)


@pytest.mark.parametrize("generator", KEYED)
@pytest.mark.parametrize("shape", [(3, 5), (64, 100), (401, 603)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32, np.complex128])
def test_frames_move_the_same_way_with_and_without_the_table(generator, shape, kind):
    frame = np.arange(shape[0] * shape[1]).reshape(shape).astype(kind)
    mux = Multiplexer(KEY, unit="pixel", generator=generator)
    free, tabled = (mux.permutation(shape, bytes(16)) for _ in range(2))
    source = tabled.source
    np.testing.assert_array_equal(free.shuffle(frame), frame.ravel()[source].reshape(shape))
    np.testing.assert_array_equal(free.unshuffle(free.shuffle(frame)), frame)
    np.testing.assert_array_equal(source[tabled.slot], np.arange(source.size))


@pytest.mark.parametrize("generator", KEYED)
def test_a_large_frame_is_shuffled_without_ever_making_a_table(generator, monkeypatch):
    def no_table(self):
        raise AssertionError("a table was made")

    monkeypatch.setattr(Bijection, "source", no_table)
    monkeypatch.setattr(Bijection, "slot", no_table)
    frame = np.random.default_rng(0).integers(0, 4096, (600, 802)).astype(np.uint16)
    for unit in ("pixel", "quad"):
        order = Multiplexer(KEY, unit=unit, generator=generator).permutation(frame.shape, bytes(16))
        shuffled = order.shuffle(frame)
        assert not np.array_equal(shuffled, frame)
        np.testing.assert_array_equal(order.unshuffle(shuffled), frame)


def test_the_order_is_the_same_on_any_number_of_threads():
    before, orders = numba.get_num_threads(), []
    for threads in (1, before):
        numba.set_num_threads(threads)
        orders.append(Bijection("feistel", Domain(401, 603), bytes(32)).source())
    np.testing.assert_array_equal(*orders)


@pytest.mark.parametrize("generator", KEYED)
def test_parts_of_an_order_can_be_asked_for(generator):
    bijection = Bijection(generator, Domain(37, 41, 5), bytes(32))
    np.testing.assert_array_equal(bijection.addresses(1000, 77), bijection.source()[1000:1077])


@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("pattern", ["frame", "rows", "columns", "rows+columns", "lines:3", "tiles:3", "blocks:3"])
@pytest.mark.parametrize("unit", ["pixel", "quad", "plane"])
def test_every_pattern_and_unit_takes_every_generator(generator, pattern, unit):
    shape = (23, 34)
    order = Multiplexer(KEY, pattern=pattern, generator=generator).permutation(shape, bytes(16), unit)
    assert sorted(order.source.tolist()) == list(range(order.size))
    table = Multiplexer(KEY, pattern=pattern).permutation(shape, bytes(16), unit)
    assert (order == table) == (generator == "table")
    rows = order.source.reshape(shape) // shape[1]
    if pattern in ("rows", "columns", "rows+columns") and unit == "pixel":
        assert (rows == rows[:, :1]).all()
    if pattern == "lines:3" and unit == "pixel":
        np.testing.assert_array_equal(rows // 3, np.repeat(np.arange(23) // 3, 34).reshape(shape))
    if unit != "pixel":
        colour = (np.arange(23)[:, None] % 2 * 2 + np.arange(34) % 2).ravel()
        np.testing.assert_array_equal(colour[order.source], colour)


def test_each_segment_has_keys_of_its_own():
    order = np.arange(24, dtype=np.uint32)
    biject_segments("feistel", order, np.array([7, 10, 7]), bytes(32))
    for number, (first, size) in enumerate(((0, 7), (7, 10), (17, 7))):
        words = round_keys("feistel", bytes(32), first=number)[0]
        want = [first + naive_address("feistel", n, domain_of(1, size), words) for n in range(size)]
        assert order[first : first + size].tolist() == want


def test_every_generator_is_described_and_the_light_one_claims_nothing():
    assert list_generators() == list(GENERATORS)
    assert GENERATORS["light"].strength == "no security claim"
    assert "frame" in list_patterns()
    with pytest.raises(PatternError, match="no generator 'aes': choose one of table, feistel, light"):
        Multiplexer(KEY, generator="aes")


@pytest.mark.parametrize("size", [4, 5])
def test_all_orders_of_a_small_domain_are_equally_likely(size):
    seen = dict.fromkeys(permutations(range(size)), 0)
    for number in range(40 * len(seen)):
        seen[tuple(Bijection("feistel", domain_of(1, size), seed_of(number)).source().tolist())] += 1
    assert stats.chisquare(list(seen.values())).pvalue > BELOW_CHANCE


def orders(generator, shape, count):
    mux = Multiplexer(KEY, unit="pixel", generator=generator)
    return np.array([mux.permutation(shape, number.to_bytes(16, "big")).source for number in range(count)]).astype(
        np.int64
    )


@pytest.mark.parametrize("generator", ["table", "feistel"])
@pytest.mark.parametrize("shape", [(8, 12), (7, 13), (1, 97)])
def test_orders_pass_the_same_statistics_as_the_tables(generator, shape):
    drawn = orders(generator, shape, 4000)
    count, size = drawn.shape
    places = np.arange(size)

    def poisson(hits, mean):
        seen = np.bincount(np.minimum(hits, 6), minlength=7)
        expected = len(hits) * np.append(stats.poisson.pmf(range(6), mean), stats.poisson.sf(5, mean))
        return stats.chisquare(seen, expected).pvalue

    # Fixed points, and places where neighbouring nonces agree: nearly Poisson of mean 1.
    assert poisson((drawn == places).sum(1), 1) > BELOW_CHANCE
    assert poisson((drawn[1::2] == drawn[::2]).sum(1), 1) > BELOW_CHANCE
    # Differences between neighbouring nonces: of two independent photosites, uniform over 1 .. n-1 where they differ.
    for slot in (0, size // 2):
        difference = (drawn[1::2, slot] - drawn[::2, slot]) % size
        assert stats.chisquare(np.bincount(difference, minlength=size)).pvalue > BELOW_CHANCE
    # Photosite against slot: a table of n x n whose sums are fixed, so (n - 1)^2 degrees of freedom.
    table = np.zeros((size, size))
    for slot in range(size):
        table[slot] = np.bincount(drawn[:, slot], minlength=size)
    spread = ((table - count / size) ** 2 / (count / size)).sum() * (size - 1) / size
    assert BELOW_CHANCE < stats.chi2.sf(spread, (size - 1) ** 2) < 1 - BELOW_CHANCE
    # Neighbouring slots: their photosites follow one another, from row to row too, no more often than chance has it.
    for apart in {1, shape[1] % size or 2, size - 1}:
        step = (drawn[:, 1:] - drawn[:, :-1]) % size
        hits = np.count_nonzero(step == apart % size)
        assert abs(hits - count) < 4 * np.sqrt(count), apart
    # Correlation of the photosites of neighbouring slots: -1/(n-1) with a standard error of 1/sqrt(n) an order.
    centred = drawn - (size - 1) / 2
    mean = (centred[:, 1:] * centred[:, :-1]).mean() / centred[0].var()
    assert abs(mean + 1 / (size - 1)) < 4 / np.sqrt(drawn.size)


@pytest.mark.slow
@pytest.mark.parametrize("generator", list_generators())
def test_the_figures_on_the_cards_are_measured(generator):
    drawn = orders(generator, (8, 12), 20_000)
    count, size = drawn.shape
    table = np.array([np.bincount(column, minlength=size) for column in drawn.T])
    spread = ((table - count / size) ** 2).sum() * (size - 1) / count
    centred = drawn - (size - 1) / 2
    together = (drawn[:, 1:] - drawn[:, :-1]) % size == 1
    found = {
        "fixed_points": (drawn == np.arange(size)).sum(1).mean(),
        "agreements": (drawn[1::2] == drawn[::2]).sum(1).mean(),
        "chi_squared_p": stats.chi2.sf(spread, (size - 1) ** 2),
        "neighbours": together.sum(1).mean(),
        "correlation": (centred[:, 1:] * centred[:, :-1]).mean() / centred[0].var(),
    }
    for name, digits in (("chi_squared_p", 2), ("correlation", 4)):
        assert asdict(GENERATORS[generator].measured)[name] == pytest.approx(found.pop(name), abs=0.51 * 10**-digits)
    for name, value in found.items():
        assert asdict(GENERATORS[generator].measured)[name] == pytest.approx(value, abs=0.51e-3)


def test_the_light_generator_keeps_neighbours_together_too_often_on_a_small_grid():
    drawn = orders("light", (8, 12), 4000)
    together = np.count_nonzero((drawn[:, 1:] - drawn[:, :-1]) % 96 == 1)
    assert 1.05 < together / 4000 < 1.5


@pytest.mark.parametrize("generator", ["table", "feistel"])
def test_a_large_order_has_the_statistics_of_a_random_one(generator):
    shape = (270, 480)
    source = orders(generator, shape, 3).astype(np.int64)
    size = source.shape[1]
    for one in source:
        counts, _, _ = np.histogram2d(np.arange(size), one, bins=(30, 30))
        spread = ((counts - size / 900) ** 2 / (size / 900)).sum()
        assert BELOW_CHANCE < stats.chi2.sf(spread, 29**2) < 1 - BELOW_CHANCE
        rows, columns = divmod(one.reshape(shape), shape[1])
        for axis in (0, 1):
            for coordinate in (rows, columns):
                step = np.diff(coordinate, axis=axis).astype(float)
                # Neighbours differ as independent numbers do: twice the variance.
                assert abs(step.var() / (2 * coordinate.var()) - 1) < 4 * np.sqrt(3 / size)
    assert abs(np.count_nonzero(source[0] == source[1]) - 1) < 6

r"""Bijections without a table: a Feistel network on two digits of different radix, one pass for each address.

An address :math:`n = L\,b + R` of a domain of :math:`a b + r` addresses has a high digit L below a and a low digit R
below b; the last r addresses are left over (L = a). Before a round, n moves on by the round's offset, modulo the size
of the domain, so that other addresses are left over each time; where nothing is left over, before the first round
only. Then those below a b take one step, even rounds on the high digit and odd ones on the low one:

.. math:: L \leftarrow (L + F_i(R)) \bmod a, \qquad R \leftarrow (R + F_i(L)) \bmod b

Every step can be undone, so the whole is a bijection of exactly the domain: no address is ever tried twice (no cycle
walking), and each takes the same time. Format v1 of the two round functions, on words of 32 and of 16 bits:

* feistel, 12 rounds on 32 bits: t = x + k0; t = ~t + (t << 15); t ^= t >> 12; t += k1; t *= 5; t ^= t >> 4;
  t *= 2057; t ^= t >> 16, which is T. Wang's integer hash (1997) with two keys: six adders.
* light, 6 rounds on 16 bits: t = (x + k0) 33025; t ^= t >> 7; t = (t + k1) 33; t ^= t >> 9: five adders of half the
  width.

Either is turned by half its width, because the low half is mixed best, and F = t m >> width for the modulus m.
Each round has four words of the ChaCha20 stream of key and nonce: k0, k1 and the two digits of the offset, scaled to
their radix in the same way. Sources: J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002
(generalised Feistel on a x b). With ten rounds, as NIST SP 800-38G has, neighbours on grids of 12
addresses still met too often (4 standard errors over 20,000 orders); with twelve they do not. Round function and
number of rounds were chosen with the statistics that the tests use: passing them is necessary, not a proof of strength.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.errors import PatternError
from scrambler.keystream import Keystream
from scrambler.threads import share

ROUNDS = {"feistel": 12, "light": 6}
WORDS_A_ROUND = 4
_MOST_LOPSIDED = 16
_LARGEST_DIGIT = 65535
_PIECE = 1 << 10
_PARALLEL_FROM = 100_000
_TASKS = 16


@dataclass(frozen=True)
class Domain:
    """Addresses 0 to a b + r - 1 as pairs of digits, n = L b + R.

    Attributes
    ----------
    high, low : int
        Radix a of the high digit and b of the low one, at most 65535 each.
    rest : int
        Number r of addresses left over, at most b.
    """

    high: int
    low: int
    rest: int = 0

    @property
    def size(self) -> int:
        """Number of addresses."""
        return self.high * self.low + self.rest


def domain_of(rows: int, columns: int) -> Domain:
    """Return the domain of a grid: its rows and columns, or the squarest one where a side is over 16 times the other.

    Raises
    ------
    PatternError
        For more than 65535 x 65535 addresses.

    Examples
    --------
    >>> domain_of(1080, 1920), domain_of(1, 1080), domain_of(1, 7)
    (Domain(high=1080, low=1920, rest=0), Domain(high=32, low=33, rest=24), Domain(high=2, low=3, rest=1))
    """
    size = rows * columns
    if size > _LARGEST_DIGIT**2:
        raise PatternError(f"a bijection has at most {_LARGEST_DIGIT**2} addresses, not {size}: use the table.")
    sides = sorted((rows, columns))
    if sides[0] >= 2 and sides[1] <= min(_MOST_LOPSIDED * sides[0], _LARGEST_DIGIT):
        return Domain(rows, columns)
    high = max(isqrt(size), min(2, size), 1)
    return Domain(high, size // high, size % high)


@njit(cache=True, nogil=True, inline="always")
def _scaled(word: np.uint32, modulus: np.uint32) -> np.uint32:
    """Return word * modulus >> 32 for a modulus below 2**16; in two halves, which keeps to 32 bits and vectorises."""
    low = np.uint32(np.uint32(word & np.uint32(0xFFFF)) * modulus) >> np.uint32(16)
    high = np.uint32((word >> np.uint32(16)) * modulus)
    return np.uint32(np.uint32(high + low) >> np.uint32(16))


@njit(cache=True, nogil=True)
def _step(digits: NDArray[Any], by: NDArray[Any], modulus: np.uint32, other: np.uint32, keys: NDArray[Any]) -> None:
    """Add the strong round function of one digit to the other; where one is not below its radix, leave it."""
    k0, k1 = np.uint32(keys[0]), np.uint32(keys[1])
    for i in range(digits.size):
        digit = digits[i]
        t = np.uint32(by[i] + k0)
        t = np.uint32(~t + np.uint32(t << np.uint32(15)))
        t = np.uint32(t ^ (t >> np.uint32(12)))
        t = np.uint32(np.uint32(t + k1) * np.uint32(5))
        t = np.uint32(t ^ (t >> np.uint32(4)))
        t = np.uint32(t * np.uint32(2057))
        t = np.uint32(t ^ (t >> np.uint32(16)))
        moved = np.uint32(digit + _scaled(np.uint32(np.uint32(t << np.uint32(16)) | (t >> np.uint32(16))), modulus))
        moved = min(moved, np.uint32(moved - modulus))  # the difference wraps around to a large number if negative
        digits[i] = moved if digit < modulus and by[i] < other else digit


@njit(cache=True, nogil=True)
def _step_light(
    digits: NDArray[Any], by: NDArray[Any], modulus: np.uint32, other: np.uint32, keys: NDArray[Any]
) -> None:
    """Do the same with the light round function."""
    k0, k1 = np.uint32(keys[0]), np.uint32(keys[1])
    mask = np.uint32(0xFFFF)
    for i in range(digits.size):
        digit = digits[i]
        t = np.uint32(np.uint32(by[i] + k0) * np.uint32(33025)) & mask
        t = np.uint32(t ^ (t >> np.uint32(7)))
        t = np.uint32(np.uint32(t + k1) * np.uint32(33)) & mask
        t = np.uint32(t ^ (t >> np.uint32(9)))
        t = np.uint32(np.uint32(t << np.uint32(8)) & mask) | (t >> np.uint32(8))
        moved = np.uint32(digit + (np.uint32(t * modulus) >> np.uint32(16)))
        moved = min(moved, np.uint32(moved - modulus))
        digits[i] = moved if digit < modulus and by[i] < other else digit


@njit(cache=True, nogil=True)
def _move_on(left: NDArray[Any], right: NDArray[Any], a: int, b: int, rest: int, keys: NDArray[Any]) -> None:
    """Add a round's offset to every address, modulo the size of the domain."""
    high, low = _scaled(np.uint32(keys[2]), np.uint32(a)), _scaled(np.uint32(keys[3]), np.uint32(b))
    for i in range(left.size):
        r, q = np.int64(right[i]) + low, np.int64(left[i]) + high
        if r >= b:
            r, q = r - b, q + 1
        if q > a or (q == a and r >= rest):
            r, q = r - rest, q - a
            if r < 0:
                r, q = r + b, q - 1
        left[i], right[i] = q, r


@njit(cache=True, nogil=True)
def _permute(
    first: int, domain: NDArray[Any], keys: NDArray[Any], light: bool, left: NDArray[Any], right: NDArray[Any]
) -> None:
    """Set left and right to the digits that the addresses from `first` on go to; ``domain`` is a, b, r."""
    a, b, rest = domain[0], domain[1], domain[2]
    q, r = first // b, first % b
    for i in range(left.size):
        left[i], right[i] = q, r
        r += 1
        if r == b:
            q, r = q + 1, 0
    for number in range(keys.shape[0]):
        if number == 0 or rest > 0:
            _move_on(left, right, a, b, rest, keys[number])
        odd = number % 2 == 1
        digits, by = (right, left) if odd else (left, right)
        modulus, other = np.uint32(b if odd else a), np.uint32(a if odd else b)
        if light:
            _step_light(digits, by, modulus, other, keys[number])
        else:
            _step(digits, by, modulus, other, keys[number])


@njit(cache=True, nogil=True)
def _addresses(first: int, domain: NDArray[Any], keys: NDArray[Any], light: bool, out: NDArray[Any]) -> None:
    """Set ``out`` to the addresses that those from `first` on go to."""
    left, right = np.empty(_PIECE, np.uint32), np.empty(_PIECE, np.uint32)
    b = np.uint32(domain[1])
    for begin in range(0, out.size, _PIECE):
        count = min(_PIECE, out.size - begin)
        _permute(first + begin, domain, keys, light, left[:count], right[:count])
        for i in range(count):
            out[begin + i] = left[i] * b + right[i]


@njit(cache=True, nogil=True)
def _gather(
    first: int, domain: NDArray[Any], keys: NDArray[Any], light: bool, row: NDArray[Any], out: NDArray[Any]
) -> None:
    """Set ``out[i] = row[E(first + i)]`` for 1-D arrays."""
    address = np.empty(_PIECE, np.uint32)
    for begin in range(0, out.size, _PIECE):
        count = min(_PIECE, out.size - begin)
        _addresses(first + begin, domain, keys, light, address[:count])
        piece = out[begin : begin + count]
        for i in range(count):
            piece[i] = row[address[i]]


@njit(cache=True, nogil=True)
def _scatter(
    first: int, domain: NDArray[Any], keys: NDArray[Any], light: bool, row: NDArray[Any], out: NDArray[Any]
) -> None:
    """Set ``out[E(first + i)] = row[i]`` for 1-D arrays."""
    address = np.empty(_PIECE, np.uint32)
    for begin in range(0, row.size, _PIECE):
        count = min(_PIECE, row.size - begin)
        _addresses(first + begin, domain, keys, light, address[:count])
        piece = row[begin : begin + count]
        for i in range(count):
            out[address[i]] = piece[i]


@njit(cache=True, nogil=True)
def _shuffle_segments(
    order: NDArray[Any], bounds: NDArray[Any], domains: NDArray[Any], keys: NDArray[Any], light: bool, longest: int
) -> None:
    """Rearrange each segment of ``order`` by the bijection of its domain and its keys, in place."""
    address = np.empty(longest, np.uint32)
    for s in range(bounds.size - 1):
        segment = order[bounds[s] : bounds[s + 1]]
        plain = segment.copy()
        _addresses(0, domains[s], keys[s], light, address[: segment.size])
        for i in range(segment.size):
            segment[i] = plain[address[i]]


def round_keys(generator: str, seed: bytes, first: int = 0, segments: int = 1) -> NDArray[Any]:
    """Return the secret words of segments `first` and after, uint32, shape (segments, rounds, 4).

    Parameters
    ----------
    generator : {"feistel", "light"}
        Which bijection.
    seed : bytes, 32 long
        Of key, nonce and geometry.
    first, segments : int
        Segment s has words ``[4 rounds s, 4 rounds (s + 1))`` of stream 0.
    """
    words = ROUNDS[generator] * WORDS_A_ROUND
    stream = Keystream(seed, 0, start=4 * words * first)
    return stream.words(segments * words).reshape(segments, ROUNDS[generator], WORDS_A_ROUND)


class Bijection:
    """One keyed bijection of a domain; it moves frames without any table, as a `scrambler.routed.Mover`.

    Parameters
    ----------
    generator : {"feistel", "light"}
        Which round function.
    domain : Domain
        What it permutes.
    seed : bytes, 32 long
        Secret.

    Examples
    --------
    >>> sorted(Bijection("feistel", Domain(2, 3, 1), bytes(32)).source().tolist())
    [0, 1, 2, 3, 4, 5, 6]
    """

    __slots__ = ("_domain", "_keys", "_light", "size")

    def __init__(self, generator: str, domain: Domain, seed: bytes) -> None:
        self.size = domain.size
        self._light = generator == "light"
        self._domain = np.array([domain.high, domain.low, domain.rest])
        self._keys = round_keys(generator, seed)[0]

    def addresses(self, first: int, count: int) -> NDArray[Any]:
        """Return the photosites read into slots `first` and after, uint32, shape (count,)."""
        out = np.empty(count, np.uint32)
        if self.size > 1:
            self._in_pieces(count, lambda begin, end: self._fill(first + begin, out[begin:end]))
        else:
            out[:] = 0
        return out

    def _fill(self, first: int, out: NDArray[Any]) -> None:
        _addresses(first, self._domain, self._keys, self._light, out)

    def _in_pieces(self, count: int, work: Any) -> None:
        tasks = _TASKS if count >= _PARALLEL_FROM else 1
        share(tasks, lambda t: work(count * t // tasks, count * (t + 1) // tasks))

    def source(self) -> NDArray[Any]:
        """Return the gather table, uint32, shape (N,)."""
        return self.addresses(0, self.size)

    def slot(self) -> NDArray[Any]:
        """Return its inverse."""
        table = np.empty(self.size, np.uint32)
        self._apply(np.arange(self.size, dtype=np.uint32), table, inverse=True)
        return table

    def move(self, rows: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> bool:
        """Move rows of items that fit a machine word; other items need the table."""
        octets = rows.shape[2] * rows.itemsize
        if octets not in (1, 2, 4, 8) or self.size < 2:
            return False
        word = np.dtype(f"u{octets}")
        for row, target in zip(rows, out, strict=True):
            self._apply(row.reshape(-1).view(word), target.reshape(-1).view(word), inverse=inverse)
        return True

    def _apply(self, row: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> None:
        domain, keys, light = self._domain, self._keys, self._light
        if self.size < 2:
            out[:] = row
        elif inverse:
            self._in_pieces(self.size, lambda b, e: _scatter(b, domain, keys, light, row[b:e], out))
        else:
            self._in_pieces(self.size, lambda b, e: _gather(b, domain, keys, light, row, out[b:e]))


def biject_segments(generator: str, order: NDArray[Any], lengths: NDArray[Any], seed: bytes) -> None:
    """Rearrange consecutive segments of an array in place, each by a bijection with round keys of its own.

    Parameters
    ----------
    generator : {"feistel", "light"}
        Which round function.
    order : array of uint32, shape (n,)
        Changed in place.
    lengths : array of int64, shape (segments,)
        They add up to n.
    seed : bytes, 32 long
        Secret.
    """
    sizes, kind = np.unique(lengths, return_inverse=True)
    shapes = [domain_of(1, int(size)) for size in sizes]
    domains = np.array([(shape.high, max(shape.low, 1), shape.rest) for shape in shapes], np.int64).reshape(-1, 3)
    bounds = np.append(0, np.cumsum(lengths))
    keys = round_keys(generator, seed, segments=len(lengths))
    _shuffle_segments(order, bounds, domains[kind], keys, generator == "light", int(lengths.max(initial=0)))

"""Address generators: circuits that turn a slot's number into the photosite to be read, and what is known of each.

* "table": the exactly uniform permutation of `scrambler.uniform`, loaded from the key stream into a memory. The only
  one with a proof: every order is equally likely. The memory is what it costs, so it suits rows, lines and small
  arrays in silicon, and any size in software.
* "feistel": a keyed bijection without a table, `scrambler.feistel`, over any H x W in a constant time; 16 octets for
  each of twelve rounds are all it keeps. Its round keys are cryptographic (HKDF-SHA256 and ChaCha20 of key and
  nonce), its round function is a fast mixing function and not a cryptographic one, so nothing is proven. What speaks
  for it: each nonce
  has unrelated round keys, so that nobody ever sees two frames of one order, and its orders cannot be told from the
  table's in the tests named below. What is known against it: orders of n addresses number at most 2**256, far fewer
  than n! already at n = 58; on a grid with two odd sides all of them are even permutations, which only somebody who
  has all but one of the frame's addresses can see; and on small domains Feistel networks of few rounds are attacked
  with many chosen frames under one round key (M. Bellare, V. T. Hoang, S. Tessaro, CCS 2016), which fixed-nonce mode
  alone would give.
* "light": the same network with six rounds of 16-bit shifts and adds, for studies of what little hardware can do. **No
  security claim.**

Measured for feistel beside the table (tests/scrambler/test_generators.py; significance 0.001): fixed points are Poisson
of mean 1, photosites against slots are uniform (chi-squared), the correlation between the addresses of neighbouring
slots is 0 within its error, neighbouring slots get neighbouring photosites no more often than chance has it, and the
orders of neighbouring nonces agree no more often than unrelated ones. The light one fails: on a grid of 8 x 12,
neighbours stay neighbours 7 % more often than by chance, ten standard errors. The cards hold the figures of 20,000
orders each.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from scrambler.errors import PatternError
from scrambler.feistel import Bijection, biject_segments, domain_of
from scrambler.keyed import uniform
from scrambler.permutation import Permutation
from scrambler.uniform import shuffle_segments

TABLE = "table"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Statistics of 20,000 orders of a grid of 8 x 12 cells under one key, of nonces that count up.

    Attributes
    ----------
    fixed_points : float
        Cells of an order that stay; 1 expected, with a standard error of 0.007.
    agreements : float
        Slots that read the same cell in the orders of neighbouring nonces; 1 expected, 0.010.
    chi_squared_p : float
        Probability of a table of photosites against slots at least as uneven; below 0.001 would be a failure.
    neighbours : float
        Slots whose cell follows that of the slot before; 1 expected, 0.007.
    correlation : float
        Between the cells of neighbouring slots; -0.0105 expected, 0.0007.
    """

    fixed_points: float
    agreements: float
    chi_squared_p: float
    neighbours: float
    correlation: float


@dataclass(frozen=True)
class GeneratorCard:
    """What there is to know about an address generator before using it.

    Attributes
    ----------
    name : str
        As users write it.
    memory : str
        What it keeps.
    strength : str
        What is known about its orders, in one line; the module's text has the rest.
    measured : Measured
        What its orders look like.
    """

    name: str
    memory: str
    strength: str
    measured: Measured


GENERATORS = {
    card.name: card
    for card in (
        GeneratorCard(
            TABLE,
            "one entry an address",
            "every order equally likely",
            Measured(fixed_points=1.005, agreements=1.0, chi_squared_p=0.18, neighbours=1.004, correlation=-0.0112),
        ),
        GeneratorCard(
            "feistel",
            "12 round keys",
            "cryptographic round keys, no proof; passes the table's tests",
            Measured(fixed_points=1.001, agreements=0.989, chi_squared_p=0.75, neighbours=1.003, correlation=-0.011),
        ),
        GeneratorCard(
            "light",
            "6 round keys",
            "no security claim",
            Measured(fixed_points=0.993, agreements=1.004, chi_squared_p=0.78, neighbours=1.075, correlation=-0.0092),
        ),
    )
}


def list_generators() -> list[str]:
    """Return the names of all address generators.

    >>> list_generators()
    ['table', 'feistel', 'light']
    """
    return list(GENERATORS)


def check_generator(generator: object) -> str:
    """Return the name of an address generator.

    Raises
    ------
    PatternError
        If there is none of this name.
    """
    if not isinstance(generator, str) or generator not in GENERATORS:
        raise PatternError(f"there is no generator {generator!r}: choose one of {', '.join(GENERATORS)}.")
    return generator


def grid_order(generator: str, seed: bytes, rows: int, columns: int) -> Permutation:
    """Return the order of all cells of a grid, numbered row by row.

    Parameters
    ----------
    generator : str
        One of :func:`list_generators`, checked by the caller.
    seed : bytes, 32 long
        Secret.
    rows, columns : int
        Size of the grid.
    """
    if generator == TABLE:
        return uniform(seed, rows * columns)
    return Permutation.of_mover(Bijection(generator, domain_of(rows, columns), seed))


def grid_table(generator: str, seed: bytes, rows: int, columns: int) -> NDArray[Any]:
    """Return the same as a gather table, uint32, shape (rows * columns,)."""
    return grid_order(generator, seed, rows, columns).source


def order_segments(generator: str, order: NDArray[Any], lengths: NDArray[Any], seed: bytes) -> None:
    """Rearrange consecutive segments of an array in place, independently of one another.

    Parameters
    ----------
    generator : str
        One of :func:`list_generators`, checked by the caller.
    order : array of uint32, shape (n,)
        Changed in place.
    lengths : array of int64, shape (segments,)
        They add up to n.
    seed : bytes, 32 long
        Secret.
    """
    if generator == TABLE:
        shuffle_segments(order, lengths, seed)
    else:
        biject_segments(generator, order, lengths, seed)

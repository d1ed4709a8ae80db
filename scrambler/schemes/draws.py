"""Keyed random numbers: what a scheme draws from the seed of a data set or of an image.

Every draw is named by its part, and parts are independent: HMAC-SHA256(seed, part) is the key of a ChaCha20 stream.
"""

from typing import Any, NoReturn

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.errors import SecretPickleError
from scrambler.key import part_seed
from scrambler.keystream import Keystream
from scrambler.uniform import shuffle_segments, uniform_permutation


@njit(cache=True, nogil=True)
def _bounded(words: NDArray[Any], bound: int, out: NDArray[Any], filled: int) -> int:
    """Fill ``out[filled:]`` with numbers below `bound` until out or words end; return how many are filled.

    Lemire, ACM TOMACS 29(1), 2019: rejection, never a remainder of the draw itself.
    """
    limit = np.uint64(0x100000000) % np.uint64(bound)
    word = 0
    while filled < out.size and word < words.size:
        product = np.uint64(words[word]) * np.uint64(bound)
        word += 1
        if product & np.uint64(0xFFFFFFFF) >= limit:
            out[filled] = product >> np.uint64(32)
            filled += 1
    return filled


class Secret:
    """Something that is not pickled, because it gives images away."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretPickleError(
            f"a {type(self).__name__} is not pickled, because it gives images away: pass the key file's path."
        )


class Draws(Secret):
    """Independent uniform numbers by part; the same seed gives the same bits everywhere.

    Parameters
    ----------
    seed : bytes, 32 long
        Secret; ``repr`` does not show it.

    Examples
    --------
    >>> draws = Draws(bytes(32))
    >>> bool((draws.below("colours", 6, 1000) < 6).all()), sorted(draws.permutation("blocks", 4).tolist())
    (True, [0, 1, 2, 3])
    """

    __slots__ = ("_seed",)

    def __init__(self, seed: bytes) -> None:
        self._seed = seed

    def _stream(self, part: str) -> Keystream:
        return Keystream(part_seed(self._seed, part), 0)

    def octets(self, part: str, count: int) -> NDArray[Any]:
        """Return uniform octets, uint8, shape (count,)."""
        return self._stream(part).octets(count)

    def flags(self, part: str, count: int) -> NDArray[Any]:
        """Return fair coin throws, uint8 of 0 and 1, shape (count,)."""
        return np.unpackbits(self.octets(part, -(-count // 8)), count=count)

    def below(self, part: str, bound: int, count: int) -> NDArray[Any]:
        """Return uniform integers 0 .. bound - 1, uint32, shape (count,); bound is 1 to 2**32 - 1."""
        stream = self._stream(part)
        out = np.empty(count, np.uint32)
        filled = 0
        while filled < count:
            filled = _bounded(stream.words(count - filled + 8), bound, out, filled)
        return out

    def permutation(self, part: str, size: int) -> NDArray[Any]:
        """Return a uniform permutation in gather form, uint32, shape (size,)."""
        return uniform_permutation(part_seed(self._seed, part), size)

    def orders(self, part: str, count: int, size: int) -> NDArray[Any]:
        """Return independent uniform permutations in gather form, uint32, shape (count, size)."""
        order = np.tile(np.arange(size, dtype=np.uint32), count)
        if size:
            shuffle_segments(order, np.full(count, size, np.int64), part_seed(self._seed, part))
        return order.reshape(count, size)

    def half(self, part: str, size: int) -> NDArray[Any]:
        """Return flags, uint8, of which exactly ``size // 2`` are 1, every such choice equally likely."""
        return (self.permutation(part, size) < size // 2).astype(np.uint8)

    def uniform(self, part: str, count: int) -> NDArray[Any]:
        """Return numbers in the open interval (0, 1), float64 with 52 random bits, shape (count,)."""
        high, low = self._stream(part).words(2 * count).reshape(2, count).astype(np.float64)
        # 26 bits of each word, and half a step, so that neither 0 nor 1 occurs.
        return (np.floor(high / 64) * 2.0**26 + np.floor(low / 64) + 0.5) * 2.0**-52

    def normal(self, part: str, count: int) -> NDArray[Any]:
        """Return standard normal numbers, float64, shape (count,) (Box, Muller, Ann. Math. Stat. 29, 1958)."""
        pairs = -(-count // 2)
        radius, turn = self.uniform(part, 2 * pairs).reshape(2, pairs)
        radius, angle = np.sqrt(-2.0 * np.log(radius)), 2.0 * np.pi * turn
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]

    def __repr__(self) -> str:
        return "Draws()"

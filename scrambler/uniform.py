"""Exactly uniform permutations from a seed: Fisher-Yates, and Rao-Sandelius around it for large ones.

Format v1, which never changes (golden vectors hold it in the tests)

* A bounded draw takes 32-bit words w of the keystream until ``w * bound mod 2**32`` is not below ``2**32 mod bound``;
  the result is ``w * bound >> 32`` (Lemire, ACM TOMACS 29(1), 2019). Nothing is ever reduced with ``%``.
* Fisher-Yates over a segment of m items: for i = m-1 down to 1, swap item i with item draw(i + 1).
* Segment s owns the words ``[start, start + m + spare(m))`` of stream 1, in the order of the segments. Should it use
  them up (odds below 1e-9), it is shuffled again from the beginning of stream 2**32 + s.
* Fewer than 2**18 items are one segment. More are first sorted, stably, by one octet of stream 0 each into 256
  segments (Rao, Sankhya A 23, 1961; Sandelius, JRSS B 24, 1962): uniform whatever the octets turn out to be, and each
  segment fits a second-level cache.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler.keystream import Keystream
from scrambler.route import BUCKETS, CHUNKS, Route, count_octets, distribute_numbers
from scrambler.threads import share

ROUTE_FROM = 1 << 18
# Shorter turns of a thread cost it more waiting for the interpreter, which draws the words, than the cache gains.
_WORDS_AT_A_TIME = 1 << 20
_TASKS = 8


@njit(cache=True, nogil=True)
def _finish_segment(order: NDArray[Any], words: NDArray[Any], last: int, word: int) -> bool:
    """Fisher-Yates from item `last` down, with a bounded draw from ``words[word:]`` a step; False if they ran out."""
    for i in range(last, 0, -1):
        bound = np.uint64(i + 1)
        while True:
            if word >= words.size:
                return False
            product = np.uint64(words[word]) * bound
            word += 1
            if product & np.uint64(0xFFFFFFFF) >= np.uint64(0x100000000) % bound:
                break
        j = product >> np.uint64(32)
        order[i], order[j] = order[j], order[i]
    return True


@njit(cache=True, nogil=True)
def _shuffle_segment(order: NDArray[Any], words: NDArray[Any]) -> bool:
    """Do that for the whole segment, without counting words as long as there are enough for all steps to come."""
    word = 0
    if words.size < order.size - 1:
        return _finish_segment(order, words, order.size - 1, word)
    for last in range(order.size - 1, 0, -1):
        bound = np.uint64(last + 1)
        # Unsigned indices spare the test for counting from the end: twice as fast.
        product = np.uint64(words[np.uint64(word)]) * bound
        # The remainder is dear and nearly always needless: the low half is rarely below the bound at all.
        if product & np.uint64(0xFFFFFFFF) < bound:
            while product & np.uint64(0xFFFFFFFF) < np.uint64(0x100000000) % bound:
                word += 1
                if words.size - word < last:
                    return _finish_segment(order, words, last, word)
                product = np.uint64(words[np.uint64(word)]) * bound
        word += 1
        i, j = np.uint64(last), product >> np.uint64(32)
        order[i], order[j] = order[j], order[i]
    return True


@njit(cache=True, nogil=True)
def _shuffle_some(
    order: NDArray[Any],
    bounds: NDArray[Any],
    words: NDArray[Any],
    starts: NDArray[Any],
    numbered: bool,
    done: NDArray[Any],
) -> None:
    """Shuffle segment s = ``order[bounds[s]:bounds[s + 1]]`` with ``words[starts[s]:starts[s + 1]]``."""
    for s in range(done.size):
        segment = order[bounds[s] : bounds[s + 1]]
        if numbered:
            for i in range(segment.size):
                segment[i] = i
        done[s] = _shuffle_segment(segment, words[starts[s] : starts[s + 1]])


def _spare_words(lengths: Any) -> Any:
    """Return how many words to keep for rejected draws: over twice the mean number, m*m / 2**33, and never none."""
    return 1 + (lengths >> 10) + (((lengths >> 8) * (lengths >> 8)) >> 16)


def shuffle_segments(order: NDArray[Any], lengths: NDArray[Any], seed: bytes, *, numbered: bool = False) -> None:
    """Shuffle consecutive segments of an array in place, each uniformly and independently.

    Parameters
    ----------
    order : array of unsigned integers, shape (n,)
        Changed in place.
    lengths : array of int64, shape (segments,)
        Lengths of the segments; they add up to n.
    seed : bytes, 32 long
        The same seed gives the same result on any number of threads.
    numbered : bool
        Write 0, 1, 2, ... into each segment first, whatever it holds.
    """
    bounds = np.append(0, np.cumsum(lengths))
    starts = np.append(0, np.cumsum(lengths + _spare_words(lengths)))
    groups = [0]
    while groups[-1] < lengths.size:
        last = int(np.searchsorted(starts, starts[groups[-1]] + _WORDS_AT_A_TIME, side="right")) - 1
        groups.append(max(last, groups[-1] + 1))

    most = int(np.diff(starts[groups]).max(initial=0))
    # One buffer a thread, used again and again: fresh memory costs more than the words in it.
    buffers: list[NDArray[Any]] = []

    def shuffle_group(number: int) -> None:
        first, last = groups[number], groups[number + 1]
        buffer = buffers.pop() if buffers else np.empty(most, np.uint32)
        words = buffer[: starts[last] - starts[first]]
        Keystream(seed, 1, start=4 * int(starts[first])).fill(words)
        done = np.empty(last - first, np.bool_)
        _shuffle_some(order, bounds[first : last + 1], words, starts[first : last + 1] - starts[first], numbered, done)
        for failed in first + np.flatnonzero(~done):
            _shuffle_again(order[bounds[failed] : bounds[failed + 1]], Keystream(seed, 2**32 + int(failed)))
        buffers.append(buffer)

    share(len(groups) - 1, shuffle_group)


def _shuffle_again(segment: NDArray[Any], stream: Keystream) -> None:
    """Shuffle one segment from a stream of its own, with as many words as it takes."""
    words = stream.words(2 * segment.size)
    # A failed attempt starts over from the untouched items, so more words never change what fewer gave.
    while not _shuffle_segment(attempt := segment.copy(), words):
        words = np.concatenate([words, stream.words(words.size)])
    segment[:] = attempt


def uniform_permutation(seed: bytes, size: int) -> NDArray[Any]:
    """Return the permutation of ``range(size)`` that a seed decides, every one of them equally likely.

    Parameters
    ----------
    seed : bytes, 32 long
        Secret; the same seed gives the same permutation on any number of threads.
    size : int
        0 to 2**32 - 1, checked by the caller.

    Returns
    -------
    array of uint32, shape (size,)

    Examples
    --------
    >>> uniform_permutation(bytes(32), 5).tolist()
    [2, 4, 3, 0, 1]
    """
    if size < ROUTE_FROM:
        # What `shuffle_segments` does with one segment, less its preparations: twice as fast for small frames.
        order = np.arange(size, dtype=np.uint32)
        if not _shuffle_segment(order, Keystream(seed, 1).words(size + int(_spare_words(size)))):
            _shuffle_again(order, Keystream(seed, 2**32))
        return order
    return UniformDraw(seed, size).table()


class UniformDraw:
    """The permutation that :func:`uniform_permutation` gives for 2**18 items or more, in the form that is asked for.

    Parameters
    ----------
    seed : bytes, 32 long
        Secret.
    size : int
        2**18 to 2**32 - 1, checked by the caller.
    """

    __slots__ = ("_seed", "size")

    def __init__(self, seed: bytes, size: int) -> None:
        self._seed = seed
        self.size = size

    def _octets(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return each item's bucket, and how often each bucket comes in each of 64 chunks."""
        octets, counts = np.empty(self.size, np.uint8), np.zeros((CHUNKS, BUCKETS), np.int64)

        def draw(task: int) -> None:
            begin, end = CHUNKS * task // _TASKS, CHUNKS * (task + 1) // _TASKS
            first = self.size * begin // CHUNKS
            Keystream(self._seed, 0, start=first).fill(octets[first : self.size * end // CHUNKS])
            count_octets(octets, begin, end, counts)

        share(_TASKS, draw)
        return octets, counts

    def table(self) -> NDArray[Any]:
        """Return the gather table, uint32, shape (size,)."""
        octets, counts = self._octets()
        table = np.empty(self.size, np.uint32)
        distribute_numbers(octets, counts, table)
        shuffle_segments(table, counts.sum(axis=0), self._seed)
        return table

    def route(self) -> Route:
        """Return the same permutation as a route, which moves items twice as fast as a table."""
        octets, counts = self._octets()
        lengths = counts.sum(axis=0)
        local = np.empty(self.size, np.uint16 if lengths.max() <= 2**16 else np.uint32)
        shuffle_segments(local, lengths, self._seed, numbered=True)
        return Route(octets, counts, local)

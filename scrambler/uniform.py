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
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.keystream import Keystream
from scrambler.route import Route, bucket_counts

ROUTE_FROM = 1 << 18
_PARALLEL_FROM = 100_000
_WORDS_AT_A_TIME = 1 << 22


@njit(cache=True, nogil=True)
def _shuffle_segment(order: NDArray[Any], words: NDArray[Any]) -> bool:
    """Fisher-Yates with a bounded draw from `words` for each step; False if they ran out."""
    word = 0
    for last in range(order.size - 1, 0, -1):
        bound = np.uint64(last + 1)
        while True:
            if word >= words.size:
                return False
            # Unsigned indices spare the test for counting from the end: twice as fast.
            product = np.uint64(words[np.uint64(word)]) * bound
            word += 1
            low = product & np.uint64(0xFFFFFFFF)
            # The remainder is dear and nearly always needless: low is rarely below the bound at all.
            if low >= bound or low >= np.uint64(0x100000000) % bound:
                break
        i, j = np.uint64(last), product >> np.uint64(32)
        order[i], order[j] = order[j], order[i]
    return True


@njit(cache=True, nogil=True)
def _shuffle_serial(
    order: NDArray[Any], bounds: NDArray[Any], words: NDArray[Any], starts: NDArray[Any], done: NDArray[Any]
) -> None:
    """Shuffle segment s = ``order[bounds[s]:bounds[s + 1]]`` with ``words[starts[s]:starts[s + 1]]``."""
    for s in range(done.size):
        done[s] = _shuffle_segment(order[bounds[s] : bounds[s + 1]], words[starts[s] : starts[s + 1]])


@njit(cache=True, nogil=True, parallel=True)
def _shuffle_parallel(
    order: NDArray[Any], bounds: NDArray[Any], words: NDArray[Any], starts: NDArray[Any], done: NDArray[Any]
) -> None:
    """Do the same as `_shuffle_serial`, segments shared among the threads."""
    for s in prange(done.size):
        done[s] = _shuffle_segment(order[bounds[s] : bounds[s + 1]], words[starts[s] : starts[s + 1]])


@njit(cache=True, nogil=True, parallel=True)
def _count_up(order: NDArray[Any], bounds: NDArray[Any]) -> None:
    """Fill each segment with 0, 1, 2, ..."""
    for s in prange(bounds.size - 1):
        segment = order[bounds[s] : bounds[s + 1]]
        for i in range(segment.size):
            segment[i] = i


def _spare_words(lengths: Any) -> Any:
    """Return how many words to keep for rejected draws: over twice the mean number, m*m / 2**33, and never none."""
    return 1 + (lengths >> 10) + (((lengths >> 8) * (lengths >> 8)) >> 16)


def shuffle_segments(order: NDArray[Any], lengths: NDArray[Any], seed: bytes) -> None:
    """Shuffle consecutive segments of an array in place, each uniformly and independently.

    Parameters
    ----------
    order : array of unsigned integers, shape (n,)
        Changed in place.
    lengths : array of int64, shape (segments,)
        Lengths of the segments; they add up to n.
    seed : bytes, 32 long
        The same seed gives the same result on any number of threads.
    """
    shuffle = _shuffle_parallel if order.size >= _PARALLEL_FROM and lengths.size > 1 else _shuffle_serial
    ends = np.cumsum(lengths)
    word_ends = np.cumsum(lengths + _spare_words(lengths))
    stream = Keystream(seed, 1)
    # Words are drawn for some segments at a time into one piece of memory: new memory costs as much as the draw.
    at_a_time = max(_WORDS_AT_A_TIME, 16 * int(lengths.max(initial=0)))
    buffer = np.empty(min(at_a_time, int(word_ends[-1]) if lengths.size else 0), np.uint32)
    first = 0
    while first < lengths.size:
        word = word_ends[first - 1] if first else 0
        last = int(np.searchsorted(word_ends, word + at_a_time, side="right"))
        bounds = np.concatenate([[ends[first] - lengths[first]], ends[first:last]])
        starts = np.concatenate([[0], word_ends[first:last] - word])
        done = np.empty(last - first, np.bool_)
        words = buffer[: starts[-1]]
        stream.fill(words)
        shuffle(order, bounds, words, starts, done)
        for failed in np.flatnonzero(~done):
            _shuffle_again(order[bounds[failed] : bounds[failed + 1]], Keystream(seed, 2**32 + first + int(failed)))
        first = last


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
    return uniform_route(seed, size).source()


def uniform_route(seed: bytes, size: int) -> Route:
    """Return the permutation that :func:`uniform_permutation` gives for 2**18 items or more, not yet as a table."""
    octets = Keystream(seed, 0).octets(size)
    counts = bucket_counts(octets)
    lengths = counts.sum(axis=0)
    local = np.empty(size, np.uint16 if lengths.max() <= 2**16 else np.uint32)
    _count_up(local, np.append(0, np.cumsum(lengths)))
    shuffle_segments(local, lengths, seed)
    return Route(octets, counts, local)

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

_BUCKETS_FROM = 1 << 18
_PARALLEL_FROM = 100_000
_WORDS_AT_A_TIME = 1 << 24
_CHUNKS = 64


@njit(cache=True, nogil=True)
def _shuffle_segment(order: NDArray[Any], first: int, last: int, words: NDArray[Any], word: int, word_end: int) -> bool:
    """Fisher-Yates on ``order[first:last]`` with ``words[word:word_end]``; False if the words ran out."""
    for i in range(last - first - 1, 0, -1):
        bound = np.uint64(i + 1)
        while True:
            if word >= word_end:
                return False
            product = np.uint64(words[word]) * bound
            word += 1
            low = product & np.uint64(0xFFFFFFFF)
            # The remainder is dear and nearly always needless: low is rarely below the bound at all.
            if low >= bound or low >= np.uint64(0x100000000) % bound:
                break
        j = first + np.int64(product >> np.uint64(32))
        order[first + i], order[j] = order[j], order[first + i]
    return True


@njit(cache=True, nogil=True)
def _shuffle_serial(
    order: NDArray[Any], bounds: NDArray[Any], words: NDArray[Any], starts: NDArray[Any], done: NDArray[Any]
) -> None:
    """Shuffle segment s = ``order[bounds[s]:bounds[s + 1]]`` with ``words[starts[s]:starts[s + 1]]``."""
    for s in range(done.size):
        done[s] = _shuffle_segment(order, bounds[s], bounds[s + 1], words, starts[s], starts[s + 1])


@njit(cache=True, nogil=True, parallel=True)
def _shuffle_parallel(
    order: NDArray[Any], bounds: NDArray[Any], words: NDArray[Any], starts: NDArray[Any], done: NDArray[Any]
) -> None:
    """Do the same as `_shuffle_serial`, segments shared among the threads."""
    for s in prange(done.size):
        done[s] = _shuffle_segment(order, bounds[s], bounds[s + 1], words, starts[s], starts[s + 1])


@njit(cache=True, nogil=True, parallel=True)
def _count_buckets(octets: NDArray[Any], counts: NDArray[Any]) -> None:
    """Count each octet in each of ``counts.shape[0]`` equal chunks."""
    chunks = counts.shape[0]
    for c in prange(chunks):
        for i in range(octets.size * c // chunks, octets.size * (c + 1) // chunks):
            counts[c, octets[i]] += 1


@njit(cache=True, nogil=True, parallel=True)
def _sort_into_buckets(octets: NDArray[Any], places: NDArray[Any], order: NDArray[Any]) -> None:
    """Write item i to the next place of its octet and chunk: a stable counting sort."""
    chunks = places.shape[0]
    for c in prange(chunks):
        for i in range(octets.size * c // chunks, octets.size * (c + 1) // chunks):
            bucket = octets[i]
            order[places[c, bucket]] = i
            places[c, bucket] += 1


def _spare_words(lengths: NDArray[Any]) -> NDArray[Any]:
    """Return how many words to keep for rejected draws: over twice the mean number, m*m / 2**33, and never none."""
    return 1 + (lengths >> 10) + (((lengths >> 8) * (lengths >> 8)) >> 16)


def shuffle_segments(order: NDArray[Any], lengths: NDArray[Any], seed: bytes) -> None:
    """Shuffle consecutive segments of an array in place, each uniformly and independently.

    Parameters
    ----------
    order : array of uint32, shape (n,)
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
    first = 0
    while first < lengths.size:
        # Words are drawn for some segments at a time, so that they never need much more memory than the result.
        word = word_ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(word_ends, word + _WORDS_AT_A_TIME, side="right")))
        bounds = np.concatenate([[ends[first] - lengths[first]], ends[first:last]])
        starts = np.concatenate([[0], word_ends[first:last] - word])
        done = np.empty(last - first, np.bool_)
        shuffle(order, bounds, stream.words(int(starts[-1])), starts, done)
        for failed in np.flatnonzero(~done):
            _shuffle_again(order[bounds[failed] : bounds[failed + 1]], Keystream(seed, 2**32 + first + int(failed)))
        first = last


def _shuffle_again(segment: NDArray[Any], stream: Keystream) -> None:
    """Shuffle one segment from a stream of its own, with as many words as it takes."""
    bounds = np.array([0, segment.size])
    words = stream.words(2 * segment.size)
    done = np.zeros(1, np.bool_)
    while True:
        # A failed attempt starts over from the untouched items, so more words never change what fewer gave.
        attempt = segment.copy()
        _shuffle_serial(attempt, bounds, words, np.array([0, words.size]), done)
        if done[0]:
            segment[:] = attempt
            return
        words = np.concatenate([words, stream.words(words.size)])


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
    if size < _BUCKETS_FROM:
        order = np.arange(size, dtype=np.uint32)
        shuffle_segments(order, np.array([size]), seed)
        return order
    octets = Keystream(seed, 0).octets(size)
    counts = np.zeros((_CHUNKS, 256), np.int64)
    _count_buckets(octets, counts)
    # Places run through the buckets, and inside a bucket through the chunks.
    places = (np.cumsum(counts.T.ravel()) - counts.T.ravel()).reshape(256, _CHUNKS).T.copy()
    order = np.empty(size, np.uint32)
    _sort_into_buckets(octets, places, order)
    shuffle_segments(order, counts.sum(axis=0), seed)
    return order

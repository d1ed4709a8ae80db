"""Changes to a sealed file that an attacker or a bad disk may make."""

import random
from collections.abc import Callable, Iterator

HEADER, CHUNK = 64, (1 << 16) + 16
Mutation = Callable[[random.Random, bytes, bytes], bytes]


def edges(data: bytes) -> list[int]:
    """Return where the file's parts begin and end."""
    return [0, *range(HEADER, len(data), CHUNK), len(data)]


def flip_bit(rng: random.Random, data: bytes, other: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def set_header_byte(rng: random.Random, data: bytes, other: bytes) -> bytes:
    place = rng.randrange(HEADER)
    return data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :]


def cut_at_an_edge(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: max(0, min(len(data) - 1, rng.choice(edges(data)) + rng.randrange(-2, 3)))]


def cut_anywhere(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def cut_out_of_the_middle(rng: random.Random, data: bytes, other: bytes) -> bytes:
    first = rng.randrange(len(data))
    return data[:first] + data[first + rng.randrange(1, CHUNK) :]


def append(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data + rng.choice([rng.randbytes(rng.randrange(1, 40)), data[HEADER:], data[-CHUNK:], other])


def chunks(data: bytes) -> list[bytes]:
    return [data[start : start + CHUNK] for start in range(HEADER, len(data), CHUNK)]


def swap_chunks(rng: random.Random, data: bytes, other: bytes) -> bytes:
    parts = chunks(data)
    first, second = rng.sample(range(len(parts)), 2)
    parts[first], parts[second] = parts[second], parts[first]
    return data[:HEADER] + b"".join(parts)


def drop_or_double_a_chunk(rng: random.Random, data: bytes, other: bytes) -> bytes:
    parts = chunks(data)
    place = rng.randrange(len(parts))
    parts[place : place + 1] = [parts[place]] * rng.choice([0, 2])
    return data[:HEADER] + b"".join(parts)


def splice_another_file(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Header or chunks of another file of the same size, key and metadata."""
    parts, theirs = [data[:HEADER], *chunks(data)], [other[:HEADER], *chunks(other)]
    for place in rng.sample(range(len(parts)), rng.randrange(1, len(parts))):
        parts[place] = theirs[place]
    return b"".join(parts)


def overwrite(rng: random.Random, data: bytes, other: bytes) -> bytes:
    place, length = rng.randrange(len(data)), rng.randrange(1, 64)
    return (data[:place] + rng.randbytes(length) + data[place + length :])[: len(data)]


KINDS: tuple[Mutation, ...] = (
    flip_bit, set_header_byte, cut_at_an_edge, cut_anywhere, cut_out_of_the_middle, append, swap_chunks,
    drop_or_double_a_chunk, splice_another_file, overwrite,
)  # fmt: skip


def mutations(data: bytes, other: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` changed files: every header byte and every edge first, then each kind in turn."""
    rng = random.Random(seed)
    made = 0
    for place in range(HEADER):
        for bit in range(8):
            yield data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
            made += 1
    for edge in edges(data):
        for cut in (edge - 1, edge, edge + 1):
            if 0 <= cut < len(data):
                yield data[:cut]
                made += 1
    while made < count:
        changed = KINDS[made % len(KINDS)](rng, data, other)
        if changed not in (data, other):  # a splice may put the whole other file together, which is genuine
            yield changed
            made += 1

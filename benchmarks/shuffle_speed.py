"""Speed of the shuffle at 12 megapixels beside NumPy, memcpy, encryption and published code, on one and two threads.

Run ``python -m benchmarks.shuffle_speed``; the table goes to the screen and benchmarks/results/shuffle_speed.json.
Ratios are given twice: of medians, which other load on the machine disturbs, and of minima, which it disturbs less.
"""

import argparse
from collections.abc import Callable
from statistics import median

import numba
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.measure import RESULTS, interleave, print_table, write_report
from scrambler import Key, Multiplexer, Permutation, keyed_permutation, mask_values
from scrambler.uniform import UniformDraw

HEIGHT, WIDTH = 3000, 4000
THREADS = numba.get_num_threads()
# numerator, denominator, largest ratio wanted
GOALS = (
    ("shuffle 1T", "memcpy", 20.0),
    ("shuffle 2T", "memcpy", 13.0),
    ("shuffle 2T", "np.take", 0.25),
    ("unshuffle 1T", "shuffle 1T", 1.7),
    ("unshuffle 2T", "shuffle 2T", 1.7),
    ("key to route 1T", "Generator.permutation", 1 / 6),
    ("key to route 2T", "Generator.permutation", 1 / 10),
    ("key to table 1T", "Generator.permutation", 1 / 6),
    ("key to table 2T", "Generator.permutation", 1 / 10),
    ("key to route 1T", "shuffle 1T", 3.0),
    ("key to route 2T", "shuffle 2T", 3.0),
    ("key to table 1T", "shuffle 1T", 3.0),
    ("key to table 1T", "PrivDL argsort", 1 / 14),
)


def on_threads(count: int, run: Callable[[], object]) -> Callable[[], object]:
    """Return `run` with that many threads."""

    def limited() -> object:
        numba.set_num_threads(min(count, THREADS))
        return run()

    return limited


def candidates() -> dict[str, Callable[[], object]]:
    """Return everything that is timed, by name."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 4096, (HEIGHT, WIDTH)).astype(np.uint16)
    rgb = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    flat, out, rgb_out, bare = frame.ravel(), np.empty_like(frame), np.empty_like(rgb), np.empty(frame.size, np.uint16)
    key, nonce, shape = Key.from_bytes(bytes(range(32))), bytes(16), frame.shape
    keyed, quads = keyed_permutation(key, shape, nonce), Multiplexer(key).permutation(shape, nonce)
    table = Permutation.of_valid(keyed.source.copy(), shape=shape)
    index = keyed.source.astype(np.intp)
    octets = frame.tobytes()
    cipher = Cipher(algorithms.AES(bytes(32)), modes.CTR(bytes(16)))
    ours: dict[str, Callable[[], object]] = {
        "shuffle": lambda: keyed.shuffle(frame, out=out),
        "unshuffle": lambda: keyed.unshuffle(frame, out=out),
        "shuffle quads": lambda: quads.shuffle(frame, out=out),
        "unshuffle quads": lambda: quads.unshuffle(frame, out=out),
        "shuffle RGB": lambda: keyed.shuffle(rgb, channels_last=True, out=rgb_out),
        "shuffle by table": lambda: table.shuffle(frame, out=out),
        "unshuffle by table": lambda: table.unshuffle(frame, out=out),
        "key to route": lambda: UniformDraw(key.derive("readout", nonce), frame.size).route(),
        "key to table": lambda: keyed_permutation(key, shape, nonce).source,
        "key to shuffled frame": lambda: keyed_permutation(key, shape, nonce).shuffle(frame, out=out),
        "key to shuffled quads": lambda: Multiplexer(key).permutation(shape, nonce).shuffle(frame, out=out),
    }
    others: dict[str, Callable[[], object]] = {
        "mask": lambda: mask_values(frame, key, nonce),
        "memcpy": lambda: np.copyto(out, frame),
        "np.take": lambda: np.take(flat, index),
        "np.take out clip": lambda: np.take(flat, index, out=bare, mode="clip"),
        "fancy index": lambda: flat[index],
        "AES-256-CTR": lambda: cipher.encryptor().update(octets),
        "Generator.permutation": lambda: rng.permutation(flat.size),
        "PrivDL argsort": lambda: np.argsort(rng.random(flat.size)),
    }
    threaded = {f"{name} {count}T": on_threads(count, run) for name, run in ours.items() for count in (1, 2)}
    return threaded | others


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args(argv)
    seconds = interleave(candidates(), arguments.rounds)
    middle = {name: 1e3 * median(times) for name, times in seconds.items()}
    least = {name: 1e3 * min(times) for name, times in seconds.items()}
    rows = [
        {
            "what": name,
            "ms": round(time, 3),
            "least ms": round(least[name], 3),
            "ns per pixel": round(1e6 * time / (HEIGHT * WIDTH), 3),
            "x np.take": round(time / middle["np.take"], 3),
            "x memcpy": round(time / middle["memcpy"], 2),
        }
        for name, time in middle.items()
    ]
    goals = [
        {
            "goal": f"{above} / {below}",
            "at most": round(limit, 3),
            "medians": round(middle[above] / middle[below], 3),
            "minima": round(least[above] / least[below], 3),
            "held": middle[above] / middle[below] <= limit,
            "held by minima": least[above] / least[below] <= limit,
        }
        for above, below, limit in GOALS
    ]
    print_table(f"12 megapixels of uint16 ({WIDTH} x {HEIGHT}), {arguments.rounds} interleaved rounds", rows)
    print()
    print_table("Goals, as ratios within this run", goals)
    write_report(
        RESULTS / "shuffle_speed.json",
        "shuffle speed at 12 megapixels of uint16",
        rows,
        goals=goals,
        rounds=arguments.rounds,
        threads_available=THREADS,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Speed of the shuffle at 12 megapixels beside NumPy, memcpy, encryption and published code, on one and two threads.

Run ``python -m benchmarks.shuffle_speed``; the table goes to the screen and benchmarks/results/shuffle_speed.json.
"""

import argparse
from collections.abc import Callable

import numba
import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from benchmarks.measure import RESULTS, interleave, medians_ms, print_table, write_report
from scrambler import Key, Permutation, keyed_permutation

HEIGHT, WIDTH = 3000, 4000
THREADS = numba.get_num_threads()
# name, numerator, denominator, largest ratio wanted
GOALS = (
    ("shuffle 1T / np.take", "shuffle 1T", "np.take", 0.4),
    ("shuffle 2T / np.take", "shuffle 2T", "np.take", 0.25),
    ("shuffle 1T / memcpy", "shuffle 1T", "memcpy", 20.0),
    ("shuffle 2T / memcpy", "shuffle 2T", "memcpy", 13.0),
    ("unshuffle 1T / shuffle 1T", "unshuffle 1T", "shuffle 1T", 1.7),
    ("unshuffle 2T / shuffle 2T", "unshuffle 2T", "shuffle 2T", 1.7),
    ("key to permutation 1T / Generator.permutation", "key to table 1T", "Generator.permutation", 1 / 6),
    ("key to permutation 2T / Generator.permutation", "key to table 2T", "Generator.permutation", 1 / 10),
    ("key to permutation 1T / shuffle 1T", "key to route 1T", "shuffle 1T", 3.0),
    ("key to permutation 1T / PrivDL argsort", "key to table 1T", "PrivDL argsort", 1 / 14),
)


def on_threads(count: int, run: Callable[[], object]) -> Callable[[], object]:
    """Return `run` with that many Numba threads."""

    def limited() -> object:
        numba.set_num_threads(min(count, THREADS))
        return run()

    return limited


def candidates() -> dict[str, Callable[[], object]]:
    """Return everything that is timed, by name."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 4096, (HEIGHT, WIDTH)).astype(np.uint16)
    flat, out, bare = frame.ravel(), np.empty_like(frame), np.empty_like(frame).ravel()
    key, nonce = Key.from_bytes(bytes(range(32))), bytes(16)
    keyed = keyed_permutation(key, frame.shape, nonce)
    table = Permutation.of_valid(keyed.source.copy(), shape=frame.shape)
    index = keyed.source.astype(np.intp)
    octets = frame.tobytes()
    cipher = Cipher(algorithms.AES(bytes(32)), modes.CTR(bytes(16)))
    ours: dict[str, Callable[[], object]] = {
        "shuffle": lambda: keyed.shuffle(frame, out=out),
        "unshuffle": lambda: keyed.unshuffle(frame, out=out),
        "shuffle by table": lambda: table.shuffle(frame, out=out),
        "unshuffle by table": lambda: table.unshuffle(frame, out=out),
        "key to route": lambda: keyed_permutation(key, frame.shape, nonce),
        "key to table": lambda: keyed_permutation(key, frame.shape, nonce).source,
    }
    theirs: dict[str, Callable[[], object]] = {
        "memcpy": lambda: np.copyto(out, frame),
        "np.take": lambda: np.take(flat, index),
        "np.take out clip": lambda: np.take(flat, index, out=bare, mode="clip"),
        "fancy index": lambda: flat[index],
        "AES-256-CTR": lambda: cipher.encryptor().update(octets),
        "Generator.permutation": lambda: rng.permutation(flat.size),
        "PrivDL argsort": lambda: np.argsort(rng.random(flat.size)),
    }
    threaded = {f"{name} {count}T": on_threads(count, run) for name, run in ours.items() for count in (1, 2)}
    return threaded | theirs


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args(argv)
    milliseconds = medians_ms(interleave(candidates(), arguments.rounds))
    rows = [
        {
            "what": name,
            "ms": round(time, 3),
            "ns per pixel": round(1e6 * time / (HEIGHT * WIDTH), 3),
            "x np.take": round(time / milliseconds["np.take"], 3),
            "x memcpy": round(time / milliseconds["memcpy"], 2),
        }
        for name, time in milliseconds.items()
    ]
    goals = [
        {
            "goal": name,
            "at most": round(limit, 3),
            "measured": round(milliseconds[above] / milliseconds[below], 3),
            "held": milliseconds[above] / milliseconds[below] <= limit,
        }
        for name, above, below, limit in GOALS
    ]
    print_table(f"12 megapixels of uint16 ({WIDTH} x {HEIGHT}), medians of {arguments.rounds} interleaved rounds", rows)
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

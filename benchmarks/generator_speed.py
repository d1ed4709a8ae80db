"""Speed of the table-free bijections at 12 megapixels beside the table gather, on one and two threads.

Run ``python -m benchmarks.generator_speed``; the table goes to the screen and benchmarks/results/generator_speed.json.
"""

import json
import time
from collections.abc import Callable

import numba
import numpy as np

from benchmarks.measure import RESULTS
from scrambler import Key, Permutation, keyed_permutation
from scrambler.feistel import Bijection, domain_of
from scrambler.files import write_atomically

SHAPE = (3000, 4000)
REPEATS = 7
MOST = 4.0
"""The bijection may take this many times the table gather's time on two threads."""


def best_ms(run: Callable[[], object]) -> float:
    """Return the least of some runs' times, in milliseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    """Measure, print and write."""
    frame = np.random.default_rng(0).integers(0, 4096, SHAPE).astype(np.uint16)
    out = np.empty_like(frame)
    source = keyed_permutation(Key.from_bytes(bytes(32)), SHAPE, bytes(16)).source.copy()
    orders = {"table gather": Permutation.of_valid(source, shape=SHAPE)}
    for name in ("feistel", "light"):
        orders[name] = Permutation.of_mover(Bijection(name, domain_of(*SHAPE), bytes(32)), SHAPE)
    figures: dict[str, float] = {}
    most = numba.get_num_threads()
    for threads in (1, min(2, most)):
        numba.set_num_threads(threads)
        for name, order in orders.items():
            order.shuffle(frame, out=out)
            figures[f"{name} {threads}T ms"] = round(best_ms(lambda order=order: order.shuffle(frame, out=out)), 2)  # type: ignore[misc]  # mypy cannot infer a lambda's default
    numba.set_num_threads(most)
    threads = min(2, most)
    figures["feistel / table gather"] = round(
        figures[f"feistel {threads}T ms"] / figures[f"table gather {threads}T ms"], 2
    )
    report = {"shape": SHAPE, "figures": figures, "goal": MOST, "met": figures["feistel / table gather"] <= MOST}
    for name, value in figures.items():
        print(f"{name:28} {value}")
    write_atomically(RESULTS / "generator_speed.json", json.dumps(report, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()

"""Speed of every scheme: a batch of small images, with nonces of their own and without, and one large frame.

Run ``python -m benchmarks.scheme_speed``; the table goes to the screen and benchmarks/results/scheme_speed.json.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, print_table, write_report
from scrambler import Key, list_schemes, new_nonces, scheme

BATCH = (1000, 32, 32, 3)
FRAME = (1500, 2000, 3)
COLUMNS = ("batch, one key", "batch, a nonce each", "frame", "frame revealed")


def fastest(run: Callable[[], object], rounds: int) -> float:
    """Return the seconds of the fastest of some rounds, after one that compiles and warms up."""
    run()
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(argv).rounds
    warnings.simplefilter("ignore")  # one nonce for a batch is what is measured here
    rng = np.random.default_rng(0)
    batch, frame = (rng.integers(0, 256, shape).astype(np.uint8) for shape in (BATCH, FRAME))
    key, nonces = Key.generate(), new_nonces(len(batch))
    copy = fastest(batch.copy, rounds) / batch.size, fastest(frame.copy, rounds) / frame.size
    rows: list[dict[str, Any]] = []
    for name in list_schemes():
        one = scheme(name, key=key)
        shared = {"fixed_nonce": True, "allow_many": True} if "fixed_nonce" in one.card.parameters else {}
        together, hidden = scheme(name, key=key, **shared), one.protect(frame)
        seconds = {
            "batch, one key": fastest(partial(together.protect, batch), rounds) / batch.size,
            "frame": fastest(partial(one.protect, frame), rounds) / frame.size,
        }
        if one.card.keyed:
            seconds["batch, a nonce each"] = fastest(partial(one.protect, batch, nonce=nonces), rounds) / batch.size
        if one.card.invertible:
            seconds["frame revealed"] = fastest(partial(one.reveal, hidden), rounds) / frame.size
        cells = {name: round(1e9 * seconds[name], 2) if name in seconds else "-" for name in COLUMNS}
        rows.append({"scheme": one.card.name, **cells})
    small, large = f"{BATCH[0]} images of {BATCH[1]} x {BATCH[2]}", f"a frame of {FRAME[1]} x {FRAME[0]}"
    title = f"schemes on {small} and on {large}, RGB: ns a value"
    print_table(title, rows)
    print(f"copying: {1e9 * copy[0]:.3f} ns a value of the batch, {1e9 * copy[1]:.3f} of the frame")
    write_report(RESULTS / "scheme_speed.json", title, rows, copy_ns_per_value=[1e9 * seconds for seconds in copy])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Keyed against plain inference at 32x32 (what tables and nonces cost is in ``benchmarks.keyed_costs``).

Run as ``python -m benchmarks.network_speed``; prints tables and writes ``results/network_speed.json``. Both plain
layouts stand in the table, because the library's default one is the slower: ratios are to channels-last.
Parts can be measured one at a time (``--networks``, ``--batches``, ``--threads``); the file keeps the other rows.
"""

import argparse
import json
from statistics import median

import torch

from benchmarks.engine_speed import merged
from benchmarks.measure import RESULTS, interleave, print_table, write_report
from networks import build, convert
from scrambler import Key, new_nonces

NETWORKS = ("airbench94", "vgg16_bn")
SIZE = (32, 32)
REPORT = RESULTS / "network_speed.json"


def inference(name: str, batch: int, threads: int, rounds: int) -> dict[str, object]:
    """Time one network at one batch size; every frame has its own nonce."""
    torch.set_num_threads(threads)
    default = build(name, seed=0).eval()
    channels_last = build(name, seed=0).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    keyed = convert(channels_last, Key.generate(), SIZE)
    frames = torch.rand(batch, 3, *SIZE)
    rows = frames.contiguous(memory_format=torch.channels_last)
    nonces = new_nonces(batch)
    with torch.inference_mode():
        seconds = interleave(
            {
                "plain": lambda: channels_last(rows),
                "plain_nchw": lambda: default(frames),
                "keyed": lambda: keyed(rows, nonce=nonces),
            },
            rounds,
        )
    ratios = [k / p for k, p in zip(seconds["keyed"], seconds["plain"], strict=True)]
    return {
        "network": name,
        "batch": batch,
        "threads": threads,
        "plain channels-last ms": 1e3 * median(seconds["plain"]),
        "plain default layout ms": 1e3 * median(seconds["plain_nchw"]),
        "keyed ms": 1e3 * median(seconds["keyed"]),
        "keyed / plain": median(ratios),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    arguments = parser.parse_args(argv)
    speed = [
        inference(name, batch, threads, rounds=31 if batch == 1 else 11)
        for name in arguments.networks for threads in arguments.threads for batch in arguments.batches
    ]  # fmt: skip
    print_table("Inference on 32x32 frames, a nonce each", speed)
    kept = json.loads(REPORT.read_text())["rows"] if REPORT.exists() else []
    write_report(REPORT, "Keyed against plain inference", merged(kept, speed, "network"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

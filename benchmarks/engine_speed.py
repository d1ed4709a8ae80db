"""Engines of keyed convolution beside plain PyTorch: layer by layer, and in whole networks.

Run as ``python -m benchmarks.engine_speed``; prints tables and writes ``results/engine_speed.json``.
One thread: processor time, candidates taking turns round by round, medians of the ratios within a round. Two threads:
wall time, smallest of all rounds. Ratios are to plain channels-last; the default layout and, where a C++ compiler is
there, ``torch.compile`` with freezing stand beside it, because a win over a slow baseline is none.
"reads weights" is a loop that does nothing but read the plain network's weights once, four bytes each: with one frame
no engine that keeps them so is faster, unless they stay in a cache. "indirect" keeps those of large layers in three.
Parts can be measured one at a time (``--networks``, ``--batches``, ``--threads``); the file keeps the other rows.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.engine_networks import resnet50, vgg16_bn_small_head
from benchmarks.measure import RESULTS, print_table, write_report
from networks import build, convert
from operators import KeyedConv2d
from scrambler import Key, keyed_permutation, new_nonces

GOALS = {
    ("vgg16_bn", 1): 0.5, ("vgg16_bn", 64): 1.0, ("resnet18", 1): 0.55, ("resnet18", 64): 1.0,
    ("preresnet110", 1): 0.5, ("preresnet110", 64): 1.1, ("resnet50", 1): 0.65,
    ("vgg16_bn, small head", 1): 0.5, ("vgg16_bn, small head", 64): 1.0,
}  # fmt: skip
# Of the plain network under torch.compile with freezing.
COMPILED_GOALS = {1: 0.9, 64: 1.05}
REPORT = RESULTS / "engine_speed.json"
# Seconds of a turn, and calls before it that are not counted.
_TURN_S, _WARM_UP = 0.05, 3
# Input and output channels, side, kernel, stride, padding, groups.
LAYERS = (
    (3, 64, 32, 3, 1, 1, 1),
    (64, 64, 32, 3, 1, 1, 1),
    (64, 128, 16, 3, 1, 1, 1),
    (128, 128, 16, 3, 1, 1, 1),
    (256, 256, 8, 3, 1, 1, 1),
    (512, 512, 4, 3, 1, 1, 1),
    (512, 512, 2, 3, 1, 1, 1),
    (16, 16, 32, 3, 1, 1, 1),
    (3, 24, 32, 2, 1, 0, 1),
    (3, 64, 224, 7, 2, 3, 1),
    (64, 64, 56, 3, 1, 1, 1),
    (128, 128, 28, 3, 1, 1, 1),
    (128, 128, 56, 3, 2, 1, 1),
    (256, 256, 14, 3, 1, 1, 1),
    (512, 512, 7, 3, 1, 1, 1),
    (256, 512, 56, 1, 2, 0, 1),
    (96, 96, 56, 3, 1, 1, 96),
    (384, 384, 14, 3, 1, 1, 384),
    (144, 144, 56, 3, 2, 1, 144),
    (128, 128, 28, 3, 1, 1, 4),
)


# Builder and side of the frames, in pixels.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "vgg16_bn": (lambda: build("vgg16_bn", seed=0), 32),
    "vgg16_bn, small head": (vgg16_bn_small_head, 32),
    "resnet18": (lambda: build("resnet18", seed=0), 32),
    "preresnet110": (lambda: build("preresnet110", seed=0), 32),
    "airbench94": (lambda: build("airbench94", seed=0), 32),
    "resnet50": (resnet50, 224),
}


def take_turns(
    candidates: Mapping[str, Callable[[], object]], rounds: int, at_least_s: float, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds of one call of each candidate in each round; short ones are called several times a round."""
    calls = {}
    for name, run in candidates.items():
        run()
        begin = clock()
        run()
        calls[name] = max(1, round(at_least_s / max(clock() - begin, 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            # A network that serves frame after frame finds its own weights in the cache, not another candidate's.
            for _ in range(min(calls[name], _WARM_UP)):
                run()
            begin = clock()
            for _ in range(calls[name]):
                run()
            seconds[name].append((clock() - begin) / calls[name])
    return seconds


def compare(candidates: Mapping[str, Callable[[], object]], threads: int, rounds: int) -> dict[str, float]:
    """Return milliseconds of the first candidate and every other one's time as a multiple of it."""
    torch.set_num_threads(threads)
    # Two threads' processor time would count a waiting thread's spinning.
    clock = time.process_time if threads == 1 else time.perf_counter
    with torch.inference_mode():
        seconds = take_turns(candidates, rounds, _TURN_S, clock)
    first, *others = candidates
    figures = {f"{first} ms": 1e3 * (median(seconds[first]) if threads == 1 else min(seconds[first]))}
    for name in others:
        if threads == 1:
            figures[name] = median(a / b for a, b in zip(seconds[name], seconds[first], strict=True))
        else:
            figures[name] = min(seconds[name]) / min(seconds[first])
    return figures


def layer(shape: tuple[int, ...], batch: int, threads: int, rounds: int) -> dict[str, Any]:
    """Time one convolution in every engine."""
    channels, maps, side, kernel, stride, padding, groups = shape
    plain = nn.Conv2d(channels, maps, kernel, stride, padding, groups=groups)
    default = nn.Conv2d(channels, maps, kernel, stride, padding, groups=groups)
    plain = plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    frames = torch.randn(batch, channels, side, side)
    rows = frames.contiguous(memory_format=torch.channels_last)
    key = Key.generate()
    order = keyed_permutation(key, (side, side), nonce=new_nonces(1)[0])
    out = (side + 2 * padding - kernel) // stride + 1
    target = keyed_permutation(key, (out, out), label="layer/0")
    makers = {"indirect": "indirect", "gather": "gather"}
    if channels <= 4:
        makers["im2col"] = "im2col"
    keyed = {name: KeyedConv2d(plain, (side, side), order, target, engine=engine) for name, engine in makers.items()}
    candidates: dict[str, Callable[[], object]] = {
        "plain channels-last": lambda: plain(rows),
        "plain default": lambda: default(frames),
    }
    candidates |= {name: partial(module, rows) for name, module in keyed.items()}
    named = f"{channels}-{maps}@{side} {kernel}x{kernel}" + f"/{stride}" * (stride > 1) + f" g{groups}" * (groups > 1)
    figures = {"im2col": "-"} | compare(candidates, threads, rounds)
    return {"layer": named, "batch": batch, "threads": threads, **_last(figures, "im2col")}


def _last(row: dict[str, Any], name: str) -> dict[str, Any]:
    """Move one column to the end."""
    return {**{key: value for key, value in row.items() if key != name}, name: row[name]}


def compiled(model: nn.Module, frames: Tensor) -> Callable[[], object] | None:
    """Return the strongest plain baseline, or None where PyTorch can't compile."""
    import torch._inductor.config as settings

    settings.freezing = True
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = torch.compile(model)
            run(frames)
    except Exception as error:  # a missing compiler shows in many ways
        print(f"torch.compile is left out: {str(error).splitlines()[0][:100]}")
        return None
    return lambda: run(frames)


def network(name: str, batch: int, threads: int, rounds: int, with_compile: bool) -> dict[str, Any]:
    """Time one network; every frame has its own nonce, and drawing the keys is part of the keyed times."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    builder, side = NETWORKS[name]
    default, plain = builder().eval(), builder().eval()
    plain.load_state_dict(default.state_dict())
    plain = plain.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    key = Key.generate()
    keyed, gather = convert(plain, key, (side, side)), convert(plain, key, (side, side))
    for module in gather.modules():
        if isinstance(module, KeyedConv2d):
            module.tries_indirect = False
    frames = torch.rand(batch, 3, side, side)
    rows = frames.contiguous(memory_format=torch.channels_last)
    nonces = new_nonces(batch)
    candidates: dict[str, Callable[[], object]] = {
        "plain channels-last": lambda: plain(rows),
        "plain default": lambda: default(frames),
        "indirect": lambda: keyed(rows, nonce=nonces),
        "gather": lambda: gather(rows, nonce=nonces),
        "reads weights": torch.cat([weights.detach().flatten() for weights in plain.parameters()]).sum,
    }
    frozen = compiled(plain, rows) if with_compile else None
    if frozen is not None:
        candidates["plain compiled"] = frozen
    figures: dict[str, Any] = {"plain compiled": "-"} | compare(candidates, threads, rounds)
    goal = GOALS.get((name, batch)) if threads == 1 else None
    verdict = "-" if goal is None else f"{'held' if figures['indirect'] <= goal else 'missed'} (<= {goal})"
    row = {"network": name, "batch": batch, "threads": threads, **_last(figures, "plain compiled"), "goal": verdict}
    if frozen is not None:
        ratio = figures["indirect"] / figures["plain compiled"]
        held = "held" if ratio <= COMPILED_GOALS.get(batch, 1.0) else "missed"
        return row | {"indirect / compiled": ratio, "compiled goal": f"{held} (<= {COMPILED_GOALS.get(batch, 1.0)})"}
    return row | {"indirect / compiled": "-", "compiled goal": "-"}


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return old rows with those measured again replaced, so that long runs can be done in parts."""
    again = {(row[name], row["batch"], row["threads"]) for row in new}
    return [row for row in old if (row[name], row["batch"], row["threads"]) not in again] + new


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("layers", "networks", "all"), default="all")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--networks", nargs="+", choices=tuple(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    arguments = parser.parse_args(argv)
    layers: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    if arguments.what != "networks":
        for threads in arguments.threads:
            for batch in arguments.batches:
                for shape in LAYERS:
                    size = batch if shape[2] < 56 else min(batch, 8)
                    layers.append(layer(shape, size, threads, arguments.rounds))
        print_table("Layers: multiples of plain channels-last", layers)
    if arguments.what != "layers":
        for threads in arguments.threads:
            for batch in arguments.batches:
                for name in arguments.networks:
                    # Frames of 224x224 are 49 times as large.
                    size = batch if NETWORKS[name][1] < 224 else min(batch, 8)
                    row = network(name, size, threads, arguments.rounds, not arguments.no_compile)
                    networks.append(row)
        print_table("\nNetworks: multiples of plain channels-last", networks)
    kept = json.loads(REPORT.read_text()) if REPORT.exists() else {"rows": [], "layers": []}
    networks, layers = merged(kept["rows"], networks, "network"), merged(kept["layers"], layers, "layer")
    write_report(REPORT, "Engines of keyed convolution beside plain PyTorch", networks, layers=layers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

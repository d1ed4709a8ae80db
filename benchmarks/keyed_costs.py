"""What a key costs beside plain networks: memory, training, tables, nonces; and the older ways of doing it.

Run as ``python -m benchmarks.keyed_costs``; prints tables and writes ``results/keyed_costs.json``. One thread,
candidates taking turns, medians. "older way" is that of the field's first paper, rebuilt from its description
(``benchmarks.older_way``), with torchvision's own operator where that can be imported, and "quick offsets" its idea
alone: offsets for this project's own deformable kernel, and pooling by a table.
Parts can be measured one at a time (``keyed_costs deformable tables``); the file keeps the others.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.engine_networks import resnet50
from benchmarks.engine_speed import take_turns
from benchmarks.measure import RESULTS, interleave, print_table, write_report
from benchmarks.older_way import OlderWay, convolve, convolve_quickly, torchvision_convolution
from networks import build, convert
from operators import KeyedConv2d, KeyedMaxPool2d, deform_conv2d
from operators.tables import compose
from scrambler import Key, keyed_permutation, new_nonces

SIZE = (32, 32)
REPORT = RESULTS / "keyed_costs.json"
# Seconds of a turn; the calls before it, which are not counted, bring each one's weights back into the caches.
_TURN_S = 0.01
KINDS = ("never converted", "plain", "keyed", "keyed alone")
# Channels and side; the kernel is 3x3.
DEFORMED = ((64, 32, 1), (64, 56, 1), (128, 28, 1), (256, 14, 1), (512, 7, 1), (64, 32, 8), (128, 28, 8))


def _vgg() -> nn.Module:
    return build("vgg16_bn", seed=0).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch's stub lacks it


def older_ways(batch: int, rounds: int) -> dict[str, Any]:
    """Time VGG16-BN plain, keyed, and in the older way."""
    plain, key = _vgg(), Key.generate()
    keyed = convert(plain, key, SIZE)
    frames = torch.rand(batch, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    nonces = new_nonces(batch)
    # In PyTorch's default layout, which the older way's operators read.
    theirs, default = build("vgg16_bn", seed=0).eval(), frames.contiguous()
    library = torchvision_convolution()
    ways = {
        "older way": OlderWay(theirs, key, nonces[0], batch, convolve=convolve, searches=True),
        "quick offsets": OlderWay(theirs, key, nonces[0], batch, convolve=convolve_quickly, searches=False),
    }
    if library is not None:
        ways["torchvision"] = OlderWay(theirs, key, nonces[0], batch, convolve=library, searches=True)
    with torch.inference_mode():
        runs: dict[str, Callable[[], object]] = {
            "plain": lambda: plain(frames),
            "keyed": lambda: keyed(frames, nonce=nonces),
            "one nonce": lambda: keyed(frames, nonce=nonces[0], fixed_nonce=True, allow_many=True),
        }
        runs |= {name: partial(way, default) for name, way in ways.items()}
        seconds = take_turns(runs, rounds, _TURN_S, time.perf_counter)
    return {
        "batch": batch, "plain ms": 1e3 * median(seconds["plain"]), "keyed ms": 1e3 * median(seconds["keyed"]),
        "older way ms": 1e3 * median(seconds["older way"]),
        "older way / keyed": _ratio(seconds, "older way", "keyed"),
        "with torchvision / keyed": "-" if library is None else _ratio(seconds, "torchvision", "keyed"),
        "quick offsets / keyed": _ratio(seconds, "quick offsets", "keyed"),
        "a nonce each / one nonce": _ratio(seconds, "keyed", "one nonce"),
    }  # fmt: skip


def _ratio(seconds: dict[str, list[float]], upper: str, lower: str) -> float:
    return median(a / b for a, b in zip(seconds[upper], seconds[lower], strict=True))


def onnx_deform(channels: int, inputs: dict[str, Tensor]) -> Callable[[], object]:
    """Return a call of onnxruntime's deformable convolution on one thread."""
    import onnx
    import onnxruntime

    node = onnx.helper.make_node("DeformConv", list(inputs), ["Y"], pads=[1, 1, 1, 1], kernel_shape=[3, 3])
    described = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, t.shape) for n, t in inputs.items()]
    result = onnx.helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "one", described, [result])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {name: tensor.numpy() for name, tensor in inputs.items()}
    return lambda: session.run(None, given)


def deform(channels: int, side: int, batch: int, rounds: int) -> dict[str, Any]:
    """Time general deformable convolution, with a mask, beside onnxruntime's and a plain convolution."""
    torch.manual_seed(0)
    inputs = {
        "X": torch.randn(batch, channels, side, side), "W": torch.randn(channels, channels, 3, 3),
        "offset": torch.randn(batch, 18, side, side), "B": torch.randn(channels),
        "mask": torch.rand(batch, 9, side, side),
    }  # fmt: skip
    x, weight, offset, bias, mask = inputs.values()
    learned = [t.clone().requires_grad_() for t in inputs.values()]

    def step() -> None:
        x, weight, offset, bias, mask = learned
        deform_conv2d(x, offset, weight, bias, padding=1, mask=mask).sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    runs: dict[str, Callable[[], object]] = {
        "plain": lambda: F.conv2d(x, weight, bias, padding=1),
        "ours": lambda: deform_conv2d(x, offset, weight, bias, padding=1, mask=mask),
        "onnxruntime": onnx_deform(channels, inputs),
        "forward and backward": step,
    }
    seconds = take_turns(runs, rounds, _TURN_S, time.perf_counter)
    return {
        "channels": channels, "side": side, "batch": batch, "ours ms": 1e3 * median(seconds["ours"]),
        "ours / plain": _ratio(seconds, "ours", "plain"), "onnxruntime / ours": _ratio(seconds, "onnxruntime", "ours"),
        "forward and backward / ours": _ratio(seconds, "forward and backward", "ours"),
    }  # fmt: skip


def training(rounds: int) -> dict[str, Any]:
    """Time a step of training of VGG16-BN, batch 64."""
    runs: dict[str, Callable[[], object]] = {}
    frames, labels = torch.rand(64, 3, *SIZE).contiguous(memory_format=torch.channels_last), torch.arange(64) % 10
    nonces = new_nonces(64)
    for name in ("plain", "keyed"):
        model = _vgg().train()
        net = convert(model, Key.generate(), SIZE).train() if name == "keyed" else model
        extra = {"nonce": nonces} if name == "keyed" else {}

        def step(net: nn.Module = net, extra: dict[str, Any] = extra) -> None:
            net.zero_grad(set_to_none=True)
            F.cross_entropy(net(frames, **extra), labels).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

        runs[name] = step
    seconds = interleave(runs, rounds)
    return {"step plain ms": 1e3 * median(seconds["plain"]), "keyed / plain": _ratio(seconds, "keyed", "plain")}


def nonces(rounds: int) -> dict[str, Any]:
    """Time what a new nonce costs: drawing it, its permutation, and the first layer's table.

    "after a frame" is the same, just after a frame has passed the network and left nothing else in the caches.
    """
    keyed = convert(_vgg(), Key.generate(), SIZE)
    layer = next(module for module in keyed.modules() if isinstance(module, KeyedConv2d))
    frame = torch.rand(1, 3, *SIZE)

    def renew() -> None:
        own = layer.accept(frame, keyed.slots(new_nonces(1))[0])
        assert own is not None
        _ = layer._offsets_for(own)

    with torch.inference_mode():
        alone = interleave({"new": renew}, rounds)
        among = interleave({"frame": lambda: keyed(frame, nonce=new_nonces(1)), "new": renew}, rounds)
    return {"a new nonce ms": 1e3 * median(alone["new"]), "after a frame ms": 1e3 * median(among["new"])}


def tables_ms(name: str, plain: nn.Module, side: int, rounds: int) -> dict[str, Any]:
    """Time what all keys of a network cost: drawing every layer's order, and the tables that its layers read."""
    key = Key.generate()
    keyed = convert(plain.eval(), key, (side, side))
    layers = [module for module in keyed.modules() if isinstance(module, KeyedConv2d | KeyedMaxPool2d)]

    def draw() -> None:
        orders = keyed._orders(key)
        for layer in keyed._layers:
            for order in (orders[layer.reads], orders[layer.writes]):
                _ = order if order is None else order.slot

    def make() -> None:
        for layer in layers:
            if isinstance(layer, KeyedConv2d):
                _ = layer._own_offsets()
            else:
                places, _ = layer.pooling.ordered(layer.source)
                _ = compose(layer.slot, places, outside=prod(layer.input_size))

    seconds = interleave({"draw": draw, "make": make}, rounds)
    figures = {f"{what} ms": 1e3 * median(times) for what, times in seconds.items()}
    return {"network": name, "layers": len(layers), **figures, "tables ms": sum(figures.values())}


def peak_mb(kind: str, batch: int) -> float:
    """Return the peak resident memory, in MB, of a process that runs VGG16-BN ``kind``: see :func:`memory`."""
    torch.set_num_threads(1)
    plain, frames = _vgg(), torch.rand(batch, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    nonces = new_nonces(batch)
    keyed = plain if kind == "never converted" else convert(plain, Key.generate(), SIZE)
    run = partial(keyed, nonce=nonces) if kind.startswith("keyed") else plain
    if kind == "keyed alone":
        del plain
    with torch.inference_mode():
        for _ in range(3):
            _ = run(frames)
    # Not getrusage: its peak is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def memory(batch: int) -> dict[str, Any]:
    """Compare the peaks of processes with everything imported.

    ``plain`` has converted the network too and then runs the plain one: what remains is inference. ``never converted``
    has not, and so lacks what tracing loads and the copy of the weights that a keyed network has; ``keyed alone`` has
    dropped the plain network after conversion.
    """
    peaks = {}
    for kind in KINDS:
        call = [sys.executable, "-m", "benchmarks.keyed_costs", "--peak-of", kind, "--batch", str(batch)]
        done = subprocess.run(call, capture_output=True, text=True, check=True)  # noqa: S603 - this module itself
        peaks[kind] = float(done.stdout)
    return {
        "batch": batch, "plain MB": peaks["plain"], "keyed MB": peaks["keyed"],
        "keyed / plain": peaks["keyed"] / peaks["plain"],
        "keyed / never converted": peaks["keyed"] / peaks["never converted"],
        "keyed alone / never converted": peaks["keyed alone"] / peaks["never converted"],
    }  # fmt: skip


def bfloat16(batch: int, rounds: int) -> dict[str, Any]:
    """Time VGG16-BN in bfloat16, plain and keyed, beside both in float32; and the keyed one's distance to the plain."""
    key, nonces = Key.generate(), new_nonces(batch)
    frames = torch.rand(batch, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    plain, half = _vgg(), _vgg().bfloat16()
    keyed, keyed_half = convert(plain, key, SIZE), convert(half, key, SIZE)
    orders = [keyed_permutation(key, SIZE, nonce=nonce) for nonce in nonces]
    shuffled = torch.stack([order.shuffle(frame) for order, frame in zip(orders, frames.bfloat16(), strict=True)])
    shuffled = shuffled.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        answers = half(frames.bfloat16()), keyed_half(shuffled, nonce=nonces)
        runs: dict[str, Callable[[], object]] = {
            "plain": lambda: plain(frames),
            "keyed": lambda: keyed(frames, nonce=nonces),
            "plain bfloat16": lambda: half(shuffled),
            "keyed bfloat16": lambda: keyed_half(shuffled, nonce=nonces),
        }
        seconds = interleave(runs, rounds)
    return {
        "batch": batch, "plain bfloat16 ms": 1e3 * median(seconds["plain bfloat16"]),
        "keyed bfloat16 / plain bfloat16": _ratio(seconds, "keyed bfloat16", "plain bfloat16"),
        "keyed float32 / plain bfloat16": _ratio(seconds, "keyed", "plain bfloat16"),
        "plain float32 / plain bfloat16": _ratio(seconds, "plain", "plain bfloat16"),
        "largest difference": float((answers[0] - answers[1]).abs().max() / answers[0].abs().max()),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"what to measure: {', '.join(PARTS)}; everything by default")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peak-of", choices=KINDS, help="print one peak in MB and stop")
    parser.add_argument("--batch", type=int, default=1, help="of --peak-of")
    arguments = parser.parse_args(argv)
    if arguments.peak_of:
        print(peak_mb(arguments.peak_of, arguments.batch))
        return 0
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part {sorted(unknown)[0]!r}: choose from {', '.join(PARTS)}")
    torch.set_num_threads(1)
    kept = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    report = {part: kept.get(part, []) for part in PARTS}
    for part in arguments.parts or PARTS:
        title, measure = PARTS[part]
        report[part] = measure(arguments.rounds)
        print_table(f"{title}", report[part])
        print()
        # After each part, so that one that fails costs no other.
        write_report(
            REPORT, "What a key costs", report["rows"], numpy=np.__version__, torch=torch.__version__,
            **{name: rows for name, rows in report.items() if name != "rows"},
        )  # fmt: skip
    return 0


PARTS: dict[str, tuple[str, Callable[[int], list[dict[str, Any]]]]] = {
    "rows": (
        "VGG16-BN: the older way with offsets, and nonces",
        lambda rounds: [older_ways(1, rounds), older_ways(64, 3)],
    ),
    "deformable": ("General deformable convolution", lambda rounds: [deform(*shape, rounds) for shape in DEFORMED]),
    "training": ("Training step, batch 64", lambda _: [training(3)]),
    "nonces": ("A new nonce, VGG16-BN", lambda _: [nonces(31)]),
    "tables": (
        "All tables of a network",
        lambda rounds: [tables_ms("vgg16_bn", _vgg(), 32, 31), tables_ms("resnet50", resnet50(), 224, rounds)],
    ),
    "bfloat16": (
        "VGG16-BN in bfloat16, by the portable engine and the library",
        lambda rounds: [bfloat16(1, rounds), bfloat16(64, 3)],
    ),
    "memory": ("Peak memory of inference", lambda _: [memory(batch) for batch in (1, 64)]),
}


if __name__ == "__main__":
    raise SystemExit(main())

"""Speed and memory of folder jobs, beside decoding alone.

Run ``python -m benchmarks.job_speed``; the table goes to the screen and benchmarks/results/job_speed.json. 2,000 JPEGs
of 500 x 375 are made from the photographs of the data folder. Decoding alone is OpenCV in as many processes as the job
has workers; a job's rate is that of its workers after the first quarter, as its manifest's times have it, so the start
of the interpreter is left out on both sides, and given apart. Rates are taken on the file system of TMPDIR, then on one
in memory, where there is one, which leaves the disk out. A job's outputs are removed before the next one begins.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import RESULTS, print_table, write_report
from scrambler import Key, Multiplexer
from sensor import RawFrame

SHAPE = (375, 500)
PARTS = ("speed", "speed in memory", "resume", "memory")
IN_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of its own is made there
PROGRAM = [sys.executable, "-c", "import sys; from shufflecam.cli import main; sys.exit(main())"]


def write_photographs(folder: Path, count: int) -> None:
    """Write JPEGs (quality 95) of the data folder's photographs, again and again."""
    data = Path(os.environ.get("SHUFFLECAM_DATA", "../shared/data"))
    sources = sorted([*data.glob("kodak/*.png"), *data.glob("photos/*.webp")])
    if not sources:
        raise SystemExit(f"no photographs in {data}: set SHUFFLECAM_DATA")
    encoded = []
    for source in sources:
        picture = cv2.imread(str(source))
        assert picture is not None
        small = cv2.resize(picture, SHAPE[::-1], interpolation=cv2.INTER_AREA)
        encoded.append(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.jpg").write_bytes(encoded[number % len(encoded)])


def decode(paths: list[Path]) -> float:
    """Return when decoding these pictures began."""
    cv2.setNumThreads(1)
    begin = time.time()
    for path in paths:
        assert cv2.imread(str(path)) is not None
    return begin


def decoding_rate(paths: list[Path], workers: int) -> float:
    """Return pictures a second of decoding alone."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(decode, [paths[:2]] * workers))  # loads OpenCV
        begin = time.perf_counter()
        list(pool.map(decode, [paths[i::workers] for i in range(workers)]))
        return len(paths) / (time.perf_counter() - begin)


def run(*arguments: object) -> float:
    """Type a command; return its seconds."""
    begin = time.perf_counter()
    subprocess.run([*PROGRAM, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603  our own program
    return time.perf_counter() - begin


def job_rate(folder: Path, workers: int, out: Path, key: Path) -> tuple[float, float]:
    """Return pictures a second of a job's workers, and the seconds of the whole command."""
    whole = run("capture", folder, "--key", key, "--out", out, "--jobs", workers, "--unit", "quad")
    records = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    times = sorted(record["output_state"][1] * 1e-9 for record in records)
    # The first quarter is left out: it holds the loading of kernels.
    first = len(times) // 4
    return (len(times) - 1 - first) / (times[-1] - times[first]), whole


def shuffling_seconds(frames: list[RawFrame], key: Path) -> float:
    """Return the median seconds of key work and shuffle of a frame, on one thread."""
    import numba

    numba.set_num_threads(1)
    multiplexer = Multiplexer(Key.load(key), unit="quad")
    natural = [frame.unshuffle(multiplexer.key) for frame in frames]
    natural[0].shuffle(multiplexer)
    seconds = []
    for frame in natural * 5:
        begin = time.perf_counter()
        frame.shuffle(multiplexer)
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


def peak_memory(folder: Path, key: Path, out: Path, side: tuple[int, int], kind: str) -> dict[str, Any]:
    """Return the peak memory of a process that captures two large pictures, in bytes."""
    y, x = np.mgrid[: side[0] // 8, : side[1] // 8].astype(np.float32)
    small = np.stack([x % 256, y % 256, (x + y) % 256], 2).astype(np.uint8)
    picture = cv2.resize(small, side[::-1])
    folder.mkdir()
    for number in range(2):
        assert cv2.imwrite(str(folder / f"{number}{kind}"), picture)
    code = (
        "import sys, resource; from shufflecam.cli import main; status = main();"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024); sys.exit(status)"
    )
    arguments = ["capture", str(folder), "--key", str(key), "--out", str(out), "--jobs", "1"]
    command = [sys.executable, "-c", code, *arguments]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  our own program
    peak = int(said.splitlines()[-1])
    pixels = side[0] * side[1]
    return {
        "what": f"peak memory, two {pixels / 1e6:.0f} megapixel pictures ({kind})",
        "measured": f"{peak / 1e6:.0f} MB",
        "goal": f"at most {(12 * pixels + 4e8) / 1e6:.0f} MB",
        "held": peak <= 12 * pixels + 400e6,
    }


def goal(what: str, measured: float, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """Return a line of the table."""
    bound = f"at least {least:g}" if least is not None else f"at most {most:g}"
    held = measured >= least if least is not None else measured <= (most or 0)
    return {"what": what, "measured": f"{measured:.3g}", "goal": bound, "held": held}


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", default=",".join(PARTS), help="which figures to take anew")
    arguments = parser.parse_args(argv)
    path = RESULTS / "job_speed.json"
    kept = json.loads(path.read_text())["parts"] if path.exists() else {}
    parts = arguments.parts.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = folder / "door.key"
        Key.generate().save(key)
        if "speed" in parts:
            kept["speed"] = speed(folder, key, arguments.images, arguments.rounds, "disk")
        if "speed in memory" in parts and IN_MEMORY.is_dir():
            with tempfile.TemporaryDirectory(dir=IN_MEMORY) as fast:
                kept["speed in memory"] = speed(Path(fast), key, arguments.images, arguments.rounds, "memory")
        if "resume" in parts:
            kept["resume"] = resume(folder, key)
        if "memory" in parts:
            kept["memory"] = [
                peak_memory(folder / f"large{kind}", key, folder / f"out{kind}", (8660, 11548), kind)
                for kind in (".jpg", ".png")
            ]
    kept = {part: kept[part] for part in PARTS if part in kept}
    rows = [row for part in kept.values() for row in part]
    print_table("Folder jobs", rows)
    write_report(path, "speed and memory of folder jobs", rows, parts=kept)
    return 0


def speed(folder: Path, key: Path, images: int, rounds: int, where: str) -> list[dict[str, Any]]:
    """Return the lines about the rate, medians of rounds that take turns; ``where`` names the file system."""
    photographs = folder / "photographs"
    write_photographs(photographs, images)
    paths = sorted(photographs.iterdir())
    run("capture", paths[0], "--key", key, "--out", folder / "warm")
    decoding: dict[int, list[float]] = {1: [], 2: []}
    job: dict[int, list[float]] = {1: [], 2: []}
    wholes: list[float] = []
    frames: list[RawFrame] = []
    for turn in range(rounds):
        for workers in (1, 2):
            os.sync()  # What was written before is not written out beside the job.
            decoding[workers].append(decoding_rate(paths, workers))
            out = folder / f"out{turn}{workers}"
            rate, whole = job_rate(photographs, workers, out, key)
            job[workers].append(rate)
            if workers == 2:
                wholes.append(whole)
            frames = [RawFrame.load(path) for path in sorted(out.glob("*.dng"))[:20]]
            if where == "memory":
                shutil.rmtree(out)  # On disk this would slow the next job down: file systems trim what was freed.
    one, two, alone = median(job[1]), median(job[2]), median(decoding[2])
    # Of each round on its own first: a round's figures met the same machine.
    ratio = median(rate / decoded for rate, decoded in zip(job[2], decoding[2], strict=True))
    scaling = median(both / single for both, single in zip(job[2], job[1], strict=True))
    shuffle = shuffling_seconds(frames, key)
    return [
        {"what": f"decoding alone, 2 processes ({where})", "measured": f"{alone:.0f} /s", "goal": "", "held": ""},
        {"what": f"capture to DNG, 1 worker ({where})", "measured": f"{one:.0f} /s", "goal": "", "held": ""},
        {"what": f"capture to DNG, 2 workers ({where})", "measured": f"{two:.0f} /s", "goal": "", "held": ""},
        {"what": f"whole command, {images} pictures, 2 workers", "measured": f"{median(wholes):.1f} s", "goal": "",
         "held": ""},
        goal(f"capture on 2 workers / decoding alone ({where})", ratio, least=0.35),
        goal(f"2 workers / 1 worker ({where})", scaling, least=1.7),
        goal("share of shuffling and key work", shuffle * one, most=0.12),
    ]  # fmt: skip


def resume(folder: Path, key: Path) -> list[dict[str, Any]]:
    """Return the line about a finished job of 10,000 files that is called again."""
    small = folder / "small"
    small.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    encoded = cv2.imencode(".png", picture)[1].tobytes()
    for number in range(10_000):
        (small / f"{number:05}.png").write_bytes(encoded)
    arguments = ("capture", small, "--key", key, "--out", folder / "small out")
    run(*arguments)
    return [goal("resume of a finished 10,000-file job, s", median(run(*arguments) for _ in range(3)), most=5.0)]


if __name__ == "__main__":
    raise SystemExit(main())

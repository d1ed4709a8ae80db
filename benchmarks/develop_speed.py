"""Speed of development, RAW to sRGB with Malvar's demosaicing, beside LibRaw and colour-demosaicing.

Run ``python -m benchmarks.develop_speed [--peer SIDE/bin/python]``; the table goes to the screen and
benchmarks/results/develop_speed.json. SIDE is an environment with ``pip install colour-demosaicing``; without it that
peer is left out.

Every candidate begins with the mosaic in memory. ``develop`` and LibRaw's linear path (``rawpy``'s ``postprocess``
of a file that is open and unpacked) end with an 8-bit sRGB picture; colour-demosaicing only demosaics, to float64. The
12 megapixels are also developed from a quad-Bayer and an X-Trans mosaic, which have a method of their own. Each thread
count runs in a process of its own, because LibRaw reads it at its start; candidates take turns within it.
colour-demosaicing knows one thread only.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from benchmarks.measure import RESULTS, interleave, medians_ms, print_table, write_report
from scrambler import Key, Multiplexer
from sensor import RawFrame, develop, sensor_preset, srgb_encode, unprocess
from sensor.cfa import QUAD_BAYER, X_TRANS, cfa_tile

SHAPE = (3000, 4000)
OFFICIAL = Path(__file__).with_name("develop_official.py")
LIBRAW, COLOUR = "rawpy LINEAR", "colour-demosaicing Malvar"
GOALS = {LIBRAW: 8.0, COLOUR: 20.0}
OTHER_FILTERS = {"quad-Bayer": QUAD_BAYER, "X-Trans": X_TRANS}
BORDER_PX = 2


def twelve_megapixels(cfa: str = "RGGB") -> RawFrame:
    """Return a frame with edges, gradients and fine stripes, cut to whole periods of the filter array."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[1]
    picture = np.stack([0.3 + 0.4 * x, 0.5 + 0.2 * np.sin(50 * y), 0.6 - 0.3 * x * y], 2)
    picture[::7, 100:-100] *= 0.5
    period = cfa_tile(cfa).shape[0]
    height, width = (side // period * period for side in SHAPE)
    params = replace(sensor_preset("imx477"), cfa=cfa, height_px=height, width_px=width)
    return unprocess(picture[:height, :width], params)


def frames(folder: Path) -> dict[str, Path]:
    """Return RAW files to develop: 12 megapixels written here, and the sample data where they are."""
    own = folder / "made.dng"
    twelve_megapixels().save(own)
    found = {"12 MP": own}
    data = Path(os.environ.get("SHUFFLECAM_DATA", Path(__file__).parents[2] / "shared" / "data")) / "raw"
    for path in sorted(data.glob("*1_*.dng"))[-1:] + sorted(data.glob("nikon*.dng")):
        found[path.stem] = path
    return found


def light_of(frame: RawFrame) -> NDArray[np.float64]:
    """Return white-balanced light in double precision, what a demosaicing is given."""
    place = np.arange(frame.shape[0])[:, None] % 2, np.arange(frame.shape[1]) % 2
    gains = frame.white_balance[["RGB".index(letter) for letter in frame.cfa]].reshape(2, 2)
    black = frame.black_level[place]
    return np.clip(gains[place] * (frame.mosaic - black) / (frame.white_level - black), 0, 1)


@contextmanager
def peer(python: Path, frame: RawFrame, folder: Path) -> Iterator[tuple[Callable[[], object], NDArray[np.float64]]]:
    """Yield a call that runs colour-demosaicing once in its own process, and its result."""
    light, rgb = folder / "light.npy", folder / "rgb.npy"
    np.save(light, light_of(frame))
    arguments = [str(python), "-W", "ignore", str(OFFICIAL), str(light), frame.cfa, str(rgb)]
    with subprocess.Popen(  # noqa: S603 - the user's own interpreter, our own script
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise SystemExit(f"{python} cannot run colour-demosaicing; its own message is above")
        ask, answers = process.stdin, process.stdout

        def run() -> object:
            ask.write("\n")
            ask.flush()
            return answers.readline()

        yield run, np.load(rgb)
        ask.close()


def eight_bits(light: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return codes as ``develop`` rounds them."""
    return np.floor(255 * np.clip(light, 0, 1) + 0.5).astype(np.uint8)


def differences(frame: RawFrame, rgb: NDArray[np.float64]) -> dict[str, object]:
    """Compare their demosaicing with ours inside the border, at 8 bits, bare and through the whole chain."""
    bare = replace(frame, color_matrix=np.eye(3))
    inside = slice(BORDER_PX, -BORDER_PX)
    result: dict[str, object] = {"values": int(rgb[inside, inside].size)}
    chain = srgb_encode(np.clip(rgb @ frame.color_matrix.T, 0, 1))
    for name, ours, theirs in (
        ("demosaiced, linear", develop(bare, tone="linear", dtype=np.uint8), eight_bits(rgb)),
        ("with matrix and sRGB curve", develop(frame, dtype=np.uint8), eight_bits(chain)),
    ):
        off = np.abs(ours[inside, inside].astype(int) - theirs[inside, inside])
        result[f"{name}: values that differ"] = int((off > 0).sum())
        result[f"{name}: largest difference"] = int(off.max())
    return result


def dyadic(frame: RawFrame) -> RawFrame:
    """Return the frame with levels and gains at which float32 and float64 both reckon without rounding."""
    codes = np.clip(frame.mosaic.astype(int) - int(frame.black_level.min()), 0, 4096).astype(np.uint16)
    return replace(
        frame, mosaic=codes, bit_depth=13, black_level=np.zeros((2, 2)), white_level=4096, white_balance=np.ones(3)
    )


def measure(threads: int, rounds: int, python: Path | None) -> dict[str, Any]:
    """Return rows and comparisons of one thread count."""
    rows: list[dict[str, object]] = []
    same: list[dict[str, object]] = []
    key = Key.from_bytes(bytes(range(32)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for label, path in frames(folder).items():
            frame = RawFrame.load(path)
            shuffled = frame.shuffle(Multiplexer(key))
            with rawpy.imread(str(path)) as raw:
                out, codes = np.empty_like(frame.mosaic), frame.mosaic.copy()
                candidates: dict[str, Callable[[], object]] = {
                    "memcpy of the mosaic": partial(np.copyto, out, codes),
                    LIBRAW: partial(
                        raw.postprocess, demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR, use_camera_wb=True,
                        no_auto_bright=True,
                    ),
                    "develop, 8 bit": partial(develop, frame, dtype=np.uint8),
                    "develop, float32": partial(develop, frame),
                    "develop, 8 bit, shuffled": partial(develop, shuffled, key, dtype=np.uint8),
                }  # fmt: skip
                if label == "12 MP":
                    for name, cfa in OTHER_FILTERS.items():
                        candidates[f"develop, 8 bit, {name}"] = partial(develop, twelve_megapixels(cfa), dtype=np.uint8)
                if python is None:
                    times = medians_ms(interleave(candidates, rounds))
                else:
                    with peer(python, frame, folder) as (run, rgb):
                        times = medians_ms(interleave({**candidates, COLOUR: run}, rounds))
                    same.append({"file": label, **differences(frame, rgb)})
                    with peer(python, dyadic(frame), folder) as (_, rgb):
                        same.append({"file": f"{label}, levels of powers of two", **differences(dyadic(frame), rgb)})
            for what, milliseconds in times.items():
                rows.append(
                    {
                        "file": label,
                        "threads": threads,
                        "what": what,
                        "ms": round(milliseconds, 2),
                        "ns per photosite": round(1e6 * milliseconds / frame.mosaic.size, 2),
                        "x develop, 8 bit": round(milliseconds / times["develop, 8 bit"], 2),
                    }
                )
    return {"rows": rows, "same": same}


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peer", type=Path, help="interpreter of an environment with colour-demosaicing")
    parser.add_argument("--threads", type=int, help="measure this count only, and print JSON")
    arguments = parser.parse_args(argv)
    if arguments.threads is not None:
        print(json.dumps(measure(arguments.threads, arguments.rounds, arguments.peer)))
        return 0
    rows, same = [], []
    for threads in range(1, min(2, os.cpu_count() or 1) + 1):
        command = [sys.executable, "-m", "benchmarks.develop_speed", "--rounds", str(arguments.rounds)]
        command += ["--threads", str(threads)]
        # The peer takes one thread, however many there are.
        command += ["--peer", str(arguments.peer)] if arguments.peer and threads == 1 else []
        limits = {"OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
        done = subprocess.run(  # noqa: S603 - this very script
            command, env={**os.environ, **limits}, stdout=subprocess.PIPE, check=True, text=True
        )
        found = json.loads(done.stdout)
        rows += found["rows"]
        same += found["same"]
    goals = [
        {
            "file": row["file"],
            "threads": row["threads"],
            "ratio": f"{row['what']} / develop, 8 bit",
            "at least": GOALS[row["what"]],
            "measured": row["x develop, 8 bit"],
            "held": row["x develop, 8 bit"] >= GOALS[row["what"]],
        }
        for row in rows
        if row["what"] in GOALS
    ]
    print_table(f"RAW to sRGB, medians of {arguments.rounds} interleaved rounds", rows)
    print()
    print_table("Goals, as ratios within this run", goals)
    if same:
        print()
        print_table("Values that differ from colour-demosaicing's at 8 bits, two photosites of border left out", same)
    write_report(
        RESULTS / "develop_speed.json", "RAW to sRGB with Malvar's demosaicing", rows, goals=goals, identity=same,
        rounds=arguments.rounds, rawpy=f"rawpy {version('rawpy')}, LibRaw {'.'.join(map(str, rawpy.libraw_version))}",
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

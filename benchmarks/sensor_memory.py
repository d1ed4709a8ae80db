"""Peak memory of a capture at 12 megapixels, beyond the scene and the frame: bytes a photosite, for every pattern.

Run ``python -m benchmarks.sensor_memory``; the table goes to the screen and benchmarks/results/sensor_memory.json.
Each case is a process of its own: it captures a small frame first, which loads and compiles everything, makes the
scene, resets its peak resident size and captures two frames, so that fixed-pattern maps, shuffle tables and what a
library keeps back from one frame to the next are all counted. Needs Linux's /proc.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.measure import RESULTS, print_table, write_report
from scrambler import Key, Multiplexer
from sensor import Camera, Scene

SHAPE = (3000, 4000)
GOAL = 16.0
PATTERNS = ("frame", "rows", "columns", "rows+columns", "lines:16", "tiles:8", "blocks:8")
PATH = RESULTS / "sensor_memory.json"


def resident_bytes(name: str) -> int:
    """Return a field of the kernel's account of this process: VmRSS is its size now, VmHWM its peak."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(fields[name].split()[0])


def case(stage: str, pattern: str, unit: str, colours: int) -> float:
    """Return the bytes a photosite that capturing in this process takes, beyond scene and frame."""
    mux = None if stage == "natural" else Multiplexer(Key.from_bytes(bytes(32)), pattern=pattern, unit=unit)
    camera = Camera("imx477", mux, stage="post-adc" if mux is None else stage)
    channels = () if colours == 1 else (3,)
    camera.capture(Scene.from_array(np.full((384, 384, *channels), 0.3, np.float32)))
    scene = Scene.from_array(np.full((*SHAPE, *channels), 0.3, np.float32))
    before = resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # peak = now
    for _ in range(2):
        frame = camera.capture(scene)
        output = frame.mosaic.nbytes
        del frame
    return (resident_bytes("VmHWM") - before - output) / (SHAPE[0] * SHAPE[1])


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs=4, metavar=("STAGE", "PATTERN", "UNIT", "COLOURS"), help="one case, in here")
    arguments = parser.parse_args(argv)
    if arguments.case:
        stage, pattern, unit, colours = arguments.case
        print(case(stage, pattern, unit, int(colours)))
        return 0
    cases = [("natural", "-", "-", colours) for colours in (1, 3)]
    cases += [(stage, p, unit, 1) for stage in ("post-adc", "pre-adc") for p in PATTERNS for unit in ("quad", "pixel")]
    cases += [(stage, "frame", unit, 3) for stage in ("post-adc", "pre-adc") for unit in ("quad", "plane")]
    rows = []
    for stage, pattern, unit, colours in cases:
        command = [sys.executable, "-m", "benchmarks.sensor_memory", "--case", stage, pattern, unit, str(colours)]
        run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this very script
        taken = float(run.stdout)
        rows.append(
            {
                "stage": stage,
                "pattern": pattern,
                "unit": unit,
                "colours": colours,
                "bytes a photosite": round(taken, 2),
                "at most": GOAL,
                "held": taken <= GOAL,
            }
        )
    print_table(f"Peak memory of capture, {SHAPE[1]} x {SHAPE[0]}, beyond scene and frame", rows)
    write_report(PATH, "peak memory of capture at 12 megapixels, beyond scene and frame", rows, shape=SHAPE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Capture beside Pyxel's comparable pipeline, on the same 12 megapixels of light.

Run ``python -m benchmarks.sensor_pyxel INTERPRETER`` with the Python of an environment that has Pyxel (distribution
pyxel-sim; its dependencies need not agree with ours); the table goes to the screen and
benchmarks/results/sensor_pyxel.json.

Both have photon shot noise, dark current, PRNU from a given map, full well, read noise, gain and a 12-bit converter;
ours has DSNU and black level besides. Pyxel spends no time on reading light or writing results: the photons are in its
memory, and only its pipeline is timed, in its own process. It runs on one thread; we are measured on one and on two.
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numba
import numpy as np

from benchmarks.measure import RESULTS, interleave, print_table, write_report
from sensor import Camera, Scene, sensor_preset

SHAPE = (3000, 4000)
GOAL = 100.0
# Volts an electron makes: Pyxel wants some, and nothing depends on how many.
VOLTS_PER_E = 1e-5


class Pyxel:
    """Pyxel at work in a process of its own."""

    def __init__(self, interpreter: str, folder: str) -> None:
        script = Path(__file__).with_name("pyxel_pipeline.py")
        self._process = subprocess.Popen(  # noqa: S603 - the user's own interpreter, our own script
            [interpreter, str(script), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.version = self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("Pyxel's process ended; its message is above")
        return line.strip()

    def expose(self) -> dict[str, float]:
        """Return the seconds of one exposure, and mean and standard deviation of its codes."""
        assert self._process.stdin is not None
        self._process.stdin.write("expose\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(self._answer())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interpreter", help="Python of the environment that has Pyxel")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args(argv)
    params = replace(sensor_preset("imx477"), cfa="W")
    photons = np.random.default_rng(0).uniform(200, 8000, SHAPE).astype(np.float32)
    camera, scene = Camera(params), Scene.from_array(photons / np.float32(params.saturation_e))
    before = numba.get_num_threads()

    def ours(threads: int) -> None:
        numba.set_num_threads(min(threads, before))
        camera.capture(scene)

    threads = {f"capture {count}T": partial(ours, count) for count in (1, 2)}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "photons.npy"), photons)
        sensitivity = 1 + params.prnu_percent / 100 * np.random.default_rng(1).standard_normal(SHAPE, np.float32)
        np.save(Path(folder, "prnu.npy"), sensitivity)
        figures = {
            "volts_per_e": VOLTS_PER_E,
            "full_well_e": params.full_well_e,
            "bit_depth": params.bit_depth,
            "adc_range_e": ((1 << params.bit_depth) - 1) / params.gain_dn_per_e,
            "dark_e": 0.01,
            "read_noise_e": params.total_read_noise_e(),
        }
        Path(folder, "figures.json").write_text(json.dumps(figures))
        pyxel = Pyxel(arguments.interpreter, folder)
        pyxel.expose()
        interleave(threads, 0)
        seconds: dict[str, list[float]] = {"Pyxel": [], **{name: [] for name in threads}}
        for _ in range(arguments.rounds):
            answer = pyxel.expose()
            seconds["Pyxel"].append(answer["seconds"])
            # The second call of a pair: the first brings our process back into the caches.
            for name, times in interleave(threads, 1).items():
                seconds[name] += times
        pyxel.close()
    numba.set_num_threads(before)
    codes = camera.capture(scene).mosaic - params.black_level_dn
    rows = []
    for name, times in seconds.items():
        ratio = median(seconds["Pyxel"]) / median(times)
        rows.append(
            {
                "what": name,
                "ms": round(1e3 * median(times), 1),
                "Pyxel takes times": round(ratio, 1),
                "at least": None if name == "Pyxel" else GOAL,
                "held": None if name == "Pyxel" else ratio >= GOAL,
            }
        )
    agreement = {
        "mean code, Pyxel": round(answer["mean"], 2),
        "mean code, capture, less black level": round(float(codes.mean()), 2),
        "spread, Pyxel": round(answer["spread"], 2),
        "spread, capture": round(float(codes.std()), 2),
    }
    print_table(f"{SHAPE[1]} x {SHAPE[0]}, medians of {arguments.rounds} rounds, Pyxel {pyxel.version}", rows)
    print(agreement)
    write_report(
        RESULTS / "sensor_pyxel.json",
        "capture beside Pyxel's comparable pipeline at 12 megapixels",
        rows,
        rounds=arguments.rounds,
        pyxel=pyxel.version,
        agreement=agreement,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

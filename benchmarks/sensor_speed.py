"""Speed of capture on 12 megapixels, on one and two threads, beside NumPy in tiles.

Run ``python -m benchmarks.sensor_speed``; the table goes to the screen and benchmarks/results/sensor_speed.json.
The peer is NumPy at its best: a thread pool over tiles that fit the cache, NumPy's fastest bit generator (SFC64), one
Poisson draw a photosite, single-precision normal numbers and arithmetic in place, and a new frame each time, as ours.
It has the effects of the camera beside it (PRNU, dark current, shot noise, full well, DSNU, read noise, gain, black
level, rounding, clipping), its fixed-pattern maps drawn beforehand as ours are, and no colours to reckon.

Where our time goes in bright light, in ns a photosite on one core with 512-bit vectors, stage by stage in the first
cache: words 0.32, radius 0.20, angle 0.18, Poisson count 0.35, light and PRNU 0.16, the search for dim ones 0.05, noise
and offset 0.10, converter 0.17; together 1.5, whole rows 1.8, and 1.9 to 2.0 with 10 bytes a photosite from memory.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import RESULTS, interleave, medians_ms, print_table, write_report
from sensor import Camera, Scene, sensor_preset

SHAPE = (3000, 4000)
THREADS = numba.get_num_threads()
TILE_ROWS = 8
LIGHTS = {"bright, 200 to 8000 e-": (200.0, 8000.0), "low, 2 to 60 e-": (2.0, 60.0)}
# Name of the light, least ratio of tiled NumPy to ours at equal threads.
GOALS = {"bright, 200 to 8000 e-": 15.0, "low, 2 to 60 e-": 8.0}
# What a camera does unless told otherwise, and the reference to study it by.
SAMPLERS = ("fast", "exact")


def numpy_chain(photons: NDArray[Any], threads: int) -> Callable[[], NDArray[np.uint16]]:
    """Return the chain in NumPy, tile by tile in a pool, with the fastest bit generator and float32 normals."""
    params = sensor_preset("imx477")
    rng = np.random.default_rng(1)
    sensitivity = (1 + 0.007 * rng.standard_normal(SHAPE, np.float32)).astype(np.float32)
    offsets = (0.5 * rng.standard_normal(SHAPE, np.float32)).astype(np.float32)
    read_e = np.float32(params.total_read_noise_e())
    pool = ThreadPoolExecutor(threads)
    firsts = range(0, SHAPE[0], TILE_ROWS)

    def tile(codes: NDArray[np.uint16], first: int, generator: np.random.Generator) -> None:
        rows = slice(first, first + TILE_ROWS)
        charge = generator.poisson(photons[rows] * sensitivity[rows] + np.float32(0.01)).astype(np.float32)
        np.minimum(charge, np.float32(params.full_well_e), out=charge)
        charge += offsets[rows]
        charge += read_e * generator.standard_normal(charge.shape, np.float32)
        charge *= np.float32(params.gain_dn_per_e)
        charge += np.float32(params.black_level_dn + 0.5)
        np.clip(charge, 0, 4095, out=charge)
        codes[rows] = charge

    def run() -> NDArray[np.uint16]:
        generators = [np.random.Generator(np.random.SFC64(first)) for first in firsts]
        codes = np.empty(SHAPE, np.uint16)
        list(pool.map(partial(tile, codes), firsts, generators))
        return codes

    return run


def ours(photons: NDArray[Any], threads: int, sampler: str) -> Callable[[], object]:
    """Return a capture of the same light by the IMX477 without its filters."""
    params = replace(sensor_preset("imx477"), cfa="W")
    camera = Camera(params, sampler=sampler)
    scene = Scene.from_array(photons / np.float32(params.saturation_e))

    def run() -> object:
        numba.set_num_threads(min(threads, THREADS))
        return camera.capture(scene)

    return run


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args(argv)
    rows, goals = [], []
    for light, (low, high) in LIGHTS.items():
        photons = np.random.default_rng(0).uniform(low, high, SHAPE).astype(np.float32)
        out = np.empty(SHAPE, np.uint16)
        codes = np.zeros(SHAPE, np.uint16)
        candidates: dict[str, Callable[[], object]] = {"memcpy": partial(np.copyto, out, codes)}
        for threads in (1, 2):
            candidates[f"tiled NumPy {threads}T"] = numpy_chain(photons, threads)
            for sampler in SAMPLERS:
                candidates[f"capture, {sampler} {threads}T"] = ours(photons, threads, sampler)
        times = medians_ms(interleave(candidates, arguments.rounds))
        for name, milliseconds in times.items():
            rows.append(
                {
                    "light": light,
                    "what": name,
                    "ms": round(milliseconds, 2),
                    "ns per photosite": round(1e6 * milliseconds / (SHAPE[0] * SHAPE[1]), 2),
                    "x memcpy": round(milliseconds / times["memcpy"], 1),
                }
            )
        for threads in (1, 2):
            ratio = times[f"tiled NumPy {threads}T"] / times[f"capture, fast {threads}T"]
            goals.append(
                {
                    "light": light,
                    "ratio": f"tiled NumPy / capture, {threads}T",
                    "at least": GOALS[light],
                    "measured": round(ratio, 2),
                    "held": ratio >= GOALS[light],
                }
            )
    print_table(f"capture of {SHAPE[1]} x {SHAPE[0]}, medians of {arguments.rounds} interleaved rounds", rows)
    print()
    print_table("Goals, as ratios within this run", goals)
    write_report(
        RESULTS / "sensor_speed.json",
        "speed of the capture chain at 12 megapixels",
        rows,
        goals=goals,
        rounds=arguments.rounds,
        threads_available=THREADS,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Speed on 12 megapixels, on one and two threads: capture beside NumPy in tiles, development beside LibRaw.

Run ``python -m benchmarks.sensor_speed``; the table goes to the screen and benchmarks/results/sensor_speed.json.
The NumPy chain draws the same noise from the same maps: Poisson, full well, DSNU, read noise, gain, rounding, clipping.
"""

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
import rawpy
from numpy.typing import NDArray

from benchmarks.measure import RESULTS, interleave, medians_ms, print_table, write_report
from sensor import Camera, Scene, develop, sensor_preset, unprocess

SHAPE = (3000, 4000)
THREADS = numba.get_num_threads()
TILE_ROWS = 8
LIGHTS = {"bright, 200 to 8000 e-": (200.0, 8000.0), "low, 2 to 60 e-": (2.0, 60.0)}
# Name of the light, least ratio of tiled NumPy to ours at equal threads.
GOALS = {"bright, 200 to 8000 e-": 15.0, "low, 2 to 60 e-": 8.0}


def numpy_chain(photons: NDArray[Any], threads: int) -> Callable[[], NDArray[np.uint16]]:
    """Return the chain in NumPy, tile by tile in a pool, with the fastest bit generator and float32 normals."""
    params = sensor_preset("imx477")
    rng = np.random.default_rng(1)
    sensitivity = (1 + 0.007 * rng.standard_normal(SHAPE, np.float32)).astype(np.float32)
    offsets = (0.5 * rng.standard_normal(SHAPE, np.float32)).astype(np.float32)
    codes = np.empty(SHAPE, np.uint16)
    read_e = np.float32(params.total_read_noise_e())
    pool = ThreadPoolExecutor(threads)
    firsts = range(0, SHAPE[0], TILE_ROWS)

    def tile(work: tuple[int, np.random.Generator]) -> None:
        first, generator = work
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
        list(pool.map(tile, zip(firsts, generators, strict=True)))
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


def development(folder: str) -> dict[str, Callable[[], object]]:
    """Return RAW to sRGB by Malvar-He-Cutler, and by LibRaw's bilinear path, of the same frame."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[1]
    picture = np.stack([0.3 + 0.4 * x, 0.5 + 0.2 * np.sin(50 * y), 0.6 - 0.3 * x * y], 2)
    frame = unprocess(picture, "imx477")
    path = Path(folder, "frame.dng")
    frame.save(path)

    def libraw() -> object:
        with rawpy.imread(str(path)) as raw:
            return raw.postprocess(
                demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR, use_camera_wb=True, no_auto_bright=True
            )

    def ours(threads: int) -> object:
        numba.set_num_threads(min(threads, THREADS))
        return develop(frame)

    return {"rawpy LINEAR": libraw, "develop, 1T": partial(ours, 1), "develop, 2T": partial(ours, 2)}


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
            candidates[f"capture, fast {threads}T"] = ours(photons, threads, "fast")
            candidates[f"capture, exact {threads}T"] = ours(photons, threads, "exact")
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
        for sampler in ("fast", "exact"):
            for threads in (1, 2):
                ratio = times[f"tiled NumPy {threads}T"] / times[f"capture, {sampler} {threads}T"]
                goals.append(
                    {
                        "light": light,
                        "ratio": f"tiled NumPy / capture, {sampler}, {threads}T",
                        "at least": GOALS[light],
                        "measured": round(ratio, 2),
                        "held": ratio >= GOALS[light],
                    }
                )
    with tempfile.TemporaryDirectory() as folder:
        times = medians_ms(interleave(development(folder), arguments.rounds))
    for name, milliseconds in times.items():
        rows.append(
            {
                "light": "RAW to sRGB",
                "what": name,
                "ms": round(milliseconds, 2),
                "ns per photosite": round(1e6 * milliseconds / (SHAPE[0] * SHAPE[1]), 2),
                "x memcpy": None,
            }
        )
    ratio = times["rawpy LINEAR"] / times["develop, 2T"]
    goals.append(
        {
            "light": "RAW to sRGB",
            "ratio": "rawpy LINEAR / develop, 2T",
            "at least": 8.0,
            "measured": round(ratio, 2),
            "held": ratio >= 8,
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

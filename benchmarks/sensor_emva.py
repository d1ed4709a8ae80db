"""Our EMVA 1288 figures beside those of the open ``emva1288`` package, from the same frames.

Run ``python -m benchmarks.sensor_emva --official PYTHON`` with the interpreter of an environment that holds
``emva1288==1.0.2 numpy<2 pillow<11``; the table goes to the screen and benchmarks/results/emva_official.json.
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, print_table, write_report
from sensor import Camera, list_presets, measure_emva1288
from sensor.emva_analysis import EmvaFigures
from sensor.emva_bench import bench_series
from sensor.emva_frames import DESCRIPTOR, write_emva_folder

# The package takes one exposure time a session, so it gives no dark current.
COMMON = tuple(
    name for name in (field.name for field in fields(EmvaFigures)) if "dark_current" not in name and "row" not in name
    and "pixel" not in name
)  # fmt: skip


def compare(sensor: str, official: str, shape: tuple[int, int]) -> list[dict[str, Any]]:
    """Return one row a figure: true, ours, theirs."""
    camera = Camera(sensor, seed=3)
    with tempfile.TemporaryDirectory() as folder:
        write_emva_folder(bench_series(camera, shape), folder, bit_depth=camera.params.bit_depth)
        ours = measure_emva1288(folder)
        script = Path(__file__).with_name("sensor_emva_official.py")
        done = subprocess.run(  # noqa: S603 - the user's own interpreter, our own script
            [official, str(script), str(Path(folder, DESCRIPTOR))], capture_output=True, text=True, check=True
        )
    theirs = json.loads(done.stdout.splitlines()[-1])
    truth = measure_emva1288(camera, shape=(16, 16)).truth
    return [
        {
            "sensor": sensor,
            "figure": name,
            "true": getattr(truth, name),
            "ours": getattr(ours, name),
            "emva1288": theirs[name],
            "ours / emva1288 - 1 in %": 100 * (getattr(ours, name) / theirs[name] - 1) if theirs[name] else None,
        }
        for name in COMMON
    ]


def main(argv: list[str] | None = None) -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", required=True, help="Python interpreter that has the emva1288 package")
    parser.add_argument("--sensors", nargs="*", default=list_presets())
    arguments = parser.parse_args(argv)
    rows = [row for sensor in arguments.sensors for row in compare(sensor, arguments.official, (256, 320))]
    print_table("EMVA 1288 of the same frames, 256 x 320", rows)
    write_report(RESULTS / "emva_official.json", "EMVA 1288: ours beside emva1288 1.0.2", rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

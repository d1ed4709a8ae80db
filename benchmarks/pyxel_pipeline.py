"""The Pyxel half of benchmarks/sensor_pyxel.py: runs under Pyxel's own interpreter and imports nothing of ours.

Usage: ``python pyxel_pipeline.py FOLDER``. FOLDER holds photons.npy, prnu.npy and figures.json. Every line on standard
input asks for one exposure; the answer is its seconds, and on the first line also Pyxel's version.
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyxel  # type: ignore[import-not-found]  # not among our requirements, see above
from pyxel.detectors import CMOS, CMOSCharacteristics, CMOSGeometry, Environment  # type: ignore[import-not-found]  # not among our requirements, see above
from pyxel.detectors.charge_to_volt_settings import ChargeToVoltSettings  # type: ignore[import-not-found]  # not among our requirements, see above
from pyxel.exposure import Exposure, Readout  # type: ignore[import-not-found]  # not among our requirements, see above
from pyxel.pipelines import DetectionPipeline, ModelFunction  # type: ignore[import-not-found]  # not among our requirements, see above

PHOTONS: list[np.ndarray[Any, Any]] = []


def same_light(detector: Any) -> None:
    """Put the frame's photons on the detector: a model of Pyxel's kind, spared the reading of a file."""
    detector.photon.array_2d = PHOTONS[0].copy()


def model(group: str, name: str, **arguments: object) -> ModelFunction:
    """Return one of Pyxel's models with its arguments."""
    return ModelFunction(func=f"{group}.{name}", name=name, arguments=arguments)


def main() -> int:
    """Answer requests until standard input ends."""
    logging.disable(logging.INFO)
    folder = Path(sys.argv[1])
    figures = json.loads((folder / "figures.json").read_text())
    PHOTONS.append(np.load(folder / "photons.npy").astype(np.float64))
    height, width = PHOTONS[0].shape
    volts = figures["volts_per_e"]
    detector = CMOS(
        geometry=CMOSGeometry(row=height, col=width),
        environment=Environment(temperature=300.0),
        characteristics=CMOSCharacteristics(
            quantum_efficiency=1.0,
            charge_to_volt=ChargeToVoltSettings(value=volts),
            pre_amplification=1.0,
            full_well_capacity=figures["full_well_e"],
            adc_bit_resolution=figures["bit_depth"],
            adc_voltage_range=(0.0, figures["adc_range_e"] * volts),
        ),
    )
    models = "pyxel.models"
    pipeline = DetectionPipeline(
        photon_collection=[
            model("pyxel_pipeline", "same_light"),
            model(f"{models}.photon_collection", "shot_noise"),
        ],
        charge_generation=[
            model(f"{models}.charge_generation", "simple_conversion", binomial_sampling=False),
            model(f"{models}.charge_generation", "simple_dark_current", dark_rate=figures["dark_e"]),
        ],
        charge_collection=[
            model(f"{models}.charge_collection", "simple_collection"),
            model(f"{models}.charge_collection", "fixed_pattern_noise", filename=str(folder / "prnu.npy")),
            model(f"{models}.charge_collection", "simple_full_well"),
        ],
        charge_measurement=[
            model(f"{models}.charge_measurement", "simple_measurement"),
            model(f"{models}.charge_measurement", "output_node_noise", std_deviation=figures["read_noise_e"] * volts),
        ],
        readout_electronics=[
            model(f"{models}.readout_electronics", "simple_amplifier"),
            model(f"{models}.readout_electronics", "simple_adc"),
        ],
    )
    mode = Exposure(readout=Readout(times=[1.0]), result_type="image")
    print(pyxel.__version__, flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        pyxel.run_mode(mode=mode, detector=detector, pipeline=pipeline)
        seconds = time.perf_counter() - begin
        codes = detector.image.array
        print(json.dumps({"seconds": seconds, "mean": float(codes.mean()), "spread": float(codes.std())}), flush=True)
    return 0


if __name__ == "__main__":
    # Pyxel finds models by their module's name.
    sys.modules["pyxel_pipeline"] = sys.modules["__main__"]
    raise SystemExit(main())

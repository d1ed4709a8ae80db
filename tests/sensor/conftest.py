"""What several sensor tests need: a key, a quiet sensor, the sample data."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from scrambler import Key
from sensor import SensorParams, sensor_preset

QUIET = {
    "read_noise_e": 0.0,
    "converter_noise_dn": 0.0,
    "dark_current_e_per_s": 0.0,
    "prnu_percent": 0.0,
    "dsnu_e": 0.0,
    "full_well_e": float("inf"),
    "shot_noise": False,
}


@pytest.fixture
def key() -> Key:
    return Key.from_bytes(bytes(range(32)))


@pytest.fixture
def quiet() -> SensorParams:
    """A sensor with every noise off, no colour of its own, and numbers one can reckon with."""
    return replace(
        sensor_preset("imx477"),
        **QUIET,
        name="quiet",
        bit_depth=10,
        black_level_dn=23,
        gain_dn_per_e=0.5,
        color_matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        white_balance=(1.0, 1.0, 1.0),
    )


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the sample data; tests that want it are skipped where it is absent."""
    folder = Path(os.environ.get("SHUFFLECAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no sample data: set SHUFFLECAM_DATA to their folder")
    return folder

"""Calibration gives back what was put in."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from sensor import Calibration, Camera, CaptureError, Scene, calibrate, sensor_preset
from sensor.calibration import _l_kurtosis, _lambda_of

SHAPE = (160, 200)


def frames(camera, level, count, first, exposure_s=0.01):
    scene = Scene.from_array(np.full(SHAPE, float(level)))
    return np.stack([camera.capture(scene, exposure_s=exposure_s, frame=first + n).mosaic for n in range(count)])


def session(params, seed=5):
    camera = Camera(replace(params, cfa="W"), seed=seed)
    darks = {
        0.0: frames(camera, 0, 32, 0, 0.0),
        20.0: frames(camera, 0, 2, 100, 20.0),
        40.0: frames(camera, 0, 2, 200, 40.0),
    }
    flats = [
        frames(camera, level, count, 1000 * n) for n, (level, count) in enumerate(((0.2, 2), (0.4, 32), (0.6, 2)), 1)
    ]
    return darks, flats


@pytest.fixture(scope="module")
def base():
    return replace(
        sensor_preset("pregius-3.45"),
        gain_dn_per_e=0.4, converter_noise_dn=0.0, dark_current_e_per_s=8.0, prnu_percent=0.9, dsnu_e=4.0,
        column_offset_e=3.0, column_gain_percent=0.6, row_noise_e=2.5, black_level_dn=260.0,
    )  # fmt: skip


@pytest.mark.parametrize("lam", [None, -0.177, -0.049, 0.093])
def test_injected_figures_are_recovered(base, lam):
    kind = (
        {"read_noise_kind": "tukey", "tukey_scale_e": 5.0, "tukey_lambda": lam}
        if lam is not None
        else {"read_noise_e": 8.0}
    )
    params = replace(base, **kind)
    found = calibrate(*session(params))
    assert found.gain_dn_per_e == pytest.approx(0.4, rel=0.01)
    assert found.black_level_dn == pytest.approx(260, abs=0.1)
    assert found.dark_current_e_per_s == pytest.approx(8.0, rel=0.02)
    row_free = replace(params, row_noise_e=0.0)
    assert found.read_noise_e == pytest.approx(row_free.total_read_noise_e(), rel=0.02)
    assert found.row_noise_e == pytest.approx(2.5, rel=0.05)
    assert found.dsnu_e == pytest.approx(4.0, rel=0.05)
    assert found.prnu_percent == pytest.approx(0.9, rel=0.03)
    # 200 columns: a spread is known to 1/sqrt(400), 5 %, at one standard error.
    assert found.column_offset_e == pytest.approx(3.0, rel=0.15)
    assert found.column_gain_percent == pytest.approx(0.6, rel=0.15)
    if lam is None:
        assert found.tukey_lambda == pytest.approx(0.1418, abs=0.02)  # the shape with a Gaussian's L-kurtosis
    else:
        assert found.tukey_lambda == pytest.approx(lam, abs=0.02)
        assert found.tukey_scale_e == pytest.approx(5.0, rel=0.02)


def test_a_fitted_preset_is_a_sensor_that_says_where_its_figures_come_from(base):
    found = calibrate(*session(base))
    fitted = found.apply(base, "mine", read_noise_kind="tukey")
    assert fitted.name == "mine"
    assert fitted.gain_dn_per_e == found.gain_dn_per_e
    assert "fitted to 72 frames" in fitted.provenance["dsnu_e"]
    assert fitted.provenance["quantum_efficiency"] == base.provenance["quantum_efficiency"]
    again = calibrate(*session(fitted, seed=9))
    assert again.read_noise_e == pytest.approx(found.read_noise_e, rel=0.05)


@pytest.mark.parametrize("lam", [-0.3, -0.1, 0.0, 0.1, 0.5])
def test_l_moments_tell_the_shape(lam):
    # A large count leaves nothing to correct.
    sample = scipy.stats.tukeylambda.rvs(lam, size=400_000, random_state=1)
    assert _lambda_of(_l_kurtosis(sample, 10**9)) == pytest.approx(lam, abs=0.01)


def good():
    rng = np.random.default_rng(0)
    dark = (100 + 5 * rng.standard_normal((8, 20, 30))).astype(np.uint16)
    flat = (500 + 15 * rng.standard_normal((2, 20, 30))).astype(np.uint16)
    return dark, flat


def test_one_exposure_time_gives_no_dark_current():
    dark, flat = good()
    found = calibrate({0.01: dark}, [flat])
    assert isinstance(found, Calibration)
    assert np.isnan(found.dark_current_e_per_s)
    assert found.apply(sensor_preset("imx477"), "x").dark_current_e_per_s == 1.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda d, f: ({}, [f]), "at least one stack"),
        (lambda d, f: ({0.1: d}, []), "at least one stack"),
        (lambda d, f: ({0.1: d[:5]}, [f]), "5 frames; a calibration needs 8"),
        (lambda d, f: ({0.1: d}, [f[:1]]), r"flats\[0\]: frames are"),
        (lambda d, f: ({0.1: d.astype(float)}, [f]), "darks at 0.1 s: frames are"),
        (lambda d, f: ({0.1: d}, [f[:, :9]]), "one size"),
        (lambda d, f: ({0.1: d}, [d[:2] - 50]), "no brighter"),
    ],
)
def test_frames_that_cannot_be_used_are_refused(wrong, sentence):
    with pytest.raises(CaptureError, match=sentence):
        calibrate(*wrong(*good()))

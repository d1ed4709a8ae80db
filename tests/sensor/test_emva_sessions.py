"""EMVA 1288 beyond a single camera: folders, reports, where patterns lie, and a multiplexer before the converters."""

import json
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest

from scrambler import Multiplexer
from sensor import Camera, CaptureError, SwitchNetwork, measure_emva1288, sensor_preset
from sensor.emva_analysis import EmvaFigures
from sensor.emva_bench import bench_series
from sensor.emva_frames import DARK_DESCRIPTOR, DESCRIPTOR, EmvaSeries, read_emva_folder, write_emva_folder
from sensor.emva_report import emva_png, emva_rows, save_emva_report
from sensor.emva_statistics import stack_statistics

SMALL = (24, 40)
ORDER = bytes(16)


@pytest.fixture(scope="module")
def striped():
    """A sensor with columns and rows that show."""
    return replace(sensor_preset("pregius-3.45"), dsnu_e=3.0, column_offset_e=4.0, column_gain_percent=1.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, striped):
    where = tmp_path_factory.mktemp("session")
    write_emva_folder(bench_series(Camera(striped, seed=2), SMALL), where, bit_depth=12)
    return where


def test_a_folder_measures_exactly_as_the_camera_that_filled_it(folder, striped):
    of_camera, of_folder = measure_emva1288(Camera(striped, seed=2), shape=SMALL), measure_emva1288(folder)
    for field in fields(EmvaFigures):
        # Exposure times pass through nanoseconds in decimal, which may cost their last bit; nothing else does.
        share = 1e-12 if field.name == "dark_current_e_per_s" else 0
        assert getattr(of_folder, field.name) == pytest.approx(getattr(of_camera, field.name), rel=share, abs=0)
    np.testing.assert_array_equal(of_camera.transfer.photons, of_folder.transfer.photons)


def test_the_descriptor_is_what_the_standards_tool_reads(folder):
    lines = (folder / DESCRIPTOR).read_text().splitlines()
    assert lines[:3] == ["v 3.1", "n 12 40 24", "d 10000000"]
    # That tool wants one dark and at least one light series at every exposure time of the file.
    assert {line.split()[1] for line in lines if line[0] in "bd"} == {"10000000"}
    assert sum(line[0] == "i" for line in lines) == 61 * 2 + 64
    assert (folder / DARK_DESCRIPTOR).read_text().count("\nd ") == 6


def test_a_descriptor_by_hand(tmp_path):
    for name, code in (("dark 1.png", 5), ("dark2.png", 7), ("a.png", 9), ("b.png", 9), ("c.png", 12)):
        cv2.imwrite(str(tmp_path / name), np.full((3, 4), code, np.uint16))
    text = "# made by hand\nv 3.0\nn 12 4 3\nd 5e6\ni dark 1.png\ni dark2.png\n\n"
    text += "b 5000000 123.5\ni a.png\ni b.png\ni .\\c.png\n"
    (tmp_path / "any name.txt").write_text(text)
    dark, light = read_emva_folder(tmp_path)
    assert (dark.exposure_s, dark.photons, dark.count) == (0.005, 0, 2)
    assert (light.exposure_s, light.photons, light.count) == (0.005, 123.5, 3)
    assert [int(frame[2, 3]) for frame in dark.frames()] == [5, 7]
    assert [int(frame[0, 0]) for frame in light.frames()] == [9, 9, 12]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no pictures"),
        ("b 1\ni a.png\ni a.png", "line 1 is not part"),
        ("d one\ni a.png\ni a.png", "line 1 is not part"),
        ("d -1\ni a.png\ni a.png", "line 1 is not part"),
        ("d nan\ni a.png\ni a.png", "line 1 is not part"),
        ("i a.png", "line 1 is not part"),
        ("v 3\nq 3", "line 2 is not part"),
        ("d 1\ni a.png", "1 pictures; two are the least"),
        ("d 1\nd 2\ni a.png\ni a.png", "0 pictures; two are the least"),
        ("d 1\ni a.png\ni a.png", "not a complete EMVA 1288 session"),
        ("n 8 5 5\nd 1\ni a.png\ni a.png", "promises pictures that are grey, 5 x 5"),
        ("d 1\ni no.png\ni no.png", "no.png"),
    ],
)
def test_a_damaged_session_is_refused_in_one_sentence(tmp_path, text, sentence):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((3, 4), 9, np.uint16))
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        measure_emva1288(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_or_with_two_descriptors_is_refused(tmp_path):
    with pytest.raises(CaptureError, match="it holds 0"):
        measure_emva1288(tmp_path)
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("v 1\n")
    with pytest.raises(CaptureError, match="it holds 2"):
        measure_emva1288(tmp_path)
    with pytest.raises(CaptureError, match="no such folder"):
        measure_emva1288(tmp_path / "none")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CaptureError, match="text file"):
        measure_emva1288(tmp_path / "a.txt")


def test_a_session_that_varies_the_exposure_time_gives_the_same_figures():
    """Light at a constant rate for longer and longer, with a dark pair at each time, as many laboratories work."""
    rng = np.random.default_rng(0)
    gain, efficiency, dark_rate, offset = 0.4, 0.6, 900.0, 50.0

    def series(exposure_s, rate, count):
        photons = rate * exposure_s

        def frames():
            for _ in range(count):
                electrons = rng.poisson(efficiency * photons + dark_rate * exposure_s, (150, 200))
                volts = np.minimum(electrons, 9000) * gain + offset + rng.normal(0, 2, electrons.shape)
                yield np.rint(volts).astype(np.uint16)

        return EmvaSeries(exposure_s=exposure_s, photons=photons, count=count, frames=frames)

    times = np.linspace(0.0005, 0.018, 30)
    session = [series(t, rate, 2) for t in times for rate in (0.0, 1e6)]
    session += [series(times[13], rate, 16) for rate in (0.0, 1e6)]
    from sensor.emva1288 import _measure

    found = _measure(session, "here")
    assert found.gain_dn_per_e == pytest.approx(gain, rel=0.01)
    assert found.quantum_efficiency == pytest.approx(efficiency, rel=0.01)
    assert found.dark_current_e_per_s == pytest.approx(dark_rate, rel=0.02)
    assert found.linearity_error_percent < 0.3


def test_rows_columns_and_photosites_are_told_apart():
    rng = np.random.default_rng(1)
    height, width, count = 300, 500, 16
    pattern = 1000 + 30 * rng.standard_normal((height, 1)) + 50 * rng.standard_normal((1, width))
    pattern = pattern + 20 * rng.standard_normal((height, width))
    found = stack_statistics(
        np.rint(pattern + 40 * rng.standard_normal((height, width))).astype(np.uint16) for _ in range(count)
    )
    assert found.row_dn2 == pytest.approx(900, rel=5 * np.sqrt(2 / height))
    assert found.column_dn2 == pytest.approx(2500, rel=5 * np.sqrt(2 / width))
    assert found.pixel_dn2 == pytest.approx(400, rel=0.02)
    assert found.variance_dn2 == pytest.approx(found.row_dn2 + found.column_dn2 + found.pixel_dn2, rel=0.01)


def test_a_two_by_three_stack_by_hand():
    # Mean frame [[1, 2, 6], [3, 4, 8]]: rows 3 and 5, columns 2, 3, 7; no residual; no temporal noise.
    frame = np.array([[1, 2, 6], [3, 4, 8]], np.uint16)
    found = stack_statistics([frame, frame])
    assert found.mean_dn == 4
    assert (found.row_dn2, found.column_dn2, found.pixel_dn2) == (2, 7, 0)
    assert found.variance_dn2 == pytest.approx(np.var(frame, ddof=1))


def test_the_spectrum_of_white_noise_is_its_standard_deviation_and_a_wave_stands_out():
    rng = np.random.default_rng(2)
    wave = 5 * np.sin(2 * np.pi * np.arange(128) / 8)
    frame = np.rint(500 + 12 * rng.standard_normal((400, 128)) + wave).astype(np.uint16)
    found = stack_statistics([frame, frame])
    quiet = np.delete(found.row_spectrum_dn[1:], 15)
    assert quiet == pytest.approx(np.full_like(quiet, 12), rel=0.2)
    assert found.row_spectrum_dn[16] == pytest.approx(np.hypot(12, 5 / 2 * np.sqrt(128)), rel=0.1)
    assert len(found.column_spectrum_dn) == 201


def test_column_patterns_are_found_as_such(striped):
    report = measure_emva1288(Camera(striped, seed=3))
    for part in ("dsnu_column_e", "prnu_column_percent"):
        # 320 columns: the spread of this very camera is within 5 standard errors, 1/sqrt(640).
        assert getattr(report, part) == pytest.approx(getattr(report.truth, part), rel=5 / np.sqrt(640))
    for part in ("dsnu_pixel_e", "prnu_pixel_percent"):
        assert getattr(report, part) == pytest.approx(getattr(report.truth, part), rel=0.05)
    assert report.dsnu_row_e < 0.1


@pytest.mark.parametrize("pattern", ["columns", "frame"])
def test_before_the_converters_column_terms_become_pixel_terms_and_nothing_else_changes(key, striped, pattern):
    silent = SwitchNetwork(hold_f=float("inf"), settle_s=float("inf"), injection_e=0.0)
    plain = measure_emva1288(Camera(striped, seed=3))
    mux = Multiplexer(key, pattern=pattern, unit="pixel")
    keyed = measure_emva1288(Camera(striped, mux, seed=3, stage="pre-adc", network=silent), nonce=ORDER)
    for kind in ("dsnu_{}_e", "prnu_{}_percent"):
        before, after = ({p: getattr(r, kind.format(p)) for p in ("row", "column", "pixel")} for r in (plain, keyed))
        moved = before["column"] ** 2 - after["column"] ** 2
        assert after["column"] ** 2 < 0.02 * before["column"] ** 2
        assert after["pixel"] ** 2 - before["pixel"] ** 2 == pytest.approx(moved, rel=0.04)
    same = {"gain_dn_per_e": 0.005, "quantum_efficiency": 0.005, "dark_noise_e": 0.01, "saturation_capacity_e": 0.03}
    for name, share in same.items():
        assert getattr(keyed, name) == pytest.approx(getattr(plain, name), rel=share)
    assert keyed.linearity_error_percent < 0.1
    assert keyed.truth.dsnu_pixel_e == pytest.approx(5.0)
    assert keyed.truth.dsnu_column_e == 0


def test_capacitor_noise_and_injected_charge_add_what_the_model_says(key):
    params = replace(sensor_preset("pregius-3.45"), dsnu_e=1.0)
    network = SwitchNetwork(hold_f=0.3e-12, injection_e=4.0, settle_s=float("inf"))
    camera = Camera(params, Multiplexer(key, unit="pixel"), seed=3, stage="pre-adc", network=network)
    report = measure_emva1288(camera, nonce=ORDER)
    # sqrt(kT/C) = 117 uV at 0.3 pF and 25 degrees; 1.17 e- at 100 uV an electron.
    added = np.sqrt(1.380649e-23 * 298.15 / 0.3e-12) / 1e-4
    assert report.dark_noise_e == pytest.approx(np.hypot(params.total_read_noise_e(), added), rel=0.015)
    assert report.dsnu_e == pytest.approx(np.hypot(1.0, 4.0), rel=5 / np.sqrt(640))


def test_a_fresh_order_for_each_frame_turns_column_patterns_into_temporal_noise(key):
    params = replace(sensor_preset("pregius-3.45"), dsnu_e=1.0, column_offset_e=6.0, prnu_percent=0.5)
    network = SwitchNetwork(injection_e=2.0)
    report = measure_emva1288(Camera(params, Multiplexer(key, unit="pixel"), stage="pre-adc", network=network))
    added = np.hypot(6.0, 2.0)
    assert report.truth.dark_noise_e == pytest.approx(
        np.sqrt(params.total_read_noise_e() ** 2 + added**2 + 0.64**2 + 2 * 0.01), rel=0.01
    )
    # The spread of these 320 columns themselves is known to 1/sqrt(640).
    assert report.dark_noise_e == pytest.approx(report.truth.dark_noise_e, rel=5 / np.sqrt(640))
    assert report.dsnu_e == pytest.approx(1.0, rel=0.06)


def test_slow_settling_mixes_a_column_with_what_it_held_before(key):
    params = replace(sensor_preset("pregius-3.45"), dsnu_e=20.0, prnu_percent=0.0)
    width = 320
    network = SwitchNetwork(hold_f=float("inf"), injection_e=0.0, settle_s=SwitchNetwork().time_constant_s(width))
    mux = Multiplexer(key, unit="pixel")
    report = measure_emva1288(Camera(params, mux, seed=3, stage="pre-adc", network=network), nonce=ORDER)
    # h = (1 - e) v + e h': white noise comes out with the share (1 - e) / (1 + e) of its variance, here e = 1/e. That
    # holds for photon noise too, so the slope of variance against mean, the gain, falls by as much.
    share = (1 - np.exp(-1)) / (1 + np.exp(-1))
    assert report.gain_dn_per_e == pytest.approx(params.gain_dn_per_e * share, rel=0.01)
    dsnu_dn = report.dsnu_e * report.gain_dn_per_e
    assert dsnu_dn == pytest.approx(20 * params.gain_dn_per_e * np.sqrt(share), rel=0.02)


@pytest.mark.parametrize("curvature", [6.0, -10.0])
def test_a_bent_ramp_shows_the_linearity_error_it_was_given(curvature):
    params = replace(sensor_preset("imx477"), ramp_curvature_dn=curvature)
    report = measure_emva1288(Camera(params, seed=1))
    assert report.truth.linearity_error_percent > 0.15
    # Photon noise of a pair of frames leaves about 0.02 % at the lowest step used.
    assert report.linearity_error_percent == pytest.approx(report.truth.linearity_error_percent, abs=0.05)


def test_the_report_is_written_whole(tmp_path, folder):
    measured = measure_emva1288(folder)
    save_emva_report(measured, tmp_path, "a test")
    content = json.loads((tmp_path / "emva1288.json").read_text())
    assert content["measured"]["gain_dn_per_e"] == measured.gain_dn_per_e
    table = (tmp_path / "emva1288.txt").read_text()
    assert "system gain K" in table
    assert f"{measured.gain_dn_per_e:.5g}" in table
    assert (tmp_path / "emva1288.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"emva1288.json", "emva1288.txt", "emva1288.png"}


def test_every_figure_is_in_the_table(folder):
    measured = measure_emva1288(folder)
    assert len(emva_rows(measured)) == len(fields(EmvaFigures)) + 3
    assert all(row[3] == row[4] == "" for row in emva_rows(measured))
    assert emva_png(measured, "x").startswith(b"\x89PNG")

"""Presets of one's own: copied, edited, written, and fitted to frames."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from scrambler import Multiplexer
from sensor import (
    Camera,
    CaptureError,
    PresetError,
    Scene,
    SpectralQe,
    calibrate,
    calibration_stacks,
    copy_preset,
    list_presets,
    read_frame_stacks,
    sensor_preset,
    write_preset,
)


@pytest.mark.parametrize("name", list_presets())
def test_a_sensor_that_was_written_is_read_back_with_its_sources(tmp_path, name):
    params = sensor_preset(name)
    write_preset(params, tmp_path / "again.toml")
    again = sensor_preset(tmp_path / "again.toml")
    assert again == params
    assert {key: again.provenance[key] for key in params.provenance} == dict(params.provenance)
    assert "by hand" in again.provenance["shot_noise"]


def test_odd_figures_and_names_survive(tmp_path, quiet):
    curves = SpectralQe(wavelength_nm=(400.5, 700), red=(0.1, 1 / 3), green=(0, 1), blue=(0.25, 1e-17))
    params = replace(quiet, name='a "b" \\ \x7f\n', title="µ 𝛔", prnu_percent=1 / 3, spectral_qe=curves)
    write_preset(params, tmp_path / "odd.toml")
    assert sensor_preset(tmp_path / "odd.toml") == params
    assert np.isinf(params.full_well_e)


def test_a_copy_is_the_file_under_another_name(tmp_path):
    copy_preset("sony-a7s2", tmp_path / "mine.toml")
    mine, original = sensor_preset(tmp_path / "mine.toml"), sensor_preset("sony-a7s2")
    assert mine.name == "mine"
    assert replace(mine, name="sony-a7s2") == original
    assert mine.provenance == original.provenance
    with pytest.raises(PresetError, match=r"mine.toml: the file exists"):
        copy_preset("imx477", tmp_path / "mine.toml")
    with pytest.raises(PresetError, match="no sensor preset 'imx999'"):
        copy_preset("imx999", tmp_path / "other.toml")
    for wrong, sentence in (("a.txt", "end in .toml"), ("no/a.toml", "cannot write")):
        with pytest.raises(PresetError, match=sentence):
            copy_preset("imx477", tmp_path / wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


LEVELS = (0.15, 0.3, 0.5)


@pytest.fixture(scope="module")
def told():
    return replace(
        sensor_preset("imx477"),
        gain_dn_per_e=0.8, read_noise_e=6.0, converter_noise_dn=0.0, row_noise_e=3.0, prnu_percent=1.5, dsnu_e=5.0,
        black_level_dn=200.0, dark_current_e_per_s=40.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def session(tmp_path_factory, told):
    """Folders of DNGs as a laboratory would keep them: darks by exposure time, flats by level."""
    root = tmp_path_factory.mktemp("session")
    camera = Camera(told, seed=3)
    shape, number = (120, 160), 0
    stacks = [(f"darks/{t}s", 0.0, t, n) for t, n in ((0.01, 16), (5.0, 2), (10.0, 2))]
    stacks += [(f"flats/{level}", level, 0.01, 16 if level == 0.3 else 2) for level in LEVELS]
    for name, level, exposure_s, count in stacks:
        (root / name).mkdir(parents=True)
        for _ in range(count):
            frame = camera.capture(Scene.from_array(np.full(shape, level)), exposure_s, frame=number)
            frame.save(root / name / f"{number:03d}.dng")
            number += 1
    return root


def check(found, told, loose=1.0):
    """Compare with what was put in; 4,800 photosites of one colour, 16 frames."""
    assert found.gain_dn_per_e == pytest.approx(told.gain_dn_per_e, rel=0.03 * loose)
    assert found.read_noise_e == pytest.approx(told.read_noise_e, rel=0.03 * loose)
    assert found.row_noise_e == pytest.approx(told.row_noise_e, rel=0.08 * loose)
    assert found.prnu_percent == pytest.approx(told.prnu_percent, rel=0.06 * loose)
    assert found.dsnu_e == pytest.approx(told.dsnu_e, rel=0.06 * loose)
    assert found.black_level_dn == pytest.approx(told.black_level_dn, abs=0.6 * loose)
    assert found.dark_current_e_per_s == pytest.approx(told.dark_current_e_per_s, rel=0.03 * loose)


def test_frames_become_a_preset_that_a_camera_loads_and_that_gives_such_frames(session, told, tmp_path):
    darks, flats, first = calibration_stacks(session / "darks", session / "flats")
    assert sorted(darks) == [0.01, 5.0, 10.0]
    assert (first.cfa, first.bit_depth, first.codes.shape) == ("RGGB", 12, (16, 120, 160))
    found = calibrate(darks, flats, cfa=first.cfa)
    check(found, told)
    fitted = found.to_preset(tmp_path / "mine.toml", sensor_preset("imx477"))
    assert (fitted.name, sensor_preset(tmp_path / "mine.toml")) == ("mine", fitted)
    camera = Camera(tmp_path / "mine.toml", seed=8)

    def frames(level, count, start, exposure_s=0.01):
        scene = Scene.from_array(np.full((120, 160), level))
        return np.stack([camera.capture(scene, exposure_s, frame=start + n).mosaic for n in range(count)])

    dark = {0.01: frames(0.0, 16, 0), 5.0: frames(0.0, 2, 90, 5.0), 10.0: frames(0.0, 2, 95, 10.0)}
    check(calibrate(dark, [frames(0.3, 16, 20), frames(0.5, 2, 50)], cfa="RGGB"), told, loose=2.0)


def test_colours_do_not_count_as_pattern(session, told):
    darks, flats, _ = calibration_stacks(session / "darks", session / "flats")
    # Taken for a sensor without filters, the levels of the colours would be a pattern of several percent.
    assert calibrate(darks, flats).prnu_percent > 10 * told.prnu_percent


def test_pictures_of_codes_take_their_exposure_from_the_folder(tmp_path):
    codes = np.arange(300, dtype=np.uint16).reshape(15, 20)
    for name in ("darks/10ms", "darks/2.5s", "flats"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), codes + number)
    darks, flats, first = calibration_stacks(tmp_path / "darks", tmp_path / "flats")
    assert sorted(darks) == [0.01, 2.5]
    np.testing.assert_array_equal(darks[2.5], [codes, codes + 1])
    assert (len(flats), first.cfa) == (1, None)


def test_wrong_folders_are_named(tmp_path, session, key):
    with pytest.raises(CaptureError, match=r"nowhere: there is no such folder"):
        read_frame_stacks(tmp_path / "nowhere")
    with pytest.raises(CaptureError, match="no frames"):
        read_frame_stacks(tmp_path)
    (tmp_path / "some").mkdir()
    cv2.imwrite(str(tmp_path / "some" / "a.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(CaptureError, match=r"some: neither files nor folder tell the exposure"):
        calibration_stacks(tmp_path, session / "flats")
    cv2.imwrite(str(tmp_path / "some" / "b.png"), np.zeros((9, 8), np.uint8))
    with pytest.raises(CaptureError, match=r"b.png: size, exposure time or colour filters differ"):
        read_frame_stacks(tmp_path)
    cv2.imwrite(str(tmp_path / "some" / "a.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(CaptureError, match=r"a.png: a picture of codes is grey"):
        read_frame_stacks(tmp_path)
    (tmp_path / "keyed").mkdir()
    scene = Scene.from_array(np.zeros((30, 30)))
    Camera("imx477", Multiplexer(key)).capture(scene).save(tmp_path / "keyed" / "a.dng")
    with pytest.raises(CaptureError, match=r"a.dng: this frame is shuffled"):
        read_frame_stacks(tmp_path / "keyed")
    (tmp_path / "keyed" / "a.dng").write_text("notes")
    with pytest.raises(ValueError, match=r"a.dng: not a RAW file.*grey pictures only"):
        read_frame_stacks(tmp_path / "keyed")
    with pytest.raises(CaptureError, match="8 x 8 or more of a colour"):
        calibrate({0.1: np.zeros((8, 12, 12), np.uint16)}, [np.ones((2, 12, 12), np.uint16)], cfa="RGGB")

"""Charts as pictures, and what stands before the simulated sensor: lamp, lens, gain, stage."""

import cv2
import numpy as np
import pytest

from scrambler import Key
from sensor import CHARTS, RawFrame, Scene
from shufflecam.sources import read_scene


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_the_scene_of_the_same_name(run, tmp_path, name) -> None:
    assert run("chart", name, "--size", "44x30", "--out", tmp_path / "new" / "a.png").status == 0
    drawn, made = Scene.from_image(tmp_path / "new" / "a.png"), CHARTS[name]((30, 44))
    np.testing.assert_allclose(drawn.rows(0, 30), made.rows(0, 30), atol=3e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("moon",), "no chart 'moon'"),
        (("star", "--size", "big"), "got 'big'"),
        (("star", "--size", "0x5"), "got '0x5'"),
        (("star", "--size", "70000x5"), "1 to 65536"),
        (("star", "--out", "a.jpg"), "ends in .png"),
    ],
)
def test_no_chart_is_one_sentence(run, tmp_path, monkeypatch, arguments, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    typed = run("chart", "--out", "a.png", *arguments)
    assert (typed.status, sentence in " ".join(typed.err.split())) == (2, True)
    assert not list(tmp_path.iterdir())


def test_lamp_lens_gain_and_stage_reach_the_frame(run, key_file, tmp_path) -> None:
    run("chart", "flat", "--size", "60x40", "--out", tmp_path / "flat.png")
    capture = ("capture", tmp_path / "flat.png", "--key", key_file, "--sensor", "sony-a7s2", "--seed", 1)
    frames = {}
    for name, options in {
        "plain": (),
        "lamp": ("--light", "A"),
        "lens": ("--lens", "falloff=3"),
        "gain": ("--gain", 2),
        "stage": ("--stage", "pre-adc", "--pattern", "rows"),
    }.items():
        assert run(*capture, *options, "--out", tmp_path / name).status == 0
        frames[name] = RawFrame.load(tmp_path / name / "flat.png.dng")
    key = Key.load(key_file)
    natural = {name: frame.unshuffle(key).mosaic - 512.0 for name, frame in frames.items()}
    blue = (slice(1, None, 2), slice(1, None, 2))
    assert natural["lamp"][blue].mean() < 0.7 * natural["plain"][blue].mean()
    assert natural["lens"][:4, :4].mean() < 0.5 * natural["lens"][18:22, 28:32].mean()
    assert natural["gain"].mean() == pytest.approx(2 * natural["plain"].mean(), rel=0.01)
    assert (frames["plain"].stage, frames["stage"].stage) == ("post-adc", "pre-adc")


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        (("--light", "A"), 1, "imx477' has no spectral"),
        (("--light", "moon", "--sensor", "sony-a7s2"), 1, "no illuminant 'moon'"),
        (("--lens", "blur=2"), 2, "'blur=2' is not NAME=VALUE"),
        (("--lens", "blur_px=soft"), 2, "'soft' is not a number"),
        (("--lens", "blur_px=-1"), 2, "blur_px of a lens must be"),
        (("--lens", "psf=none.npy"), 1, "none.npy: cannot read"),
        (("--stage", "never"), 2, "stage must be one of"),
        (("--gain", "0"), 2, "gain must be a number"),
    ],
)
def test_what_cannot_stand_before_a_sensor_is_said(run, photo, key_file, tmp_path, options, status, sentence) -> None:
    typed = run("capture", photo, "--key", key_file, "--out", tmp_path / "out", *options)
    assert (typed.status, sentence in " ".join(typed.err.split())) == (status, True)


def test_codes_of_a_raw_file_have_passed_the_converters(run, frame_file, key_file, tmp_path) -> None:
    typed = run("capture", frame_file, "--key", key_file, "--out", tmp_path / "out", "--stage", "pre-adc")
    assert (typed.status, "only be shuffled at stage post-adc" in " ".join(typed.err.split())) == (1, True)


def test_a_jpeg_with_wrong_bytes_inside_is_refused_and_extra_bytes_are_not(tmp_path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), picture)
    whole = path.read_bytes()
    assert read_scene(path).shape == (120, 160)
    middle = len(whole) // 2
    wrong = np.random.default_rng(1).integers(0, 255, 800, np.uint8).tobytes()
    path.write_bytes(whole[:middle] + wrong + whole[middle + 800 :])
    with pytest.raises(ValueError, match=r"a.jpg: the picture is damaged"):
        read_scene(path)
    # Some cameras leave a gap before the last marker, which harms nobody.
    path.write_bytes(whole[:-2] + bytes(16) + whole[-2:])
    assert read_scene(path).shape == (120, 160)

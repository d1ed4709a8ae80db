"""``shufflecam capture`` of scenes that move, and of several exposures."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from scrambler import Key, Multiplexer
from sensor import RawFrame, develop, readout_row_order, sensor_preset, write_preset
from sensor.readout_timing import row_time_s

SHAPE = (48, 64)
FRAMES = 6


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Pictures of one brightness each, brighter from one to the next, 25 a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, SHAPE[::-1])
    for number in range(FRAMES):
        writer.write(np.full((*SHAPE, 3), 30 + 40 * number, np.uint8))
    writer.release()
    return path


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """Write the preset of a sensor without filters and nearly without noise, whose rows take 2 ms each."""
    path = tmp_path / "slow.toml"
    usual = sensor_preset("imx477")
    sources = dict.fromkeys(usual.provenance, "assumed: a test")
    params = replace(
        usual, name="slow", cfa="W", shot_noise=False, prnu_percent=0.0, dsnu_e=0.0, read_noise_e=0.01,
        analog_row_s=2e-3, provenance=sources,
    )  # fmt: skip
    write_preset(params, path)
    return path


def row_levels(path: Path, key: Key) -> np.ndarray:
    return RawFrame.load(path).unshuffle(key).mosaic.mean(1)


def test_rows_of_a_rolling_shutter_see_their_own_moments(run, key_file: Path, clip: Path, slow: Path, tmp_path: Path):
    key = Key.load(key_file)
    for folder, more in (("still", ()), ("moving", ("--motion",))):
        done = run("capture", clip, "--key", key_file, "--sensor", slow, "--out", tmp_path / folder, *more)
        assert done.status == 0, done.err
    still = [row_levels(tmp_path / "still" / "clip.avi" / f"{n:06}.dng", key) for n in range(FRAMES)]
    assert all(np.ptp(rows) < 3 for rows in still)
    row_s, exposure_s, period_s = row_time_s(sensor_preset(slow), SHAPE[1]), 0.01, 0.04
    for first in (0, 3, 5):
        moving = row_levels(tmp_path / "moving" / "clip.avi" / f"{first:06}.dng", key)
        for y, level in enumerate(moving):
            # A row is exposed from y T on; at the end the last picture stays.
            begin, end = row_s * y, row_s * y + exposure_s
            shares = [
                max(0.0, min(end, (n + 1) * period_s if first + n < FRAMES - 1 else np.inf) - max(begin, n * period_s))
                for n in range(FRAMES - first)
            ]
            expected = sum(share / exposure_s * still[first + n].mean() for n, share in enumerate(shares))
            assert level == pytest.approx(expected, abs=3)


def test_before_the_converters_the_key_says_when_a_row_is_exposed(
    run, key_file: Path, clip: Path, slow: Path, tmp_path: Path
):
    key = Key.load(key_file)
    how = ("--pattern", "rows", "--unit", "pixel", "--stage", "pre-adc", "--motion")
    done = run("capture", clip, "--key", key_file, "--sensor", slow, "--out", tmp_path / "out", *how)
    assert done.status == 0, done.err
    frame = RawFrame.load(tmp_path / "out" / "clip.avi" / "000000.dng")
    assert frame.nonce is not None
    mux = Multiplexer(key, pattern="rows", unit="pixel")
    order = readout_row_order(mux, sensor_preset(slow), SHAPE, frame.nonce)
    # Pictures brighten with time, so rows brighten in the order they are read in.
    levels = frame.unshuffle(key).mosaic.mean(1)[order]
    assert (np.diff(levels) > -3).all()
    assert levels[-1] > levels[0] + 100
    # Each frame has a nonce, and so an order, of its own.
    second = RawFrame.load(tmp_path / "out" / "clip.avi" / "000001.dng")
    assert second.nonce != frame.nonce


@pytest.mark.parametrize(
    "how",
    [
        (), ("--pattern", "tiles:8"), ("--pattern", "blocks:8"), ("--pattern", "lines:2"),
        ("--pattern", "rows", "--unit", "plane"),
    ],
)  # fmt: skip
def test_a_readout_that_tears_rows_apart_before_the_converters_has_no_motion(
    run, key_file: Path, clip: Path, tmp_path: Path, how
):
    done = run("capture", clip, "--key", key_file, "--stage", "pre-adc", "--motion", "--out", tmp_path / "out", *how)
    assert done.status == 2
    assert "--motion before the converters needs a pattern that keeps rows together" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("how", [("--pattern", "rows+columns"), ("--pattern", "columns", "--unit", "plane")])
def test_a_readout_that_keeps_rows_together_has_motion(run, key_file: Path, clip: Path, tmp_path: Path, how):
    done = run("capture", clip, "--key", key_file, "--stage", "pre-adc", "--motion", "--out", tmp_path / "out", *how)
    assert done.status == 0, done.err


def test_a_still_picture_has_no_motion(run, key_file: Path, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 60, 3), 90, np.uint8))
    done = run("capture", tmp_path / "a.png", "--key", key_file, "--motion", "--out", tmp_path / "out")
    assert done.status == 1
    assert "a.png is no video, and --motion is for videos" in done.err
    assert not (tmp_path / "out").exists()


def test_merged_exposures_see_what_one_cannot(run, key_file: Path, tmp_path: Path):
    key = Key.load(key_file)
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:, :30], picture[:, 30:] = 255, 30
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    common = ("capture", tmp_path / "a.png", "--key", key_file, "--sensor", "imx477")
    assert run(*common, "--exposure", "0.05", "--out", tmp_path / "one").status == 0
    done = run(*common, "--hdr", "0.005,0.05", "--out", tmp_path / "hdr")
    assert done.status == 0, done.err
    one, merged = (RawFrame.load(tmp_path / name / "a.png.dng") for name in ("one", "hdr"))
    assert (merged.bit_depth, merged.is_shuffled) == (16, True)
    # Five times too long, the white half is lost; merged, both halves are there, in the ratio of their light.
    assert (one.unshuffle(key).mosaic[:, :30] >= one.white_level - 5).mean() > 0.5
    light = develop(merged, key, tone="linear")[:, :, 1]
    assert light[4:-4, 4:26].mean() / light[4:-4, 34:-4].mean() == pytest.approx(
        1 / (((30 / 255) + 0.055) / 1.055) ** 2.4, rel=0.03
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--hdr", "0.01"), "two or more exposures"),
        (("--hdr", "0.01,long"), "two or more exposures"),
        (("--hdr", "0.01,-1"), "two or more exposures"),
        (("--hdr", "0.01,0.1", "--motion"), "leave out --motion"),
        (("--hdr", "0.01,0.1", "--stage", "pre-adc"), "keep --stage post-adc"),
        (("--hdr", "0.01,0.1", "--exposure", "5"), "leave out --exposure"),
    ],
)
def test_impossible_exposures_are_refused(run, key_file: Path, clip: Path, tmp_path: Path, options, sentence):
    done = run("capture", clip, "--key", key_file, "--out", tmp_path / "out", *options)
    assert done.status == 2
    assert sentence in done.err
    assert not (tmp_path / "out").exists()


def test_a_raw_file_is_not_exposed_again(run, key_file: Path, tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 60, 3), 90, np.uint8))
    assert run("capture", tmp_path / "a.png", "--key", key_file, "--out", tmp_path / "one").status == 0
    natural = tmp_path / "natural.dng"
    RawFrame.load(tmp_path / "one" / "a.png.dng").unshuffle(Key.load(key_file)).save(natural)
    done = run("capture", natural, "--key", key_file, "--hdr", "0.01,0.1", "--out", tmp_path / "two")
    assert done.status == 1
    assert "exposed already" in done.err

"""Steps before and after development, on natural and shuffled frames alike; and the way back from a picture."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import rawpy
from frames import make_frame

from scrambler import Multiplexer
from scrambler.errors import MissingKeyError
from sensor import (
    BAYER,
    QUAD_BAYER,
    X_TRANS,
    Camera,
    DevelopError,
    SceneError,
    balance_grey_world,
    colour_chart,
    correct_defects,
    correct_shading,
    develop,
    sensor_preset,
    sharpen,
    unprocess,
)
from sensor.cfa import cfa_tile
from sensor.lens_shading import relative_illumination
from sensor.libraw_demosaic import ALGORITHMS

CFAS = [*BAYER, QUAD_BAYER, X_TRANS, "W"]
READOUTS = [
    ("frame", "pixel"),
    ("rows+columns", "quad"),
    ("lines:2", "plane"),
    ("tiles:3", "quad"),
    ("blocks:2", "pixel"),
]


def steps(frame, key):
    """Return what each step before development makes of a frame, in natural order."""
    out = {
        "defects": correct_defects(frame, key, threshold_dn=100),
        "shading": correct_shading(frame, key, falloff=0.7),
    }
    if frame.cfa != "W":
        out["grey"] = balance_grey_world(frame, key)
    return {name: made.unshuffle(key) for name, made in out.items()}


@pytest.mark.parametrize(("pattern", "unit"), READOUTS)
@pytest.mark.parametrize("cfa", CFAS)
def test_every_step_gives_the_same_on_a_shuffled_frame(key, pattern, unit, cfa):
    natural = make_frame(36, 48, cfa)
    shuffled = natural.shuffle(Multiplexer(key, pattern=pattern, unit=unit))
    plain, keyed = steps(natural, None), steps(shuffled, key)
    for name, expected in plain.items():
        np.testing.assert_array_equal(keyed[name].mosaic, expected.mosaic)
        np.testing.assert_array_equal(keyed[name].white_balance, expected.white_balance)


def naive_defects(codes, step, threshold):
    out = codes.copy()
    height, width = codes.shape
    for y in range(height):
        for x in range(width):
            near = [
                codes[y + a, x + b]
                for a in (-step, 0, step)
                for b in (-step, 0, step)
                if (a or b) and 0 <= y + a < height and 0 <= x + b < width
            ]
            if near and not min(near) - threshold <= int(codes[y, x]) <= max(near) + threshold:
                out[y, x] = int(np.floor(np.median(near) + 0.5))
    return out


@pytest.mark.parametrize(("cfa", "step"), [("GRBG", 2), (QUAD_BAYER, 4), (X_TRANS, 6), ("W", 1)])
def test_defects_are_mended_as_a_naive_loop_does(cfa, step):
    frame = make_frame(24, 36, cfa, seed=3)
    mended = correct_defects(frame, threshold_dn=50).mosaic
    np.testing.assert_array_equal(mended, naive_defects(frame.mosaic.astype(int), step, 50))
    assert (mended != frame.mosaic).any()


def test_the_cameras_own_defects_are_found():
    quiet = replace(sensor_preset("imx477"), cfa="RGGB", defect_fraction=0.004)
    scene = colour_chart((120, 180), 0.5)
    clean = Camera(replace(quiet, defect_fraction=0.0)).capture(scene)
    broken = Camera(quiet).capture(scene)
    mended = correct_defects(broken, threshold_dn=60)
    wrong = [np.abs(f.mosaic.astype(int) - clean.mosaic).ravel() for f in (broken, mended)]
    # Dead photosites in dark fields differ by less than the threshold; at a field's edge the median may be off.
    assert (wrong[0] > 200).sum() > 50
    assert (wrong[1] > 200).sum() < 0.1 * (wrong[0] > 200).sum()


def test_shading_by_hand_and_undone():
    # Corner of a 3 x 3 frame with a = 1: a quarter of the light. 64 + (100 - 64) * 4 = 208. The centre stays.
    frame = make_frame(3, 3, "W", mosaic=np.full((3, 3), 100, np.uint16))
    assert correct_shading(frame, falloff=1.0).mosaic.tolist() == [[208, 145, 208], [145, 100, 145], [208, 145, 208]]
    assert correct_shading(frame, falloff=0) is frame
    shade = relative_illumination((40, 60), 0.8, 0, 40)
    light = 64 + 3000 * shade
    shaded = make_frame(40, 60, "W", mosaic=np.rint(light).astype(np.uint16))
    np.testing.assert_allclose(correct_shading(shaded, falloff=0.8).mosaic, 3064, atol=2)


def test_shading_never_passes_white_level_nor_lowers_a_code():
    frame = make_frame(20, 30, mosaic=np.full((20, 30), 3990, np.uint16))
    out = correct_shading(frame, falloff=2).mosaic
    assert out.max() == frame.white_level
    over = make_frame(20, 30, mosaic=np.full((20, 30), 4050, np.uint16))
    np.testing.assert_array_equal(correct_shading(over, falloff=2).mosaic, 4050)


def test_grey_world_by_hand():
    # Above black 64: red 100, green 400 and 200, blue 50; mean green 300. Clipped codes do not count.
    codes = np.tile(np.array([[164, 464], [264, 114]], np.uint16), (3, 4))
    codes[0, 0] = 4000
    frame = balance_grey_world(make_frame(6, 8, mosaic=codes))
    np.testing.assert_allclose(frame.white_balance, [3, 1, 6])


def test_grey_world_makes_a_grey_scene_grey():
    frame = Camera("imx477").capture(colour_chart((80, 120), 0.4))
    balanced = balance_grey_world(frame)
    tile = cfa_tile("RGGB")[np.arange(80)[:, None] % 2, np.arange(120) % 2]
    means = [(frame.mosaic[tile == c] - 256.0).mean() * balanced.white_balance[c] for c in range(3)]
    np.testing.assert_allclose(means, means[1], rtol=1e-9)


def test_sharpening_by_its_definition():
    rng = np.random.default_rng(0)
    picture = rng.uniform(0.3, 0.7, (20, 30, 3)).astype(np.float32)
    grey = picture @ np.array([0.2126, 0.7152, 0.0722])
    blurred = cv2.GaussianBlur(grey, (0, 0), 1.5, borderType=cv2.BORDER_REFLECT_101)
    expected = np.clip(picture + 0.6 * (grey - blurred)[:, :, None], 0, 1)
    np.testing.assert_allclose(sharpen(picture, 0.6, 1.5), expected, atol=2e-4)
    assert sharpen(picture, 0) is picture
    flat = np.full((9, 9, 3), 0.4, np.float32)
    np.testing.assert_allclose(sharpen(flat, 3.0), flat, atol=1e-6)


@pytest.mark.parametrize("name", ["imx477", "imx363", "imx455", "nikon-d850"])
def test_developing_an_unprocessed_flat_picture_gives_it_back(name):
    rng = np.random.default_rng(4)
    params = sensor_preset(name)
    for _ in range(6):
        colour = rng.uniform(0.25, 0.85, 3)
        picture = np.broadcast_to(colour, (24, 36, 3))
        frame = unprocess(picture, params)
        # Half a code, times the largest gain, through the matrix and the slope of the tone curve.
        share = 0.5 / (frame.white_level - params.black_level_dn) * max(params.white_balance)
        largest = np.abs(params.color_matrix).sum(1).max()
        np.testing.assert_allclose(develop(frame), picture, atol=6 * share * largest)


def test_a_smooth_picture_comes_back_through_every_filter_array():
    y, x = np.mgrid[:72, :96] / 96
    picture = np.stack([0.3 + 0.4 * x, 0.5 + 0.2 * np.sin(5 * y), 0.6 - 0.3 * x * y], 2)
    params = replace(sensor_preset("nikon-d850"), height_px=720, width_px=960)
    for cfa in CFAS[:-1]:
        error = develop(unprocess(picture, replace(params, cfa=cfa))) - picture
        inside = error[8:-8, 8:-8]
        assert 10 * np.log10(1 / np.mean(inside**2)) > 33, cfa


def test_unprocess_is_the_camera_without_noise():
    params = replace(
        sensor_preset("imx477"), prnu_percent=0.0, dsnu_e=0.0, dark_current_e_per_s=0.0, read_noise_e=0.0,
        converter_noise_dn=0.0, shot_noise=False,
    )  # fmt: skip
    chart = colour_chart((40, 60), 0.8)
    captured = Camera(params).capture(chart).mosaic.astype(int)
    np.testing.assert_allclose(unprocess(chart.rows(0, 40), params, tone="linear").mosaic, captured, atol=1)


@pytest.mark.parametrize(
    ("picture", "tone", "sentence"),
    [
        (np.full((4, 4, 3), 1.5), "srgb", "between 0 and 1"),
        (np.full((4, 4, 3), np.nan), "srgb", "between 0 and 1"),
        (np.full((4, 4, 3), 9, np.uint8), "srgb", "float linear light"),
        (np.full((4, 4), 0.5), "film", "tone"),
        (np.full((1, 4, 3), 0.5), "srgb", "smaller than one"),
        (np.full((4, 4, 4), 0.5), "srgb", "shape"),
    ],
)
def test_what_is_no_picture_is_refused(picture, tone, sentence):
    with pytest.raises(SceneError, match=sentence):
        unprocess(picture, tone=tone)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_algorithms_of_libraw_develop_natural_frames(algorithm):
    y, x = np.mgrid[:64, :96] / 96
    picture = np.stack([0.3 + 0.4 * x, 0.5 + 0.2 * np.sin(5 * y), 0.6 - 0.3 * x * y], 2)
    developed = develop(unprocess(picture, "nikon-d850"), demosaic=algorithm)
    error = (developed - picture)[8:-8, 8:-8]
    assert 10 * np.log10(1 / np.mean(error**2)) > 33
    assert hasattr(rawpy.DemosaicAlgorithm, algorithm.upper())


def test_impossible_steps_are_refused(key):
    frame = make_frame(24, 30)
    shuffled = frame.shuffle(Multiplexer(key))
    for step in (correct_defects, balance_grey_world, lambda f: correct_shading(f, falloff=0.5)):
        with pytest.raises(MissingKeyError):
            step(shuffled)
    with pytest.raises(DevelopError, match="threshold_dn"):
        correct_defects(frame, threshold_dn=-1)
    with pytest.raises(DevelopError, match="falloff"):
        correct_shading(frame, falloff=float("nan"))
    with pytest.raises(DevelopError, match="red, green and blue"):
        balance_grey_world(make_frame(24, 30, "W"))
    with pytest.raises(DevelopError, match="some light"):
        balance_grey_world(make_frame(24, 30, mosaic=np.zeros((24, 30), np.uint16)))
    with pytest.raises(DevelopError, match="sharpening"):
        sharpen(np.zeros((4, 4, 3), np.float32), -1)
    with pytest.raises(DevelopError, match="unshuffle the frame first"):
        develop(shuffled, key, demosaic="ahd")
    with pytest.raises(DevelopError, match="Bayer arrays"):
        develop(make_frame(24, 36, X_TRANS), demosaic="ahd")

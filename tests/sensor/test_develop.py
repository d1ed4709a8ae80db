import importlib
from dataclasses import replace

import cv2
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Key, MissingKeyError, Multiplexer, WrongKeyError
from sensor import BAYER, MONO, QUAD_BAYER, X_TRANS, Camera, DevelopError, RawFrame, Scene, develop, srgb_encode
from tests.sensor.frames import make_frame

# The package's function of the same name hides the module from an ordinary import.
develop_module = importlib.import_module("sensor.develop")

IDENTITY = {"color_matrix": np.eye(3), "white_balance": np.ones(3)}

# Malvar, He and Cutler 2004, figure 2, in eighths; rows are (dy, dx, weight).
CROSS = [(-1, 0), (1, 0), (0, -1), (0, 1)]
FAR = [(-2, 0), (2, 0), (0, -2), (0, 2)]
DIAGONAL = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
GREEN_AT_COLOUR = [(0, 0, 4)] + [(*d, 2) for d in CROSS] + [(*d, -1) for d in FAR]
COLOUR_IN_ROW = [(0, 0, 5), (0, -1, 4), (0, 1, 4), (0, -2, -1), (0, 2, -1), (-2, 0, 0.5), (2, 0, 0.5)] + [
    (*d, -1) for d in DIAGONAL
]
COLOUR_IN_COLUMN = [(x, y, weight) for y, x, weight in COLOUR_IN_ROW]
OPPOSITE = [(0, 0, 6)] + [(*d, 2) for d in DIAGONAL] + [(*d, -1.5) for d in FAR]


def mirrored(position, size):
    """Reflect-101, one step at a time."""
    while not 0 <= position < size:
        position = -position if position < 0 else 2 * (size - 1) - position
    return position


def naive_develop(frame, method, encode):
    """The documented order, photosite by photosite, in double precision."""
    height, width = frame.shape

    def colour_at(y, x):
        return "RGB".index(frame.cfa[(y % 2) * 2 + x % 2])

    def light(y, x):
        y, x = mirrored(y, height), mirrored(x, width)
        black = frame.black_level[y % 2, x % 2]
        value = (float(frame.mosaic[y, x]) - black) / (frame.white_level - black)
        return min(1.0, max(0.0, value * frame.white_balance[colour_at(y, x)]))

    def colour(y, x, wanted):
        own = colour_at(y, x)
        if own == wanted:
            return light(y, x)
        if method == "bilinear":
            near = [
                light(y + dy, x + dx)
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if "RGB".index(frame.cfa[((y + dy) % 2) * 2 + (x + dx) % 2]) == wanted
            ]
            return sum(near) / len(near)
        if wanted == 1:
            kernel = GREEN_AT_COLOUR
        elif own == 1:
            kernel = COLOUR_IN_ROW if colour_at(y, x + 1) == wanted else COLOUR_IN_COLUMN
        else:
            kernel = OPPOSITE
        return sum(weight * light(y + dy, x + dx) for dy, dx, weight in kernel) / 8

    out = np.empty((height, width, 3))
    for y in range(height):
        for x in range(width):
            camera = np.array([colour(y, x, k) for k in range(3)])
            for k in range(3):
                v = min(1.0, max(0.0, float(frame.color_matrix[k] @ camera)))
                out[y, x, k] = v if not encode else 12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055
    return out


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(BAYER),
    st.integers(2, 12),
    st.integers(2, 12),
    st.sampled_from(["malvar", "bilinear"]),
    st.sampled_from(["srgb", "linear"]),
    st.integers(0, 999),
)
def test_develop_follows_the_documented_order(cfa, height, width, method, tone, seed):
    frame = make_frame(height, width, cfa, seed, black_level=[[60.0, 64.0], [70.0, 90.0]])
    ours = develop(frame, demosaic=method, tone=tone)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, naive_develop(frame, method, tone == "srgb"), atol=3e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([*BAYER, QUAD_BAYER, X_TRANS, MONO]),
    st.integers(6, 30),
    st.integers(6, 30),
    st.sampled_from(["frame", "rows", "columns", "tiles:3"]),
    st.sampled_from(["pixel", "quad", "plane"]),
    st.sampled_from(["malvar", "bilinear"]),
)
def test_a_shuffled_frame_develops_to_the_picture_of_the_natural_one(cfa, height, width, pattern, unit, method):
    key = Key.from_bytes(bytes(range(32)))
    frame = make_frame(height, width, cfa, seed=7)
    shuffled = frame.shuffle(Multiplexer(key, pattern=pattern, unit=unit))
    np.testing.assert_array_equal(
        develop(shuffled, key, demosaic=method), develop(shuffled.unshuffle(key), demosaic=method)
    )
    np.testing.assert_array_equal(develop(shuffled, key, demosaic=method), develop(frame, demosaic=method))


@pytest.mark.parametrize("cfa", ["RGGB", X_TRANS])
def test_large_frames_develop_alike_on_one_thread_and_on_two(key, cfa, monkeypatch):
    monkeypatch.setattr(develop_module, "_BAYER_BAND_PX", 1 << 16)
    frame = make_frame(402, 602, cfa)
    shuffled = frame.shuffle(Multiplexer(key))
    before = numba.get_num_threads()
    pictures = []
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            pictures += [develop(frame), develop(shuffled, key)]
    finally:
        numba.set_num_threads(before)
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture, pictures[0])
    # Bands are 108 rows here: rows 106 to 109 look across their seam.
    part = make_frame(24, 602, cfa, mosaic=frame.mosaic[96:120])
    np.testing.assert_array_equal(pictures[0][100:116], develop(part)[4:20])


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([*BAYER, QUAD_BAYER, X_TRANS, MONO]),
    st.integers(6, 20),
    st.integers(6, 20),
    st.sampled_from(["malvar", "bilinear"]),
    st.sampled_from(["srgb", "linear"]),
    st.integers(0, 999),
)
def test_eight_bits_are_the_rounded_float_picture(cfa, height, width, method, tone, seed):
    frame = make_frame(height, width, cfa, seed)
    codes = develop(frame, demosaic=method, tone=tone, dtype=np.uint8)
    assert codes.dtype == np.uint8
    expected = np.floor(develop(frame, demosaic=method, tone=tone) * np.float32(255) + np.float32(0.5))
    np.testing.assert_array_equal(codes, expected)
    shuffled = frame.shuffle(Multiplexer(Key.from_bytes(bytes(range(32)))))
    key = Key.from_bytes(bytes(range(32)))
    np.testing.assert_array_equal(develop(shuffled, key, demosaic=method, tone=tone, dtype=np.uint8), codes)


def test_the_tone_curve_is_that_of_srgb_at_every_code():
    # 16 bits of grey, every code once, neither matrix nor gains.
    codes = np.arange(1 << 16).astype(np.uint16).reshape(256, 256)
    frame = make_frame(mosaic=codes, cfa=MONO, bit_depth=16, black_level=0, white_level=65535, **IDENTITY)
    picture = develop(frame)
    np.testing.assert_allclose(picture[:, :, 0], srgb_encode(codes / 65535), atol=5e-7)
    assert picture.min() == 0
    assert 1 - 2e-7 <= picture.max() <= 1
    assert (np.diff(develop(frame, dtype=np.uint8)[:, :, 0].ravel().astype(int)) >= 0).all()


def test_without_the_key_or_with_another_one_nothing_is_developed(key):
    shuffled = make_frame().shuffle(Multiplexer(key))
    with pytest.raises(MissingKeyError):
        develop(shuffled)
    wrong = Key.from_bytes(bytes(32))
    with pytest.raises(WrongKeyError):
        develop(shuffled, wrong)
    forced = develop(shuffled, wrong, force=True)
    np.testing.assert_array_equal(forced, develop(shuffled.unshuffle(wrong, force=True)))


def test_a_flat_field_stays_flat_and_a_ramp_stays_a_ramp():
    flat = make_frame(mosaic=np.full((12, 14), 576, np.uint16), white_level=2112, **IDENTITY)
    # (576 - 64) / (2112 - 64) = 1/4, exact in binary.
    for method in ("malvar", "bilinear"):
        np.testing.assert_array_equal(develop(flat, demosaic=method, tone="linear"), 0.25)
    y, x = np.mgrid[:16, :20]
    ramp = make_frame(mosaic=(64 + 3936 // 96 * (2 * y + 3 * x)).astype(np.uint16), **IDENTITY)
    expected = (2 * y + 3 * x)[2:-2, 2:-2] * (3936 // 96) / 3936
    for method in ("malvar", "bilinear"):
        inside = develop(ramp, demosaic=method, tone="linear")[2:-2, 2:-2]
        for channel in range(3):
            np.testing.assert_allclose(inside[:, :, channel], expected, atol=2e-7)


def test_highlights_stay_neutral_when_one_colour_saturates_first():
    # Green saturates; red and blue reach 1 with their gains of 2 and 1.5, or stay short of it.
    codes = np.full((8, 8), 4095, np.uint16)
    np.testing.assert_allclose(develop(make_frame(mosaic=codes)), 1, atol=2e-7)
    codes[::2, ::2] = 64 + 3936 // 2  # red at half, gain 2
    codes[1::2, 1::2] = 64 + 3000  # blue above two thirds, gain 1.5
    np.testing.assert_allclose(develop(make_frame(mosaic=codes)), 1, atol=2e-7)


@pytest.mark.parametrize(
    ("cfa", "code"),
    [
        ("RGGB", cv2.COLOR_BayerRGGB2RGB),
        ("GRBG", cv2.COLOR_BayerGRBG2RGB),
        ("GBRG", cv2.COLOR_BayerGBRG2RGB),
        ("BGGR", cv2.COLOR_BayerBGGR2RGB),
    ],
)
def test_bilinear_agrees_with_opencv_inside(cfa, code):
    codes = np.random.default_rng(2).integers(0, 256, (40, 50)).astype(np.uint16) * 256
    frame = make_frame(mosaic=codes, cfa=cfa, bit_depth=16, black_level=0, white_level=65535, **IDENTITY)
    ours = develop(frame, demosaic="bilinear", tone="linear")[1:-1, 1:-1] * 65535
    # OpenCV rounds to whole codes.
    assert np.abs(ours - cv2.demosaicing(codes, code)[1:-1, 1:-1]).max() <= 0.51


def test_a_frame_without_filters_is_grey_and_not_interpolated():
    frame = make_frame(5, 7, MONO, black_level=64)
    picture = develop(frame, tone="linear")
    expected = np.clip((frame.mosaic - 64.0) / 3936, 0, 1)
    for channel in range(3):
        np.testing.assert_allclose(picture[:, :, channel], expected, atol=1e-6)


def test_the_picture_of_a_clean_capture_is_the_scene(quiet):
    # A smooth scene, a camera with its own colours, no noise: what is left is 16-bit rounding and interpolation.
    params = replace(
        quiet,
        bit_depth=16,
        gain_dn_per_e=0.5,
        color_matrix=((2.0, -0.75, -0.25), (-0.5, 2.0, -0.5), (0.0, -0.5, 1.5)),
        white_balance=(3.0, 1.0, 1.5),
    )
    y, x = np.mgrid[:32, :48] / 48.0
    rgb = np.dstack([0.2 + 0.5 * x, 0.3 + 0.4 * y, 0.6 - 0.3 * x * y])
    for cfa in BAYER:
        picture = develop(Camera(replace(params, cfa=cfa)).capture(Scene.from_array(rgb)), tone="linear")
        np.testing.assert_allclose(picture[2:-2, 2:-2], rgb[2:-2, 2:-2], atol=5e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"demosaic": "magic"}, "malvar, bilinear"),
        ({"tone": "loud"}, "srgb, linear"),
        ({"dtype": np.float64}, "numpy.float32 or numpy.uint8"),
        ({"dtype": "uint8"}, "numpy.float32 or numpy.uint8"),
    ],
)
def test_unknown_options_are_refused(options, sentence):
    with pytest.raises(DevelopError, match=sentence):
        develop(make_frame(), **options)


def test_frames_that_cannot_be_developed_are_refused():
    with pytest.raises(DevelopError, match="needs red, green and blue"):
        develop(make_frame(cfa="RGRG"))
    with pytest.raises(DevelopError, match="1 x 5"):
        develop(make_frame(1, 5))
    with pytest.raises(DevelopError, match="6 x 6 is the least"):
        develop(make_frame(5, 9, X_TRANS))


def naive_any(frame):
    """Weighted means of each colour in the 7 x 7 window, in double precision, identity colours."""
    height, width = frame.shape
    side = int(len(frame.cfa) ** 0.5)
    colours = [["RGB".index(frame.cfa[y % side * side + x % side]) for x in range(width)] for y in range(height)]
    light = np.clip((frame.mosaic - 64.0) / 3936, 0, 1)
    out = np.zeros((height, width, 3))
    for y in range(height):
        for x in range(width):
            for k in range(3):
                near = [
                    ((4 - abs(v - y)) * (4 - abs(u - x)), light[v, u])
                    for v in range(max(0, y - 3), min(height, y + 4))
                    for u in range(max(0, x - 3), min(width, x + 4))
                    if colours[v][u] == k
                ]
                out[y, x, k] = sum(w * value for w, value in near) / sum(w for w, _ in near)
            out[y, x, colours[y][x]] = light[y, x]
    return out


@pytest.mark.parametrize("cfa", [QUAD_BAYER, X_TRANS])
@pytest.mark.parametrize("shape", [(6, 7), (13, 18)])
def test_other_arrays_develop_by_weighted_means(cfa, shape):
    frame = make_frame(*shape, cfa, **IDENTITY)
    np.testing.assert_allclose(develop(frame, tone="linear"), naive_any(frame), atol=1e-6)


@pytest.mark.parametrize("cfa", [QUAD_BAYER, X_TRANS])
def test_the_picture_of_a_clean_capture_through_another_array_is_the_scene(quiet, cfa):
    params = replace(quiet, bit_depth=16, cfa=cfa, height_px=12, width_px=12)
    y, x = np.mgrid[:36, :48] / 48.0
    rgb = np.dstack([0.2 + 0.2 * x, 0.3 + 0.2 * y, 0.6 - 0.2 * x])
    picture = develop(Camera(params).capture(Scene.from_array(rgb)), tone="linear")
    # Gradients of 0.004 a photosite; the window's centre of gravity is up to two photosites off.
    np.testing.assert_allclose(picture[4:-4, 4:-4], rgb[4:-4, 4:-4], atol=0.009)


def kodak_psnr(data, method):
    scores = []
    for path in sorted((data / "kodak").glob("*.png")):
        rgb = cv2.imread(str(path))[:, :, ::-1]
        codes = np.empty(rgb.shape[:2], np.uint16)
        for y, x, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
            codes[y::2, x::2] = rgb[y::2, x::2, channel]
        frame = RawFrame(mosaic=codes, cfa="RGGB", bit_depth=8, black_level=0, white_level=255, **IDENTITY)
        picture = np.round(develop(frame, demosaic=method, tone="linear") * 255)
        scores.append(10 * np.log10(255**2 / np.mean((picture - rgb)[8:-8, 8:-8] ** 2)))
    return scores


def test_kodak_scores_are_the_known_ones(data):
    # The data's own README: 30.26 dB for OpenCV's bilinear demosaicing, mean over the set.
    assert np.mean(kodak_psnr(data, "bilinear")) == pytest.approx(30.26, abs=0.02)
    # Malvar's paper claims about 5 dB more than bilinear on this kind of photograph.
    assert np.mean(kodak_psnr(data, "malvar")) > 34

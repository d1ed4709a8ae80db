import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_operators import area_average, demosaic

from operators import OperatorError, keyed_raw_to_rgb, shuffle_pixels
from operators import raw as raw_module

QUAD = "RRGGRRGGGGBBGGBB"
X_TRANS = "GBGGRGRGRBGBGBGGRGGRGGBGBGBRGRGRGGBG"
BLACK = np.array([[60, 64], [66, 70]])
MATRIX = np.array([[1.6, -0.4, -0.2], [-0.3, 1.5, -0.2], [0.0, -0.5, 1.5]])
OPTIONS = {"black_level": BLACK, "white_level": 1023, "white_balance": (1.9, 1.0, 1.4), "color_matrix": MATRIX}
sizes = st.tuples(st.integers(2, 12), st.integers(2, 12))
targets = st.tuples(st.integers(1, 14), st.integers(1, 14))


def develop(mosaic, size, cfa, crop):
    """Do every stage on its own, on whole frames."""
    H, W = mosaic.shape
    light = np.zeros((H, W))
    for y in range(H):
        for x in range(W):
            gain = OPTIONS["white_balance"]["RGB".index(cfa[y % 2 * 2 + x % 2])]
            black = BLACK[y % 2, x % 2]
            light[y, x] = np.clip(gain * (int(mosaic[y, x]) - black) / (1023 - black), 0, 1)
    rgb = demosaic(light, cfa)
    if crop:
        side = min(H, W)
        top, left = (H - side) // 2, (W - side) // 2
        rgb = rgb[:, top : top + side, left : left + side]
    linear = np.clip(np.einsum("ij,jyx->iyx", MATRIX, area_average(rgb, *size)), 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@drawn(60)
@given(draws, sizes, targets, st.sampled_from(["RGGB", "BGGR", "GRBG", "GBRG"]), st.booleans())
def test_it_equals_stage_by_stage_development_and_obeys_the_law_bit_for_bit(draw, size, target, cfa, crop):
    mosaic = draw.rng.integers(0, 1100, size).astype(np.uint16)
    sigma, tau = draw.order(size), draw.order(target)
    shuffled = sigma.shuffle(mosaic.ravel()).reshape(size)
    natural = keyed_raw_to_rgb(mosaic, target, cfa=cfa, crop=crop, **OPTIONS)
    keyed = keyed_raw_to_rgb(shuffled, target, slot=sigma.slot, permutation_out=tau, cfa=cfa, crop=crop, **OPTIONS)
    assert natural.dtype == torch.float32
    assert torch.equal(keyed, shuffle_pixels(natural[None], tau)[0])
    np.testing.assert_allclose(natural.numpy(), develop(mosaic, target, cfa, crop), rtol=0, atol=1e-6)


@pytest.mark.parametrize("pattern", ["rows", "tiles"])
def test_any_permutation_will_do_whether_or_not_it_keeps_the_filters_phase(draw, pattern):
    mosaic = draw.rng.integers(64, 1023, (6, 10)).astype(np.uint16)
    if pattern == "rows":
        source = np.arange(60).reshape(6, 10)[draw.rng.permutation(6)].ravel()
    else:
        source = np.arange(60).reshape(3, 2, 5, 2).transpose(2, 0, 1, 3).ravel()
    slot = np.argsort(source)
    shuffled = mosaic.ravel()[source].reshape(6, 10)
    for kind in (np.uint32, np.int32, np.int64):
        keyed = keyed_raw_to_rgb(shuffled, 4, slot=slot.astype(kind), **OPTIONS)
        assert torch.equal(keyed, keyed_raw_to_rgb(mosaic, 4, **OPTIONS))


def develop_any(mosaic, size, cfa, black, crop):
    """Do every stage of another array on its own, photosite by photosite."""
    H, W = mosaic.shape
    side = int(len(cfa) ** 0.5)
    colours = [["RGBW".index(cfa[y % side * side + x % side]) for x in range(W)] for y in range(H)]
    gains = (*OPTIONS["white_balance"], 1)
    rgb = np.zeros((3, H, W))
    light = np.zeros((H, W))
    for y, x in np.ndindex(H, W):
        dark = black[y % side][x % side]
        light[y, x] = np.clip(gains[colours[y][x]] * (int(mosaic[y, x]) - dark) / (1023 - dark), 0, 1)
    for y, x in np.ndindex(H, W):
        for c in range(3):
            if colours[y][x] in (c, 3):
                rgb[c, y, x] = light[y, x]
                continue
            near = [
                ((4 - abs(v - y)) * (4 - abs(u - x)), light[v, u])
                for v in range(max(0, y - 3), min(H, y + 4))
                for u in range(max(0, x - 3), min(W, x + 4))
                if colours[v][u] == c
            ]
            rgb[c, y, x] = sum(a * b for a, b in near) / sum(a for a, _ in near)
    if crop:
        top, left = (H - min(H, W)) // 2, (W - min(H, W)) // 2
        rgb = rgb[:, top : top + min(H, W), left : left + min(H, W)]
    mean = area_average(rgb, *size)
    linear = np.clip(mean if cfa == "W" else np.einsum("ij,jyx->iyx", MATRIX, mean), 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@drawn(40)
@given(
    draws,
    st.tuples(st.integers(6, 15), st.integers(6, 15)),
    targets,
    st.sampled_from([QUAD, X_TRANS, "W", "RGBG", "GRBGGBRGRGGBBGGR"]),
    st.booleans(),
)
def test_other_arrays_and_none_too_equal_stage_by_stage_development_and_obey_the_law(draw, size, target, cfa, crop):
    mosaic = draw.rng.integers(0, 1100, size).astype(np.uint16)
    side = int(len(cfa) ** 0.5)
    black = draw.rng.integers(50, 90, (side, side))
    options = {**OPTIONS, "black_level": black, "cfa": cfa, "crop": crop}
    sigma, tau = draw.order(size), draw.order(target)
    shuffled = sigma.shuffle(mosaic.ravel()).reshape(size)
    natural = keyed_raw_to_rgb(mosaic, target, **options)
    keyed = keyed_raw_to_rgb(shuffled, target, slot=sigma.slot, permutation_out=tau, **options)
    assert torch.equal(keyed, shuffle_pixels(natural[None], tau)[0])
    np.testing.assert_allclose(natural.numpy(), develop_any(mosaic, target, cfa, black, crop), rtol=0, atol=1e-6)


def test_a_colour_that_is_nowhere_near_is_said_to_be_missing():
    # The only red of the tile lies in its last row and column; a corner sees three photosites far.
    cfa = "GBGBGB" * 5 + "GBGBGR"
    with pytest.raises(OperatorError, match="a colour is more than 3 away"):
        keyed_raw_to_rgb(np.zeros((12, 12), np.uint16), 2, cfa=cfa)


def test_levels_and_curve_by_hand():
    # Black, a tenth of the linear part, and white: 0, 12.92 * 0.002 and 1; green is half of the range.
    mosaic = np.full((4, 4), 600, np.uint16)
    rgb = keyed_raw_to_rgb(mosaic, 1, black_level=100, white_level=1100, white_balance=(0.004, 1, 3))
    np.testing.assert_allclose(rgb.ravel(), [12.92 * 0.002, 1.055 * 0.5 ** (1 / 2.4) - 0.055, 1], rtol=1e-6)


def test_highlights_clip_before_they_are_averaged():
    # Gain 2 sends red to 0.5 or 2, clipped to 1: the mean is 0.75 and not 1.25.
    mosaic = np.array([[250, 0, 1000, 0], [0, 0, 0, 0]], np.uint16)
    rgb = keyed_raw_to_rgb(mosaic, (1, 2), white_level=1000, white_balance=(2, 1, 1), crop=False)
    linear = [0.5 * 0.5 + 0.5 * 0.75, 0.5 * 1 + 0.5 * 1]
    np.testing.assert_allclose(rgb[0, 0], [1.055 * v ** (1 / 2.4) - 0.055 for v in linear], rtol=1e-6)


def test_many_threads_give_the_bits_of_one(draw, monkeypatch, two_threads):
    mosaic = draw.rng.integers(0, 1100, (80, 61)).astype(np.uint16)
    sigma = draw.order(mosaic.shape)
    shuffled = sigma.shuffle(mosaic.ravel()).reshape(mosaic.shape)
    bayer, other = OPTIONS, {**OPTIONS, "black_level": 64, "cfa": X_TRANS}
    serial = [keyed_raw_to_rgb(shuffled, (9, 7), slot=sigma.slot, **options) for options in (bayer, other)]
    monkeypatch.setattr(raw_module, "_PARALLEL_PHOTOSITES", 0)
    for options, expected in zip((bayer, other), serial, strict=True):
        assert torch.equal(keyed_raw_to_rgb(shuffled, (9, 7), slot=sigma.slot, **options), expected)


def test_strided_and_byte_mosaics_are_read(draw):
    codes = draw.rng.integers(0, 256, (8, 12)).astype(np.uint8)
    expected = keyed_raw_to_rgb(codes.astype(np.uint16), 3, white_level=255)
    assert torch.equal(keyed_raw_to_rgb(codes, 3, white_level=255), expected)
    assert torch.equal(keyed_raw_to_rgb(np.asfortranarray(codes), 3, white_level=255), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mosaic": np.zeros((4, 4))}, "uint8 or uint16"),
        ({"mosaic": np.zeros((1, 4), np.uint16)}, "at least 2 x 2"),
        ({"size": 0}, "size must be"),
        ({"cfa": "RGGR"}, "cfa must be one of"),
        ({"cfa": "RGB"}, "cfa must be one of"),
        ({"cfa": "RRGGRRGGGGBBGGBW"}, "cfa must be one of"),
        ({"cfa": X_TRANS}, "at least 6 x 6"),
        ({"slot": np.arange(15)}, "slot must hold 16 integers"),
        ({"slot": np.arange(16) + 1}, "from 0 to 15"),
        ({"slot": np.arange(16) - 1}, "from 0 to 15"),
        ({"white_level": 64}, "must exceed every black level"),
        ({"black_level": [1, 2]}, "black_level must hold"),
        ({"white_balance": (1, np.nan, 1)}, "white_balance must hold finite"),
        ({"color_matrix": np.eye(4)}, "color_matrix must hold"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    arguments = {"mosaic": np.zeros((4, 4), np.uint16), "size": 2, **OPTIONS} | change
    with pytest.raises(OperatorError, match=message):
        keyed_raw_to_rgb(arguments.pop("mosaic"), arguments.pop("size"), **arguments)


def test_an_output_order_of_another_size_is_refused(draw):
    with pytest.raises(OperatorError, match="permutation_out arranges 6 pixels"):
        keyed_raw_to_rgb(np.zeros((4, 4), np.uint16), 2, permutation_out=draw.order((2, 3)))

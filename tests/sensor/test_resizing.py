"""Resizing averages light by area, and knows nothing of the order a frame was read out in."""

import cv2
import numpy as np
import pytest
from frames import make_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Multiplexer
from sensor import DevelopError, develop, resize, srgb_decode, srgb_encode


def naive_average(picture, height, width):
    """Cut every output pixel out of the input's pixels, in fractions."""
    H, W, _ = picture.shape
    out = np.zeros((height, width, 3))
    for oy, ox, y, x in np.ndindex(height, width, H, W):
        down = min(y + 1, (oy + 1) * H / height) - max(y, oy * H / height)
        right = min(x + 1, (ox + 1) * W / width) - max(x, ox * W / width)
        if down > 0 and right > 0:
            out[oy, ox] += picture[y, x] * (down * right) * (height * width) / (H * W)
    return out


def test_half_the_light_is_not_half_the_code():
    # One white and three black pixels: a quarter of the light is sRGB 0.537.
    picture = np.zeros((2, 2, 3), np.float32)
    picture[1, 0] = 1
    np.testing.assert_allclose(resize(picture, (1, 1), tone="linear"), 0.25)
    np.testing.assert_allclose(resize(picture, (1, 1)), 1.055 * 0.25 ** (1 / 2.4) - 0.055, rtol=1e-6)


@settings(deadline=None, max_examples=40)
@given(st.tuples(*[st.integers(1, 7)] * 2), st.tuples(*[st.integers(1, 9)] * 2), st.integers(0, 99))
def test_every_size_is_the_mean_over_the_area(size, target, seed):
    picture = np.random.default_rng(seed).random((*size, 3), np.float32)
    linear = resize(picture, target, tone="linear")
    assert linear.dtype == np.float32
    np.testing.assert_allclose(linear, naive_average(picture, *target), atol=1e-6)
    encoded = srgb_encode(naive_average(srgb_decode(picture), *target))
    np.testing.assert_allclose(resize(picture, target), encoded, atol=1e-6)


def test_large_pictures_agree_with_opencv():
    picture = np.random.default_rng(1).random((600, 400, 3), np.float32)
    expected = cv2.resize(picture, (37, 90), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(resize(picture, (90, 37), tone="linear"), expected, atol=1e-5)


@pytest.mark.parametrize(("pattern", "unit"), [("frame", "pixel"), ("rows+columns", "quad"), ("tiles:3", "plane")])
def test_a_shuffled_frame_gives_the_small_picture_of_the_natural_one(key, pattern, unit):
    frame = make_frame(30, 42, "GBRG")
    shuffled = frame.shuffle(Multiplexer(key, pattern=pattern, unit=unit))
    small = resize(develop(frame), (8, 9))
    np.testing.assert_array_equal(resize(develop(shuffled, key), (8, 9)), small)
    # The quick way of large frames is the same but for rounding.
    linear = resize(develop(shuffled, key, tone="linear"), (8, 9), tone="linear")
    np.testing.assert_allclose(srgb_encode(linear), small, atol=1e-5)


@pytest.mark.parametrize(
    ("picture", "size", "tone", "sentence"),
    [
        (np.zeros((4, 4), np.float32), (2, 2), "srgb", "of shape"),
        (np.zeros((4, 4, 3), np.uint8), (2, 2), "srgb", "float"),
        (np.zeros((0, 4, 3), np.float32), (2, 2), "srgb", "of shape"),
        (np.zeros((4, 4, 3), np.float32), (0, 2), "srgb", "size"),
        (np.zeros((4, 4, 3), np.float32), (2.5, 2), "srgb", "size"),
        (np.zeros((4, 4, 3), np.float32), (2, 2, 3), "srgb", "size"),
        (np.zeros((4, 4, 3), np.float32), (1 << 20, 2), "srgb", "size"),
        (np.zeros((4, 4, 3), np.float32), (2, 2), "film", "tone"),
    ],
)
def test_what_cannot_be_resized_is_refused(picture, size, tone, sentence):
    with pytest.raises(DevelopError, match=sentence):
        resize(picture, size, tone=tone)

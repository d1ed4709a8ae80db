import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor import BAYER, MONO, QUAD_BAYER, X_TRANS, RawFrameError
from sensor.cfa import cfa_tile, sample_mosaic
from sensor.colour import camera_from_xyz, camera_response
from sensor.srgb import LUMINANCE, XYZ_FROM_SRGB

IDENTITY = camera_response(np.eye(3), np.ones(3))
MATRIX = np.array([[2.0, -0.75, -0.25], [-0.5, 2.0, -0.5], [0.0, -0.5, 1.5]])
GAINS = np.array([2.0, 1.0, 1.5])


def test_a_bayer_mosaic_by_hand():
    rgb = np.zeros((2, 3, 3), np.float32)
    rgb[:] = [[10, 20, 30], [11, 21, 31], [12, 22, 32]]
    # GRBG: green red green / blue green blue
    expected = [[20, 11, 22], [30, 21, 32]]
    np.testing.assert_array_equal(sample_mosaic(rgb, cfa_tile("GRBG"), IDENTITY), expected)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from([*BAYER, QUAD_BAYER, X_TRANS, MONO]), st.integers(1, 20), st.integers(1, 20), st.integers(0, 999)
)
def test_each_photosite_sees_its_own_colour_through_the_response(cfa, height, width, seed):
    rgb = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    tile, response = cfa_tile(cfa), camera_response(MATRIX, GAINS)
    seen = sample_mosaic(rgb, tile, response)
    for y in range(height):
        for x in range(width):
            row = response["RGBW".index(cfa[(y % len(tile)) * len(tile) + x % len(tile)])]
            assert seen[y, x] == pytest.approx(max(0, sum(row * rgb[y, x])), abs=1e-6)


def test_white_gives_the_inverse_gains_and_a_clear_photosite_sees_luminance():
    response = camera_response(MATRIX, GAINS)
    np.testing.assert_allclose(response @ np.ones(3), [0.5, 1, 1 / 1.5, 1], rtol=1e-12)
    np.testing.assert_allclose(response[3], LUMINANCE)


def test_response_balance_and_matrix_give_the_scene_back():
    rgb = np.array([0.2, 0.5, 0.1])
    np.testing.assert_allclose(MATRIX @ (GAINS * (camera_response(MATRIX, GAINS)[:3] @ rgb)), rgb, rtol=1e-12)


def test_the_dng_matrix_turns_white_into_the_neutral():
    white = XYZ_FROM_SRGB @ np.ones(3)
    np.testing.assert_allclose(camera_from_xyz(MATRIX, GAINS) @ white, 1 / GAINS, rtol=1e-12)


def test_tiles_by_hand():
    assert cfa_tile("GBRG").tolist() == [[1, 2], [0, 1]]
    assert cfa_tile(MONO).tolist() == [[3]]
    assert cfa_tile(QUAD_BAYER)[1:3].tolist() == [[0, 0, 1, 1], [1, 1, 2, 2]]
    # Every row and every column of X-Trans sees all three colours; 20 of 36 photosites are green.
    tile = cfa_tile(X_TRANS)
    assert all(set(line) == {0, 1, 2} for line in [*tile, *tile.T])
    assert (tile == 1).sum() == 20


@pytest.mark.parametrize("cfa", ["", "RGB", "RGGX", "rggb", "RGGBRG"])
def test_unknown_patterns_are_refused(cfa):
    with pytest.raises(RawFrameError, match="not known"):
        cfa_tile(cfa)

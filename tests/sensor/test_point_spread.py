"""Measured point-spread functions: from files of every kind, scaled, and refused when they are none."""

import cv2
import numpy as np
import pytest

from sensor import Lens, Scene, SceneError, read_psf

SPOT = np.array([[0, 1, 0, 0, 0], [2, 9, 3, 0, 0], [0, 4, 0, 0, 1]])


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", np.uint8), ("a.png", np.uint16), ("a.tiff", np.uint16), ("a.tif", np.float32)]
)
def test_pictures_of_a_spot_are_read_and_scaled(tmp_path, name, kind):
    cv2.imwrite(str(tmp_path / name), SPOT.astype(kind))
    np.testing.assert_allclose(read_psf(tmp_path / name), SPOT / 20, rtol=1e-7)


def test_arrays_are_read_and_a_lens_takes_the_path(tmp_path):
    np.save(tmp_path / "a.npy", SPOT * 0.5)
    lens = Lens(psf=tmp_path / "a.npy")
    point = np.zeros((9, 12))
    point[4, 5] = 1.0
    out = lens.image(Scene.from_array(point)).light(0, 9)
    # A point shows the function itself, not its mirror image.
    np.testing.assert_allclose(out[3:6, 3:8], SPOT / 20, atol=1e-7)
    np.testing.assert_array_equal(out, Lens(psf=SPOT).image(Scene.from_array(point)).light(0, 9))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.ones((2, 3)), "odd x odd"),
        (np.ones((3, 3, 3)), "odd x odd"),
        (np.zeros((3, 3)), "a sum above 0"),
        (-np.ones((3, 3)), "no negative"),
        (np.full((3, 3), np.nan), "no negative"),
        (np.ones((1025, 1)), "at most 1023"),
        (np.array([["a"]]), "odd x odd"),
        (np.array([[object()]]), "not a NumPy array"),
    ],
)
def test_what_is_no_point_spread_function_is_refused(tmp_path, values, sentence):
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(SceneError, match=rf"a\.npy: .*{sentence}"):
        read_psf(tmp_path / "a.npy")


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(SceneError, match=r"none.npy: cannot read"):
        read_psf(tmp_path / "none.npy")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(SceneError, match=r"cut.npy: not a NumPy array"):
        read_psf(tmp_path / "cut.npy")
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(SceneError, match=r"a.png: not a picture"):
        Lens(psf=tmp_path / "a.png")

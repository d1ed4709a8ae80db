"""Pictures stand upright, whichever way the camera was held; the mosaic stays as the sensor lay."""

import struct
from dataclasses import replace

import numpy as np
import pytest
import rawpy
from frames import make_frame

from scrambler import Multiplexer
from sensor import RawFrame, RawFrameError, Scene, develop, unprocess
from sensor.orientation import upright
from sensor.raw_writer import PRIVATE_PREFIX

# TIFF 6.0, tag 274: where the stored row 0 and column 0 are to be seen.
SEEN = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip
EDGES = {
    "top": lambda p: p[0],
    "bottom": lambda p: p[-1],
    "left": lambda p: p[:, 0],
    "right": lambda p: p[:, -1],
}


def scene_with_corners(orientation=1):
    """A smooth frame whose four corners differ in brightness."""
    y, x = np.mgrid[:40, :56] / 56
    picture = np.dstack([0.15 + 0.5 * x + 0.2 * y] * 3)
    return replace(unprocess(picture, "imx477"), orientation=orientation)


def as_foreign(path):
    """Make our own data in a DNG somebody else's, so that only the standard tags are left to read."""
    data = path.read_bytes()
    assert data.count(PRIVATE_PREFIX + b"{") == 1
    path.write_bytes(data.replace(PRIVATE_PREFIX + b"{", b"Somebodys\0\0{"))


@pytest.mark.parametrize("orientation", SEEN)
def test_rows_and_columns_are_seen_where_tiff_says(orientation):
    stored = np.arange(6).reshape(2, 3)
    picture = upright(stored, orientation)
    row, column = SEEN[orientation]
    assert sorted(EDGES[row](picture)) == [0, 1, 2]
    assert sorted(EDGES[column](picture)) == [0, 3]
    assert picture.flags.c_contiguous


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("foreign", [True, False])
def test_a_dng_develops_the_way_libraw_turns_it(tmp_path, orientation, foreign):
    path = tmp_path / "held.dng"
    scene_with_corners(orientation).save(path)
    if foreign:
        as_foreign(path)
    frame = RawFrame.load(path)
    assert frame.orientation == orientation
    assert frame.shape == (40, 56)
    np.testing.assert_array_equal(frame.mosaic, scene_with_corners().mosaic)
    picture = develop(frame)
    with rawpy.imread(str(path)) as raw:
        theirs = raw.postprocess(use_camera_wb=True, no_auto_bright=True, gamma=(2.4, 12.92))
    assert picture.shape == theirs.shape
    # The corners differ by 0.1 and more, LibRaw's colours from ours by less.
    corners = np.ix_((3, -4), (3, -4))
    np.testing.assert_allclose(picture[..., 1][corners], theirs[..., 1][corners] / 255, atol=0.03)
    # Standard tags hold gains and matrix as fractions.
    np.testing.assert_allclose(picture, upright(develop(scene_with_corners()), orientation), atol=1e-5)


def test_a_frame_that_was_held_upright_is_shuffled_saved_and_revealed_upright(tmp_path, key):
    frame = scene_with_corners(6)
    shuffled = frame.shuffle(Multiplexer(key))
    shuffled.save(tmp_path / "a.dng")
    loaded = RawFrame.load(tmp_path / "a.dng")
    assert loaded.orientation == 6
    assert develop(loaded, key).shape == (56, 40, 3)
    np.testing.assert_array_equal(develop(loaded, key), develop(frame))
    np.testing.assert_array_equal(loaded.unshuffle(key).mosaic, frame.mosaic)


def test_a_file_that_other_software_turned_is_turned(tmp_path):
    path = tmp_path / "a.dng"
    scene_with_corners().save(path)
    data = path.read_bytes()
    entry = struct.pack("<HHI", 274, 3, 1)
    assert data.count(entry) == 1
    at = data.index(entry) + len(entry)
    path.write_bytes(data[:at] + struct.pack("<H", 8) + data[at + 2 :])
    assert RawFrame.load(path).orientation == 8


def test_a_scene_from_a_turned_file_is_the_developed_picture(tmp_path):
    scene_with_corners(6).save(tmp_path / "a.dng")
    assert Scene.from_raw(tmp_path / "a.dng").shape == develop(RawFrame.load(tmp_path / "a.dng")).shape[:2]


def test_real_files_develop_the_way_libraw_turns_them(data):
    files = [path for path in sorted((data / "raw").iterdir()) if path.suffix in (".dng", ".kdc")]
    assert files
    for path in files:
        with rawpy.imread(str(path)) as raw:
            height, width = raw.raw_image.shape
            turned = raw.sizes.flip in (5, 6)
        picture = develop(RawFrame.load(path), dtype=np.uint8)
        assert picture.shape == ((width, height, 3) if turned else (height, width, 3))


@pytest.mark.parametrize("orientation", [0, 9, 1.0, None, True])
def test_an_orientation_that_does_not_exist_is_refused(orientation):
    with pytest.raises(RawFrameError, match="orientation"):
        make_frame(orientation=orientation)

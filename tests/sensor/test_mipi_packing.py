"""Packed codes, headerless files and streams: by hand, against a packer bit by bit, and refusals."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Key, Multiplexer
from sensor import Camera, CaptureError, RawFileError, Scene
from sensor.frame_source import FrameSource, write_stream
from sensor.headerless import read_headerless, read_stream, write_headerless
from sensor.mipi_packing import PACKINGS, pack, row_octets, unpack
from tests.sensor.frames import make_frame

GROUPS = {8: 1, 10: 4, 12: 2, 14: 4}


def bit_by_bit(row, bits):
    """Pack a row as the standard draws it: high octets, then the low bits as a string that grows to the left."""
    group, out = GROUPS[bits], []
    row = [*row, *[0] * (-len(row) % group)]
    for first in range(0, len(row), group):
        pixels = row[first : first + group]
        out += [int(f"{p:0{bits}b}"[:8], 2) for p in pixels]
        low = "".join(f"{p:0{bits}b}"[8:] for p in reversed(pixels))
        out += [int(low[end - 8 : end], 2) for end in range(len(low), 0, -8)]
    return out


def test_raw10_and_raw12_by_hand():
    assert pack(np.array([[0b1111111101, 2, 1, 0]], np.uint16), 10, "mipi").tobytes().hex() == "ff00000019"
    assert pack(np.array([[0xABC, 0x123]], np.uint16), 12, "mipi").tobytes().hex() == "ab123c"


@given(st.sampled_from([8, 10, 12, 14]), st.integers(1, 4), st.integers(1, 23), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_mipi_is_the_bit_by_bit_packers_at_any_width(bits, height, width, seed):
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (height, width)).astype(np.uint16)
    octets = pack(codes, bits, "mipi")
    assert octets.tolist() == [bit_by_bit(row, bits) for row in codes.tolist()]
    np.testing.assert_array_equal(unpack(octets, width, bits, "mipi"), codes)


@given(st.integers(8, 16), st.sampled_from(["words", "dense"]), st.integers(1, 19), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_words_and_dense_come_back(bits, packing, width, seed):
    codes = np.random.default_rng(seed).integers(0, 1 << bits, (3, width)).astype(np.uint16)
    octets = pack(codes, bits, packing)
    assert octets.shape == (3, row_octets(width, bits, packing))
    np.testing.assert_array_equal(unpack(octets, width, bits, packing), codes)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_headerless_file_comes_back(tmp_path, packing):
    frame = make_frame(24, 31)
    write_headerless(frame, tmp_path / "a.bin", packing)
    back = read_headerless(tmp_path / "a.bin", shape=(24, 31), cfa="RGGB", bits=12, packing=packing, black_level=64)
    np.testing.assert_array_equal(back.mosaic, frame.mosaic)
    assert (back.bit_depth, back.black_level.max(), back.white_level) == (12, 64, 4095)


def test_what_is_wrong_with_a_headerless_file_is_one_sentence(tmp_path):
    path = tmp_path / "a.bin"
    write_headerless(make_frame(24, 30), path, "mipi")
    about = {"shape": (24, 30), "cfa": "RGGB", "bits": 12, "packing": "mipi"}
    cases = [
        (
            {"shape": (24, 32)},
            "cut short: 32 x 24 photosites of 12 bits, packing mipi, take 1152 octets, and it has 1080",
        ),
        ({"shape": (20, 30)}, "too long: 30 x 20"),
        ({"packing": "zip"}, "no packing 'zip': choose one of mipi, words, dense"),
        ({"bits": 11}, "MIPI packing has 8, 10, 12 or 14 bits, got 11"),
        ({"bits": 7}, "bits must be a whole number from 8 to 16"),
        ({"cfa": "RGXX"}, "a.bin"),
        ({"shape": (0, 30)}, "0 x 30"),
    ]
    for wrong, sentence in cases:
        with pytest.raises(RawFileError, match=sentence) as error:
            read_headerless(path, **{**about, **wrong})
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(RawFileError, match="cannot read"):
        read_headerless(tmp_path / "none.bin", **about)
    with pytest.raises(RawFileError, match="this is no file"):
        read_headerless(tmp_path, **about)
    with pytest.raises(RawFileError, match="does not fit 10 bits"):
        pack(np.array([[1024]], np.uint16), 10, "mipi")
    (tmp_path / "w.bin").write_bytes(b"\xff" * 8)
    with pytest.raises(RawFileError, match="more than 12 bits"):
        read_headerless(tmp_path / "w.bin", shape=(2, 2), cfa="RGGB", bits=12, packing="words")


def test_frames_come_at_the_sensors_pace_and_each_has_its_own_nonce(key):
    now, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    camera = Camera("imx477", Multiplexer(key))
    scene = Scene.from_array(np.full((8, 12), 0.3))
    source = FrameSource(camera=camera, scenes=[scene], frames=4, clock=lambda: now[0], sleep=sleep)
    frames = list(source)
    np.testing.assert_allclose(slept, [source.period_s] * 3)
    assert source.period_s == 0.01  # the exposure takes longer than reading eight rows
    assert len({frame.nonce for frame in frames}) == 4
    natural = [frame.unshuffle(key).mosaic for frame in frames]
    assert not np.array_equal(natural[0], natural[1])
    with pytest.raises(CaptureError, match="at least one scene"):
        list(FrameSource(camera=camera, scenes=[]))


def test_the_frames_of_a_source_have_one_size_in_whole_periods(key):
    camera = Camera("imx477", Multiplexer(key))
    bright = [Scene.from_array(np.full(shape, 0.3)) for shape in ((9, 13), (8, 12), (10, 12))]
    source = FrameSource(camera=camera, scenes=bright[:2], frames=2, paced=False)
    assert source.shape == (8, 12)
    assert [frame.shape for frame in source] == [(8, 12)] * 2
    with pytest.raises(CaptureError, match="several: 12 x 8, 12 x 10"):
        list(FrameSource(camera=camera, scenes=bright, frames=1))


def test_a_stream_holds_the_frames_one_after_the_other(key):
    camera = Camera("imx477", Multiplexer(key))
    scenes = [Scene.from_array(np.full((8, 12), 0.3))]
    told = []
    file = io.BytesIO()
    assert (
        write_stream(FrameSource(camera=camera, scenes=scenes, frames=3, paced=False), file, "mipi", told.append) == 3
    )
    octets = np.frombuffer(file.getvalue(), np.uint8).reshape(3, 8, 18)
    for one, frame in zip(octets, told, strict=True):
        np.testing.assert_array_equal(unpack(one, 12, 12, "mipi"), frame.mosaic)
    back = list(read_stream(io.BytesIO(file.getvalue()), **STREAM))
    assert [frame.black_level.max() for frame in back] == [7] * 3
    for one, frame in zip(back, told, strict=True):
        np.testing.assert_array_equal(one.mosaic, frame.mosaic)


STREAM = {"shape": (8, 12), "cfa": "RGGB", "bits": 12, "packing": "mipi", "black_level": 7}


class Trickle(io.BytesIO):
    """A pipe that gives a few octets at a time."""

    def read(self, size=-1):
        return super().read(min(size, 50))


@pytest.mark.parametrize("kind", [io.BytesIO, Trickle])
def test_a_stream_cut_short_gives_its_whole_frames_and_one_sentence(kind):
    frames = read_stream(kind(bytes(2 * 144 + 100)), **STREAM)
    assert [next(frames).shape for _ in range(2)] == [(8, 12)] * 2
    with pytest.raises(RawFileError, match="cut short in frame 2: 12 x 8 photosites of 12 bits"):
        next(frames)
    assert list(read_stream(kind(b""), **STREAM)) == []
    with pytest.raises(RawFileError, match="no packing 'zip'"):
        next(read_stream(kind(bytes(144)), **{**STREAM, "packing": "zip"}))


def test_a_typed_stream_goes_to_standard_output(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 12, 3), 120, np.uint8))
    key = Key.generate()
    key.save(tmp_path / "door.key")
    code = "import sys; from shufflecam.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "stream", "a.png", "--key", "door.key", "--frames", "2", "--fast"]
    done = subprocess.run(
        [*command, "--nonces", "n.txt"], cwd=tmp_path, capture_output=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert len(done.stdout) == 2 * 8 * 12 * 2
    assert b"12 x 8 " in done.stderr
    assert len((tmp_path / "n.txt").read_text().split()) == 2

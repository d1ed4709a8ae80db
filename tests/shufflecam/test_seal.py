"""Sealing and opening frames: bit for bit through the file, and nothing at all from a changed one."""

from pathlib import Path

import numpy as np
import pytest

from scrambler import Key, SealedFileError, seal
from sensor import RawFrame
from shufflecam.sealed_frame import frame_metadata, frame_of


def assert_same_frame(frame: RawFrame, expected: RawFrame) -> None:
    np.testing.assert_array_equal(frame.mosaic, expected.mosaic)
    assert frame_metadata(frame) == frame_metadata(expected)


@pytest.fixture
def sealed_file(run, frame_file: Path, key_file: Path, tmp_path: Path) -> Path:
    """The captured frame, sealed."""
    assert run("seal", frame_file, "--key", key_file, "--out", tmp_path / "sealed").status == 0
    return tmp_path / "sealed" / "a.png.dng.sealed"


def test_a_shuffled_frame_comes_back_bit_for_bit_and_still_shuffled(
    run, frame_file: Path, sealed_file: Path, key_file: Path, tmp_path: Path
) -> None:
    frame = RawFrame.load(frame_file)
    typed = run("open", sealed_file, "--key", key_file, "--out", tmp_path / "opened")
    assert typed.status == 0
    assert "1 frames" in typed.out
    opened = RawFrame.load(tmp_path / "opened" / "a.png.dng.sealed.dng")
    assert opened.is_shuffled
    assert_same_frame(opened, frame)


def test_a_sealed_file_shows_size_and_key_id_and_packs_codes(
    frame_file: Path, sealed_file: Path, key_file: Path
) -> None:
    frame, data = RawFrame.load(frame_file), sealed_file.read_bytes()
    assert data[16:24].hex() == Key.load(key_file).id
    for secret in (frame.sensor.encode(), frame.mosaic[:4].tobytes(), b"readout", frame.nonce):
        assert secret
        assert secret not in data
    assert frame.mosaic.size * frame.bit_depth // 8 < len(data) < frame.mosaic.size * frame.bit_depth // 8 + 1000


def test_a_natural_frame_is_shuffled_before_it_is_sealed(run, frame_file: Path, key_file: Path, tmp_path: Path) -> None:
    key = Key.load(key_file)
    natural = RawFrame.load(frame_file).unshuffle(key)
    natural.save(tmp_path / "natural.dng")
    assert run("seal", tmp_path / "natural.dng", "--key", key_file, "--out", tmp_path / "sealed").status == 0
    assert run("open", tmp_path / "sealed", "--key", key_file, "--out", tmp_path / "opened").status == 0
    opened = RawFrame.load(tmp_path / "opened" / "natural.dng.sealed.dng")
    assert opened.key_id == key.id
    assert (opened.mosaic != natural.mosaic).any()
    assert_same_frame(opened.unshuffle(key), RawFrame.load(tmp_path / "natural.dng"))


def assert_refused(typed, *words: object) -> None:
    assert typed.status == 1
    assert typed.out == ""
    assert typed.err.count("\n") == 1
    for word in words:
        assert str(word) in typed.err


def refused(typed, *words: str) -> None:
    assert (typed.status, typed.out) == (1, "")
    assert typed.err.count("\n") == 1
    for word in words:
        assert word in typed.err


def test_a_changed_file_opens_nothing(run, sealed_file: Path, key_file: Path, tmp_path: Path) -> None:
    data = bytearray(sealed_file.read_bytes())
    data[-1] ^= 1  # the last chunk's tag
    sealed_file.write_bytes(data)
    refused(run("open", sealed_file, "--key", key_file, "--out", tmp_path / "opened"), "a.png.dng.sealed was changed")
    assert not (tmp_path / "opened").exists()


def test_one_bad_file_of_several_is_reported_and_the_rest_opened(
    run, sealed_file: Path, key_file: Path, tmp_path: Path
) -> None:
    (sealed_file.parent / "b.sealed").write_bytes(sealed_file.read_bytes()[:-5])
    typed = run("open", sealed_file.parent, "--key", key_file, "--out", tmp_path / "opened")
    assert typed.status == 3
    assert "b.sealed" in typed.err
    assert [path.name for path in (tmp_path / "opened").glob("*.dng")] == ["a.png.dng.sealed.dng"]


def test_another_key_is_refused_by_both_ids(run, sealed_file: Path, key_file: Path, tmp_path: Path) -> None:
    other = Key.generate()
    other.save(tmp_path / "other.key")
    typed = run("open", sealed_file, "--key", tmp_path / "other.key", "--out", tmp_path / "opened")
    refused(typed, Key.load(key_file).id, other.id)
    assert not (tmp_path / "opened").exists()


def test_a_sealed_file_without_a_frame_is_named(run, key_file: Path, tmp_path: Path) -> None:
    for metadata in ({}, {"format": "shufflecam-frame/v1"}):
        seal(tmp_path / "x.sealed", np.zeros((4, 4), np.uint16), Key.load(key_file), metadata=metadata)
        typed = run("open", tmp_path / "x.sealed", "--key", key_file, "--out", tmp_path / "opened")
        refused(typed, "x.sealed", "holds no frame")
    with pytest.raises(SealedFileError, match="holds no frame"):
        frame_of(np.zeros((4, 4), np.uint16), {"format": "shufflecam-frame/v1", "cfa": "RGGB"})


def test_what_is_no_raw_file_cannot_be_sealed(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    refused(run("seal", photo, "--key", key_file, "--out", tmp_path / "sealed"), "a.png")
    assert not (tmp_path / "sealed").exists()

"""``emulate``, ``rtl``, ``raw`` and ``stream``, as a user types them, and what they say about wrong use."""

import io
import json
import shutil
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path

import cv2
import numpy as np
import pytest

from scrambler import Key
from sensor import RawFrame
from sensor.mipi_packing import unpack


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A picture of 31 x 45 pixels, of which a mosaic takes 30 x 44."""
    path = tmp_path / "odd.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (31, 45, 3)).astype(np.uint8))
    return path


def into_pipe(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """Put a pipe behind standard output, and keep what goes into it; pytest would undo that before a test begins."""
    octets = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(octets, write_through=True))
    return octets


@pytest.mark.parametrize("pattern", ["rows", "tiles:3", "frame"])
@pytest.mark.parametrize("stage", ["post-adc", "pre-adc"])
def test_emulate_writes_frame_events_waves_and_timeline(run, key_file, odd, tmp_path, pattern, stage) -> None:
    out = tmp_path / "out"
    typed = run("emulate", odd, "--key", key_file, "--pattern", pattern, "--stage", stage, "--out", out, "--seed", 3)
    assert typed.status == 0, typed.err
    assert f"{2 * 30 * 44} conversions" in typed.out
    frame = RawFrame.load(out / "frame.dng")
    assert frame.shape == (30, 44)
    assert (frame.pattern, frame.stage) == (pattern, stage)
    events = (out / "events.csv").read_text().splitlines()
    assert events[0] == "time_s,action,place,row"
    assert len(events) == 1 + 9 * 30
    assert (out / "readout.vcd").read_text().startswith("$version")
    assert cv2.imread(str(out / "timeline.png")) is not None


@pytest.mark.parametrize("stage", ["post-adc", "pre-adc"])
def test_emulate_gives_the_frame_of_capture_with_the_same_seed(run, key_file, odd, tmp_path, stage) -> None:
    same = (odd, "--key", key_file, "--pattern", "rows+columns", "--stage", stage, "--seed", 8)
    assert run("capture", *same, "--out", tmp_path / "captured").status == 0
    assert run("emulate", *same, "--out", tmp_path / "emulated").status == 0
    captured = RawFrame.load(tmp_path / "captured" / "odd.png.dng")
    emulated = RawFrame.load(tmp_path / "emulated" / "frame.dng")
    np.testing.assert_array_equal(emulated.mosaic, captured.mosaic)
    assert emulated.nonce == captured.nonce


def test_emulate_without_a_key_reads_naturally_and_wants_no_pattern(run, odd, tmp_path) -> None:
    assert run("emulate", odd, "--out", tmp_path / "out").out.startswith("plain: ")
    typed = run("emulate", odd, "--pattern", "rows", "--out", tmp_path / "other")
    assert (typed.status, typed.err.count("\n")) == (2, 1)
    assert "give --key too" in typed.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--pattern", "spiral"), "no pattern 'spiral'"),
        (("--unit", "row"), "no unit 'row'"),
        (("--generator", "aes"), "no generator 'aes'"),
        (("--stage", "mid"), "stage must be one of post-adc, pre-adc"),
        (("--exposure", "-1"), "'--exposure'"),
    ],
)
def test_emulate_says_what_is_wrong_and_writes_nothing(run, key_file, odd, tmp_path, wrong, sentence) -> None:
    typed = run("emulate", odd, "--key", key_file, *wrong, "--out", tmp_path / "out")
    assert typed.status == 2
    assert sentence in typed.err
    assert not (tmp_path / "out").exists()


def test_rtl_exports_a_sensor_of_any_size_and_every_pattern(run, tmp_path) -> None:
    for pattern in ("tiles:3", "blocks:2"):
        typed = run("rtl", "--size", "33x21", "--pattern", pattern, "--unit", "plane", "--ports", 8, "--out", tmp_path)
        assert typed.status == 0, typed.err
        golden = json.loads((tmp_path / "golden.json").read_text())
        assert (golden["shape"], golden["pattern"], golden["unit"]) == ([21, 33], pattern, "plane")
    assert "8 ports" in (tmp_path / "README.md").read_text()


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed (Debian: iverilog)")
def test_the_commands_in_the_exported_readme_can_be_copied(run, tmp_path) -> None:
    typed = run("rtl", "--size", "26x18", "--pattern", "lines:2", "--ports", 5, "--out", tmp_path)
    assert typed.status == 0, typed.err
    lines = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("    ")]
    done = subprocess.run(
        ["bash", "-e"], input="\n".join(lines), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert [word for word in done.stdout.splitlines() if "PASS" in word or "FAIL" in word] == [
        "PASS 468 addresses", "PASS 100 rows", "PASS 468 codes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (("--size", "64"), "--size is WIDTHxHEIGHT"),
        (("--size", "70000x4"), "has 1 to 65535 photosites"),
        (("--pattern", "spiral"), "no pattern 'spiral'"),
        (("--unit", "row"), "no unit 'row'"),
        (("--generator", "aes"), "no generator 'aes'"),
    ],
)
def test_rtl_says_what_is_wrong_and_writes_nothing(run, tmp_path, wrong, sentence) -> None:
    typed = run("rtl", *wrong, "--out", tmp_path / "out")
    assert (typed.status, typed.err.count("\n")) == (2, 1)
    assert sentence in typed.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("packing", ["mipi", "words", "dense"])
def test_raw_files_go_out_and_come_back(run, frame_file, tmp_path, packing) -> None:
    out, back = tmp_path / "bin", tmp_path / "dng"
    assert run("raw", frame_file, "--packing", packing, "--out", out).status == 0
    [packed] = out.iterdir()
    assert packed.name == f"{frame_file.name}.bin"
    about = ("--size", "84x60", "--bits", 12, "--packing", packing, "--black", 256)
    assert run("raw", packed, *about, "--out", back).status == 0
    frame = RawFrame.load(back / f"{packed.name}.dng")
    np.testing.assert_array_equal(frame.mosaic, RawFrame.load(frame_file).mosaic)
    assert frame.black_level.max() == 256


def test_a_stream_becomes_a_folder_of_frames_and_folders_are_jobs(run, key_file, odd, tmp_path, monkeypatch) -> None:
    piped = into_pipe(monkeypatch)
    assert run("stream", odd, "--key", key_file, "--frames", 3, "--fast", "--packing", "dense").status == 0
    streams = tmp_path / "streams"
    streams.mkdir()
    (streams / "a.raw").write_bytes(piped.getvalue())
    (streams / "b.bin").write_bytes(piped.getvalue()[: 30 * 44 * 12 // 8])
    (streams / "cut.bin").write_bytes(piped.getvalue()[:-1])
    about = ("--size", "44x30", "--bits", 12, "--packing", "dense")
    typed = run("raw", streams, *about, "--out", tmp_path / "dng")
    assert typed.status == 3
    assert "cut.bin: a frame of this size, bits and packing takes 1980 octets, and the file has 5939" in typed.err
    names = sorted(path.relative_to(tmp_path / "dng").as_posix() for path in (tmp_path / "dng").rglob("*.dng"))
    assert names == ["a.raw/000000.dng", "a.raw/000001.dng", "a.raw/000002.dng", "b.bin.dng"]
    first = RawFrame.load(tmp_path / "dng" / "a.raw" / "000000.dng").mosaic
    np.testing.assert_array_equal(first, RawFrame.load(tmp_path / "dng" / "b.bin.dng").mosaic)


@pytest.mark.parametrize(
    ("wrong", "status", "sentence"),
    [
        (
            ("--size", "44x31"),
            1,
            "cut short: 44 x 31 photosites of 10 bits, packing mipi, take 1705 octets, and it has 1650",
        ),
        (("--size", "40x30"), 1, "not a whole number of frames"),
        (("--size", "44"), 2, "--size is WIDTHxHEIGHT"),
        (("--size", "44x30", "--bits", 11), 2, "MIPI packing has 8, 10, 12 or 14 bits, got 11"),
        (("--size", "44x30", "--packing", "zip"), 2, "no packing 'zip': choose one of mipi, words, dense"),
        (("--packing", "zip"), 2, "no packing 'zip'"),
        (("--size", "44x30", "--pattern", "RGXX"), 2, "'RGXX' is not known"),
        ((), 1, "frame.bin: not a RAW file"),
    ],
)
def test_raw_says_what_is_wrong_and_writes_nothing(run, tmp_path, wrong, status, sentence) -> None:
    (tmp_path / "frame.bin").write_bytes(bytes(1650))
    typed = run("raw", tmp_path / "frame.bin", *wrong, "--out", tmp_path / "out")
    assert (typed.status, typed.err.count("\n")) == (status, 1)
    assert sentence in typed.err
    assert not (tmp_path / "out").exists()


def test_a_stream_of_an_odd_picture_tells_the_size_that_it_has(run, key_file, odd, tmp_path, monkeypatch) -> None:
    piped = into_pipe(monkeypatch)
    nonces = tmp_path / "nonces.txt"
    typed = run("stream", odd, "--key", key_file, "--frames", 2, "--fast", "--nonces", nonces, "--seed", 5)
    assert typed.status == 0
    key = Key.load(key_file)
    assert typed.err.splitlines() == [
        f"44 x 30 RGGB, 12 bit, packing words, 100.000 frames/s, key {key.id}",
        "ffmpeg -f rawvideo -pixel_format gray12le -video_size 44x30 -framerate 100.000 -i -",
    ]
    frames = np.frombuffer(piped.getvalue(), np.uint8).reshape(2, 30, -1)
    assert len(set(nonces.read_text().split())) == 2
    assert not np.array_equal(unpack(frames[0], 44, 12, "words"), unpack(frames[1], 44, 12, "words"))
    again = into_pipe(monkeypatch)
    assert run("stream", odd, "--key", key_file, "--frames", 2, "--fast", "--seed", 5).status == 0
    assert again.getvalue() == piped.getvalue()


def test_a_stream_has_frames_of_one_size(run, key_file, odd, photo, monkeypatch) -> None:
    piped = into_pipe(monkeypatch)
    typed = run("stream", odd, photo, "--key", key_file, "--fast")
    assert typed.status == 1
    assert "these scenes give several: 44 x 30, 84 x 60" in typed.err
    assert piped.getvalue() == b""


def test_a_terminal_gets_no_frames(run, key_file, odd, monkeypatch) -> None:
    piped = into_pipe(monkeypatch)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "frames are no text for a terminal" in run("stream", odd, "--key", key_file).err
    assert piped.getvalue() == b""


def test_a_full_disk_is_one_sentence(run, key_file, odd, monkeypatch) -> None:
    class Full(io.BytesIO):
        def write(self, octets: object) -> int:
            raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Full()))
    typed = run("stream", odd, "--key", key_file, "--frames", 1, "--fast")
    assert typed.status == 1
    assert typed.err.endswith("shufflecam: the stream cannot be written (No space left on device)\n")

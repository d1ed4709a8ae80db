"""Streams: where their pictures come from, what becomes of them, and where they go."""

import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

from scrambler import Key
from scrambler.files import try_lock
from sensor import Camera
from shufflecam.chain import Labeller
from shufflecam.live import LiveCamera, LiveError, LivePage, Rate, VideoFile, drawn, pictures_of


@pytest.fixture
def folder(photo: Path) -> Path:
    """Two pictures, one grey with 16 bits."""
    assert cv2.imwrite(str(photo.parent / "b.png"), np.full((20, 30), 0x8001, np.uint16))
    return photo.parent


def video_sizes(path: Path) -> list[tuple[int, int]]:
    return [picture.shape[:2] for picture in pictures_of(str(path))]


def test_a_folder_is_a_stream_by_name(folder: Path, photo: Path) -> None:
    first, second = pictures_of(str(folder))
    np.testing.assert_array_equal(first, cv2.imread(str(photo))[:, :, ::-1])
    assert (second.shape, second.dtype, second.min(), second.max()) == ((20, 30, 3), np.uint8, 128, 128)


def test_a_frame_is_shuffled_and_labelled_as_the_chain_does(folder: Path) -> None:
    key, labeller = Key.generate(), Labeller.load()
    camera = LiveCamera(Camera("imx477", seed=1), key, labeller, width_px=40)
    frame = camera.take(next(pictures_of(str(folder))))
    assert frame.plain.shape == frame.delivered.shape == (28, 40, 3)
    smooth, rough = (
        np.abs(np.diff(one[:, :, 1].astype(float), axis=1)).mean() for one in (frame.plain, frame.delivered)
    )
    assert rough > 2 * smooth
    assert frame.with_key.name in labeller.pretrained.classes
    sheet = drawn(frame, 12.5)
    assert all(side % 2 == 0 for side in sheet.shape[:2])
    assert sheet.shape[1] > 2 * 240


def test_headless_writes_a_whole_video_and_prints_figures(run, folder: Path, key_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "live.avi"
    typed = run("live", folder, "--key", key_file, "--headless", "--frames", 2, "--out", out)
    assert typed.status == 0
    assert Key.load(key_file).id in typed.out
    assert "2 " in typed.out.splitlines()[2]
    sizes = video_sizes(out)
    assert len(sizes) == 2
    assert len(set(sizes)) == 1
    assert [path.name for path in out.parent.iterdir()] == ["live.avi"]
    assert run("live", out, "--headless", "--frames", 1).status == 0


def test_streams_that_are_none_are_refused_in_one_sentence(run, folder: Path, tmp_path: Path) -> None:
    for arguments, why in {
        ("77",): "there is no camera 77",
        (tmp_path / "none.mp4",): "no camera's number",
        (folder, "--out", tmp_path / "a.png"): "ends in .mp4, .avi, .mkv",
        (tmp_path / "empty",): "holds no file",
    }.items():
        (tmp_path / "empty").mkdir(exist_ok=True)
        typed = run("live", *arguments, "--headless")
        assert (typed.status, typed.err.count("\n")) == (2 if "--out" in arguments else 1, 1)
        assert why in typed.err


def test_a_video_that_fails_leaves_nothing_and_ctrl_c_keeps_it(tmp_path: Path) -> None:
    grey = np.full((48, 64, 3), 90, np.uint8)

    def stream(path: Path, end: BaseException) -> None:
        with VideoFile(path, 10) as video:
            video.add(grey)
            video.add(grey[:20, :30])
            raise end

    with pytest.raises(ValueError, match="stop"):
        stream(tmp_path / "a.avi", ValueError("stop"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        stream(tmp_path / "a.avi", KeyboardInterrupt())
    assert video_sizes(tmp_path / "a.avi") == [(48, 64), (48, 64)]
    with pytest.raises(LiveError):
        VideoFile(tmp_path / "a.gif", 10)


def test_the_page_shows_the_latest_frame_to_those_who_know_its_address() -> None:
    page = LivePage()
    grey = np.full((16, 24, 3), 90, np.uint8)
    with page.served():
        assert page.address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(page.address, timeout=10) as answer:
            assert b'src="stream"' in answer.read()
        root = page.address.rsplit("/", 2)[0]
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(root + "/", timeout=10)
        refused.value.close()
        assert refused.value.code == 404
        page.show(grey)
        with urllib.request.urlopen(page.address + "stream", timeout=10) as answer:
            start = answer.read(200)
            threading.Timer(0.05, page.show, [grey + 1]).start()
            assert start.startswith(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8")


def test_the_rate_leaves_the_first_frame_out(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 10.0, 10.5, 11.0])
    monkeypatch.setattr("shufflecam.live.camera.time.perf_counter", lambda: next(times))
    rate = Rate()
    assert [rate.count() for _ in range(3)] == pytest.approx([0.1, 2, 2])
    assert rate.mean_per_s == 2
    assert rate.frames == 3


def test_a_second_video_never_sees_the_folder_of_one_that_begins_without_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey, seen = np.full((48, 64, 3), 90, np.uint8), list[Path]()

    def lock_beside_another(handle: int) -> bool:
        monkeypatch.undo()
        seen.extend(tmp_path.iterdir())
        with VideoFile(tmp_path / "b.avi", 10) as other:
            other.add(grey)
        return try_lock(handle)

    monkeypatch.setattr("shufflecam.live.video_file.try_lock", lock_beside_another)
    with VideoFile(tmp_path / "a.avi", 10) as video:
        video.add(grey)
    assert len(seen) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi", "b.avi"]


def test_what_a_killed_process_left_of_a_video_is_swept_and_what_one_writes_is_not(tmp_path: Path) -> None:
    grey = np.full((48, 64, 3), 90, np.uint8)
    code = (
        "import os, signal, sys, numpy; from pathlib import Path; from shufflecam.live import VideoFile\n"
        "with VideoFile(Path(sys.argv[1]), 10) as video:\n"
        "    video.add(numpy.zeros((48, 64, 3), numpy.uint8))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, tmp_path / "a.avi"], cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with VideoFile(tmp_path / "b.avi", 10) as video:
        video.add(grey)
        assert not left.exists()
        (mine,) = tmp_path.iterdir()
        with VideoFile(tmp_path / "c.avi", 10) as other:
            other.add(grey)
            assert mine.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.avi", "c.avi"]

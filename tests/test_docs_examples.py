"""The help examples, typed one after the other as they stand, work on real photographs, RAW files and street scenes."""

import os
import re
import shlex
import shutil
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from typer.main import get_command

from shufflecam.cli import app, main

VERBS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]  # the app is a group of verbs
# `train` takes hours on a CPU, and is tested under tests/networks; `stream` pipes into another program.
LEFT_OUT = {"train", "stream"}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with ``photos/``: photographs, RAW files, street scenes in a subfolder, and a cat.

    Beside it lie ``photo.jpg``, and ``frame.bin``, 12-bit codes without a header.
    """
    data = Path(os.environ.get("SHUFFLECAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not data.is_dir():
        pytest.skip("no sample data: set SHUFFLECAM_DATA to their folder")
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("kodak/kodim01.png", "kodak/kodim04.png", "photos/ng-32703.webp", "raw/kodak_dc50.kdc"):
        shutil.copy(data / name, photos)
    for raw in ("nikon_rose_768x512_rggb14.dng", "infinite_isp_indoor1_2592x1536_grbg8.dng"):
        shutil.copy(data / "raw" / raw, photos)
    with tarfile.open(data / "camvid" / "camvid_240x180.tar") as tar:
        for member in [m for m in tar if m.name.startswith("camvid/test/")][:3]:
            tar.extract(member, photos, filter="data")
    assert cv2.imwrite(str(photos / "cat.jpg"), skimage.data.chelsea()[:, :, ::-1])
    shutil.copy(photos / "cat.jpg", tmp_path / "photo.jpg")
    (tmp_path / "frame.bin").write_bytes(bytes(4056 * 3040 * 12 // 8))
    return tmp_path


@pytest.mark.slow
def test_every_help_example_works_on_real_pictures(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    said = {}
    for verb in (verb for verb in VERBS if verb not in LEFT_OUT):
        [example] = re.findall(r"Example: shufflecam (.*)", VERBS[verb].help)
        status = main(shlex.split(example))
        said[verb] = capsys.readouterr()
        assert status == 0, (example, said[verb].err)
        assert said[verb].out or said[verb].err

    assert re.search(r"^cat +0\.\d+ +[0-9a-f]{16} +shuffled/cat\.jpg\.dng", said["label"].out, re.M)
    shuffled = sorted(path.relative_to(desk / "shuffled") for path in (desk / "shuffled").rglob("*.dng"))
    assert Path("camvid/test/0001TP_008550.webp.dng") in shuffled
    revealed = cv2.imread(str(desk / "pictures" / "cat.jpg.dng.png"))
    plain = cv2.imread(str(desk / "photos" / "cat.jpg"))
    assert revealed is not None
    assert plain is not None
    # The mosaic has whole periods of the colour filter only.
    assert cv2.PSNR(revealed, np.ascontiguousarray(plain[: revealed.shape[0], : revealed.shape[1]])) > 25

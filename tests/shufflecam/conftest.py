"""What the program's tests share: a small picture, a key file, and a way to type commands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from networks import build, save_network
from scrambler import Key
from shufflecam.cli import main


@dataclass
class Typed:
    """What a command left behind."""

    status: int
    out: str
    err: str


Type = Callable[..., Typed]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command; every error must be one line without a traceback."""

    def typed(*arguments: object) -> Typed:
        status = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Typed(status, captured.out, captured.err)

    return typed


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file, whose key is always the same."""
    path = tmp_path / "door.key"
    Key.from_bytes(bytes(range(32))).save(path)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A smooth picture, 60 x 84 pixels, in a folder of its own."""
    y, x = np.mgrid[:60, :84] / 84.0
    picture = np.stack([x, y, 0.5 + 0.4 * np.sin(9 * x * y)], 2)
    path = tmp_path / "photos" / "a.png"
    path.parent.mkdir()
    assert cv2.imwrite(str(path), np.rint(255 * picture).astype(np.uint8))
    return path


@pytest.fixture
def frame_file(run: Type, photo: Path, key_file: Path, tmp_path: Path) -> Path:
    """That picture, captured and shuffled."""
    assert run("capture", photo, "--key", key_file, "--out", tmp_path / "frames").status == 0
    return tmp_path / "frames" / "a.png.dng"


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """A folder of dark and bright pictures, and weights that nobody has trained."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, level in (("bright", 150), ("dark", 0)):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for number in range(2):
                picture = level + rng.integers(0, 100, (32, 32, 3))
                cv2.imwrite(str(tmp_path / "data" / split / name / f"{number}.png"), picture.astype(np.uint8))
    network = build("airbench94_quarter", 2, seed=0)
    save_network(tmp_path / "w.safetensors", network, "airbench94_quarter", ("bright", "dark"))
    return tmp_path

"""The gallery runs, and each script leaves its picture."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_a_gallery_script_runs_from_another_folder_and_writes_its_picture(script: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, script, tmp_path], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    picture = tmp_path / f"{script.stem.removeprefix('plot_')}.png"
    image = cv2.imread(str(picture))
    assert image is not None
    assert image.std() > 5


def test_the_gallery_page_lists_every_script() -> None:
    page = (ROOT / "examples" / "README.md").read_text()
    assert len(SCRIPTS) >= 6
    for script in SCRIPTS:
        assert f"`{script.name}`" in page

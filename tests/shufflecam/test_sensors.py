"""``shufflecam sensors``: the list, copies and fits."""

import json

import cv2
import numpy as np
import pytest

from sensor import Camera, Scene, sensor_preset


def test_the_list_names_every_preset(run) -> None:
    typed = run("sensors", "--json")
    names = [json.loads(line)["name"] for line in typed.out.splitlines()]
    assert "imx477" in names
    table = run("sensors").out
    assert all(name in table for name in names)


def test_a_copy_can_be_captured_with(run, photo, key_file, tmp_path) -> None:
    mine = tmp_path / "new folder" / "mine.toml"
    assert run("sensors", "--copy", "imx477", "--out", mine).status == 0
    mine.write_text(mine.read_text().replace("value = 12\n", "value = 10\n").replace("value = 256\n", "value = 64\n"))
    assert run("capture", photo, "--key", key_file, "--sensor", mine, "--out", tmp_path / "out").status == 0
    again = run("sensors", "--copy", "imx477", "--out", mine)
    assert (again.status, "exists already" in again.err) == (1, True)


def test_frames_become_a_preset(run, tmp_path) -> None:
    camera = Camera("pregius-3.45", seed=4)
    for name, level, count in (("darks/10ms", 0.0, 8), ("flats", 0.4, 4)):
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            codes = camera.capture(Scene.from_array(np.full((60, 80), level)), frame=number + int(100 * level)).mosaic
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), codes)
    fit = ("sensors", "--fit", tmp_path / "darks", tmp_path / "flats", "--base", "pregius-3.45")
    typed = run(*fit, "--out", tmp_path / "mine.toml", "--tukey")
    assert (typed.status, "gain_dn_per_e" in typed.out) == (0, True)
    mine = sensor_preset(tmp_path / "mine.toml")
    assert mine.gain_dn_per_e == pytest.approx(0.357, rel=0.1)
    assert mine.read_noise_kind == "tukey"
    assert "fitted to 12 frames" in mine.provenance["gain_dn_per_e"]
    assert json.loads(run(*fit, "--out", tmp_path / "b.toml", "--json").out)["frames"] == 12


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("--copy", "imx477"), 2, "give them together"),
        (("--out", "a.toml"), 2, "give them together"),
        (("--copy", "imx999", "--out", "a.toml"), 1, "no sensor preset 'imx999'"),
        (("--copy", "imx477", "--out", "a.txt"), 2, "end in .toml"),
        (("--fit", "none", "none", "--out", "a.toml"), 1, "none: there is no such folder"),
        (("--fit", "none", "none", "--copy", "imx477", "--out", "a.toml"), 2, "give one of them"),
    ],
)
def test_what_cannot_be_is_one_sentence(run, tmp_path, monkeypatch, arguments, status, sentence) -> None:
    monkeypatch.chdir(tmp_path)
    typed = run("sensors", *arguments)
    assert typed.status == status
    assert sentence in " ".join(typed.err.split())
    assert len(typed.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())

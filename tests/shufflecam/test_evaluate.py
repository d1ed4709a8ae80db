"""`shufflecam evaluate` on labels, on masks and on pictures that a network was trained on protected."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from networks import CAMVID_CLASSES, build, save_network
from scrambler import Key


def test_any_folder_of_pictures_can_be_evaluated(run, two_classes: Path) -> None:
    folder, weights = two_classes / "data", two_classes / "w.safetensors"
    typed = run("evaluate", weights, "--data", folder)
    assert typed.status == 0, typed.err
    for row in ("plain ", "with the key ", "without a key ", "wrong key "):
        assert f"\n{row}" in "\n" + typed.out
    figures = json.loads(run("evaluate", weights, "--data", folder, "--images", 3, "--json").out)
    assert (figures["images"], figures["different_predictions"]) == (3, 0)
    assert figures["plain_accuracy"] == figures["keyed_accuracy"]


def test_masks_are_judged_by_mean_iou(run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("test", "testannot"):
        (tmp_path / name).mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / "test" / f"{number}.png"), rng.integers(0, 256, (20, 28, 3), dtype=np.uint8))
        cv2.imwrite(str(tmp_path / "testannot" / f"{number}.png"), rng.integers(0, 12, (20, 28), dtype=np.uint8))
    save_network(tmp_path / "u.safetensors", build("unet", seed=0), "unet", CAMVID_CLASSES)
    typed = run("evaluate", tmp_path / "u.safetensors", "--folder", tmp_path)
    assert typed.status == 0, typed.err
    assert "mean IoU" in typed.out
    assert "masks as delivered" in typed.out
    assert "differ in 0 pixels" in typed.out


def test_networks_of_protected_pictures_are_judged_on_those(run, two_classes: Path, key_file: Path) -> None:
    config = two_classes / "c.toml"
    config.write_text(
        f'model = "airbench94_quarter"\ndata = "{two_classes / "data"}"\n[protect]\nscheme = "negative-positive"\n'
    )
    asked = ("evaluate", config, "--weights", two_classes / "w.safetensors")
    assert "--key" in run(*asked).err
    typed = run(*asked, "--key", key_file)
    assert typed.status == 0, typed.err
    assert "negative-positive, another key" in typed.out
    figures = json.loads(run(*asked, "--key", key_file, "--json").out)
    assert set(figures) == {"model", "data", "protected", "plain", "another_key"}
    assert Key.load(key_file).id not in typed.out


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("c.toml",), 2, "--weights"),
        (("cifar10-airbench94", "--weights", "w.safetensors"), 2, "CONFIG.toml"),
        (("nowhere.safetensors",), 1, "no weights file"),
    ],
)
def test_what_does_not_go_together_is_named(
    run, two_classes: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, told: str
) -> None:
    monkeypatch.chdir(two_classes)
    Path("c.toml").write_text('model = "airbench94_quarter"\n')
    typed = run("evaluate", *arguments)
    assert (typed.status, told in typed.err) == (status, True)


def test_other_numbers_of_classes_are_named(run, two_classes: Path) -> None:
    typed = run("evaluate", "cifar10-airbench94", "--data", two_classes / "data")
    assert typed.status == 1
    assert "knows 10 classes" in typed.err

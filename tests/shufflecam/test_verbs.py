"""Every verb, typed as a user would."""

import json
import re
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest

from scrambler import Key
from sensor import RawFrame, develop
from shufflecam.cli import app, main


def test_keygen_makes_a_private_file_and_prints_the_id_only(run, tmp_path: Path) -> None:
    path = tmp_path / "door.key"
    typed = run("keygen", path)
    key = Key.load(path)
    assert typed.status == 0
    assert key.id in typed.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = run("keygen", path)
    assert (again.status, again.out) == (1, "")
    assert "door.key" in again.err
    assert Key.load(path).id == key.id


def test_capture_label_reveal_agree_with_the_python_interface(
    run, frame_file: Path, key_file: Path, tmp_path: Path
) -> None:
    frame, key = RawFrame.load(frame_file), Key.load(key_file)
    assert frame.key_id == key.id
    labelled = run("label", frame_file, "--key", key_file, "--json")
    row = json.loads(labelled.out)
    assert row["file"] == str(frame_file)
    assert row["key_id"] == key.id
    table = run("label", frame_file, "--key", key_file)
    assert row["label"] in table.out
    assert run("reveal", frame_file, "--key", key_file, "--out", tmp_path / "pictures").status == 0
    revealed = cv2.imread(str(tmp_path / "pictures" / "a.png.dng.png"))[:, :, ::-1]
    np.testing.assert_array_equal(revealed, np.rint(develop(frame, key) * 255).astype(np.uint8))


def test_a_revealed_picture_looks_like_the_photograph(
    run, photo: Path, frame_file: Path, key_file: Path, tmp_path: Path
) -> None:
    run("reveal", frame_file, "--key", key_file, "--out", tmp_path / "pictures")
    plain = cv2.imread(str(photo)).astype(float)
    revealed = cv2.imread(str(tmp_path / "pictures" / "a.png.dng.png")).astype(float)
    delivered = cv2.imread(str(frame_file), cv2.IMREAD_UNCHANGED)
    assert np.abs(revealed - plain).mean() < 12
    assert delivered is None or np.corrcoef(delivered[:, 1:].ravel(), delivered[:, :-1].ravel())[0, 1] < 0.5


def test_two_captures_of_one_picture_have_different_nonces_unless_seeded(
    run, photo: Path, key_file: Path, tmp_path: Path
) -> None:
    def capture(folder: str, *more: object) -> RawFrame:
        assert run("capture", photo, "--key", key_file, "--out", tmp_path / folder, *more).status == 0
        return RawFrame.load(tmp_path / folder / "a.png.dng")

    assert capture("one").nonce != capture("two").nonce
    a, b = capture("three", "--seed", 5), capture("four", "--seed", 5)
    assert a.nonce == b.nonce
    np.testing.assert_array_equal(a.mosaic, b.mosaic)
    assert capture("five", "--seed", 6).nonce != a.nonce


def test_folders_keep_their_tree_and_bad_files_do_not_stop_the_rest(
    run, photo: Path, key_file: Path, tmp_path: Path
) -> None:
    inside = photo.parent / "deep" / "b.PNG"
    inside.parent.mkdir()
    inside.write_bytes(photo.read_bytes())
    (photo.parent / "broken.jpg").write_bytes(b"no picture")
    (photo.parent / "notes.txt").write_text("not a picture either")
    typed = run("capture", photo.parent, "--key", key_file, "--out", tmp_path / "frames")
    assert typed.status == 3
    assert typed.err.count("\n") == 1
    assert typed.err.count("broken.jpg") == 1
    found = sorted(p.relative_to(tmp_path / "frames").as_posix() for p in (tmp_path / "frames").rglob("*.*"))
    assert found == ["a.png.dng", "deep/b.PNG.dng", "manifest.jsonl"]
    assert len(run("label", tmp_path / "frames", "--key", key_file, "--json").out.splitlines()) == 2


def test_raw_files_are_shuffled_after_the_fact(run, frame_file: Path, key_file: Path, tmp_path: Path) -> None:
    key = Key.load(key_file)
    natural = RawFrame.load(frame_file).unshuffle(key)
    natural.save(tmp_path / "natural.dng")
    assert run("capture", tmp_path / "natural.dng", "--key", key_file, "--out", tmp_path / "again").status == 0
    np.testing.assert_array_equal(
        RawFrame.load(tmp_path / "again" / "natural.dng.dng").unshuffle(key).mosaic, natural.mosaic
    )
    assert run("label", tmp_path / "natural.dng").status == 0


def test_show_draws_what_is_known(run, photo: Path, frame_file: Path, key_file: Path, tmp_path: Path) -> None:
    for name, arguments in {
        "key.png": (frame_file, "--key", key_file),
        "none.png": (frame_file,),
        "photo.png": (photo,),
    }.items():
        assert run("show", *arguments, "--out", tmp_path / name).status == 0
    widths = {name: cv2.imread(str(tmp_path / name)).shape[1] for name in ("key.png", "none.png", "photo.png")}
    assert widths["key.png"] == widths["photo.png"] == 4 * widths["none.png"]
    assert run("show", photo, "--out", tmp_path / "figure.jpg").status == 2


def test_sensors_and_models_are_listed(run) -> None:
    assert "imx477" in run("sensors").out
    assert {json.loads(line)["name"] for line in run("sensors", "--json").out.splitlines()} >= {"imx477"}
    assert "cifar10-airbench94" in run("models").out
    cards = [json.loads(line) for line in run("models", "--json").out.splitlines()]
    assert {card["name"]: card["parameters"] for card in cards}["cifar10-airbench94"] == 1972792


def test_the_demo_labels_its_picture_with_the_key_and_writes_dng_and_figure(run, tmp_path: Path) -> None:
    typed = run("demo", "--out", tmp_path, "--wrong-keys", 2)
    assert typed.status == 0
    labels = {
        name: re.search(rf"^{name} .*?  (\w+)  +[01]\.\d", typed.out, re.MULTILINE).group(1)
        for name in ("plain", "with the key", "without a key", "wrong key")
    }
    assert labels["with the key"] == labels["plain"] == "horse"
    assert RawFrame.load(tmp_path / "horse.png.dng").is_shuffled
    assert cv2.imread(str(tmp_path / "horse.png.png")).shape[1] > 500
    assert "of 2 with wrong keys" in typed.out


def test_the_demo_takes_any_picture(run, photo: Path, tmp_path: Path) -> None:
    assert run("demo", photo, "--out", tmp_path / "out", "--seed", 1, "--sensor", "imx363").status == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"a.png.dng", "a.png.png"}


@pytest.mark.parametrize("verb", sorted(command.name for command in app.registered_commands))
def test_every_verb_has_help_with_an_example(run, verb: str) -> None:
    typed = run(verb, "--help")
    assert typed.status == 0
    assert f"Example: shufflecam {verb}" in " ".join(typed.out.split())
    assert f"shufflecam {verb}" in (Path(__file__).parents[2] / "README.md").read_text()


def test_version_and_wrong_usage(run) -> None:
    from shufflecam import __version__

    assert run("--version").out == f"shufflecam {__version__}\n"
    assert run("label").status == 2
    assert run("fly").status == 2


def test_main_reads_the_process_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["shufflecam", "--version"])
    assert main() == 0

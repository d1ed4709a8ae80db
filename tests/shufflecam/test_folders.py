"""Folders and file names as people have them."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from scrambler import Key
from sensor import RawFrame
from shufflecam.inputs import PICTURES, expand


def test_a_second_run_does_not_take_its_own_outputs_for_inputs(run, photo: Path, key_file: Path) -> None:
    out = photo.parent / "out"
    for _ in range(2):
        assert run("capture", photo.parent, "--key", key_file, "--out", out).status == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.png.dng", "manifest.jsonl"]


def test_when_every_input_fails_the_status_is_1_and_nothing_is_claimed(run, key_file: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture")
    typed = run("capture", tmp_path / "a.png", tmp_path / "b.png", "--key", key_file, "--out", tmp_path / "out")
    assert (typed.status, typed.out) == (1, "")
    assert typed.err.count("\n") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["x[red].png", "x:cat:.png", "ünï cödé.png", "-dash.png", "n" * 200 + ".png"])
def test_names_come_back_as_they_are(run, photo: Path, key_file: Path, tmp_path: Path, name: str) -> None:
    odd = photo.parent / name
    photo.rename(odd)
    out = tmp_path / "out[red]"
    captured = run("capture", photo.parent, "--key", key_file, "--out", out)
    assert captured.status == 0
    assert str(out) in captured.out
    labelled = run("label", out, "--key", key_file)
    assert labelled.status == 0
    row = labelled.out.splitlines()[-1]
    assert row.rstrip().endswith(str(out / f"{name}.dng"))
    assert Key.load(key_file).id in row
    assert run("show", out, "--key", key_file, "--out", tmp_path / "fig[bold].png").status == 0


def test_names_that_differ_in_case_alone_are_two_where_the_output_folder_tells_them_apart(
    run, photo: Path, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = photo.with_name(photo.name.swapcase())
    if twin.exists():
        pytest.skip("this file system takes both for one name")
    shutil.copy(photo, twin)
    arguments = ("capture", photo.parent, "--key", key_file, "--out", tmp_path / "out")
    assert run(*arguments).status == 0
    assert {path.name for path in (tmp_path / "out").glob("*.dng")} == {"a.png.dng", "A.PNG.dng"}
    monkeypatch.setattr("shufflecam.inputs._folds_case", lambda folder: True)
    typed = run(*arguments)
    assert (typed.status, "same output name" in typed.err) == (1, True)


def test_files_of_one_name_in_two_folders_need_two_output_folders(
    run, photo: Path, key_file: Path, tmp_path: Path
) -> None:
    twin = tmp_path / "elsewhere" / photo.name
    twin.parent.mkdir()
    shutil.copy(photo, twin)
    typed = run("capture", photo, twin, "--key", key_file, "--out", tmp_path / "out")
    assert (typed.status, "each with its own --out" in typed.err) == (1, True)
    assert not (tmp_path / "out").exists()


def test_seeded_nonces_and_noise_follow_from_the_path_alone(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    twin = tmp_path / "elsewhere" / photo.name
    twin.parent.mkdir()
    shutil.copy(photo, twin)

    def capture(source: Path, folder: str) -> RawFrame:
        assert run("capture", source, "--key", key_file, "--out", tmp_path / folder, "--seed", 5).status == 0
        return RawFrame.load(tmp_path / folder / "a.png.dng")

    alone = capture(photo, "one")
    shutil.copy(photo, photo.parent / "0.png")
    among_others = capture(photo.parent, "two")
    assert alone.nonce == among_others.nonce
    np.testing.assert_array_equal(alone.mosaic, among_others.mosaic)
    # Another picture of the same name must never get the same nonce.
    assert capture(twin, "three").nonce != alone.nonce


def test_weak_patterns_say_so(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    typed = run("capture", photo, "--key", key_file, "--out", tmp_path / "out", "--pattern", "rows")
    assert typed.status == 0
    assert "pattern rows is weak" in typed.err
    strong = run("capture", photo, "--key", key_file, "--out", tmp_path / "out2")
    assert strong.err == ""


def test_the_demo_takes_raw_files_too(run, frame_file: Path, key_file: Path, tmp_path: Path) -> None:
    natural = tmp_path / "natural.dng"
    RawFrame.load(frame_file).unshuffle(Key.load(key_file)).save(natural)
    assert run("demo", natural, "--out", tmp_path / "out").status == 0
    assert (tmp_path / "out" / "natural.dng.dng").exists()


def test_decoders_do_not_add_lines_of_their_own(
    capfd: pytest.CaptureFixture[str], key_file: Path, tmp_path: Path
) -> None:
    from shufflecam.cli import main

    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    _, encoded = cv2.imencode(".png", picture)
    for name, content in {"cut.png": encoded.tobytes()[:3000], "cut.dng": b"II*\0\x08\0\0\0"}.items():
        (tmp_path / name).write_bytes(content)
        assert main(["capture", str(tmp_path / name), "--key", str(key_file), "--out", str(tmp_path / "out")]) == 1
        assert capfd.readouterr().err.count("\n") == 1
    arguments = ["--scheme", "pixel-shuffle", "--key", str(key_file), "--out"]
    cv2.imwrite(str(tmp_path / "whole.png"), picture)
    assert main(["protect", str(tmp_path / "whole.png"), *arguments, str(tmp_path)]) == 0
    protected = tmp_path / "whole.png.png"
    protected.write_bytes(protected.read_bytes()[:3000])
    capfd.readouterr()
    assert main(["reveal", str(protected), "--key", str(key_file), "--out", str(tmp_path / "out")]) == 1
    assert capfd.readouterr().err == f"shufflecam: {protected}: this protected picture is damaged\n"


def test_inputs_are_found_once_and_hidden_ones_only_when_named(tmp_path: Path) -> None:
    for name in ("a.png", ".b.png", "c.txt"):
        (tmp_path / name).write_text("x")
    assert [i.path.name for i in expand([tmp_path, tmp_path / "a.png"], PICTURES)] == ["a.png"]
    assert [i.path.name for i in expand([tmp_path / ".b.png"], PICTURES)] == [".b.png"]


def test_pictures_of_kinds_that_a_verb_does_not_take_are_counted(run, frame_file: Path, key_file: Path) -> None:
    folder, out = frame_file.parent, frame_file.parents[1] / "pictures"
    for name in ("b.jpg", "c.JPG", "d.mp4", "e.txt", ".f.jpg"):
        (folder / name).write_text("x")
    typed = run("reveal", folder, "--key", key_file, "--out", out)
    assert typed.status == 0
    assert typed.err == "passed over 3 files of kinds that this verb does not take: 2 .jpg, 1 .mp4\n"
    assert [path.name for path in out.glob("*.png")] == ["a.png.dng.png"]
    # A picture that is not protected has nothing to read in its order either.
    (folder / "g.png").write_bytes((folder.parent / "photos" / "a.png").read_bytes())
    assert "1 .png" in run("label", folder, "--key", key_file).err

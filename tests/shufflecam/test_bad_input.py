"""Bad input: one sentence on standard error, status 1, or 2 for wrong usage; nothing written."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from scrambler import Key


def assert_refused(typed, *words: object, status: int = 1) -> None:
    assert typed.status == status
    assert typed.out == ""
    assert typed.err.startswith("shufflecam: ")
    assert typed.err.count("\n") == 1
    for word in words:
        assert str(word) in typed.err


@pytest.fixture
def out(tmp_path: Path):
    """A folder that must not exist after a refused command."""
    folder = tmp_path / "out"
    yield folder
    assert not folder.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.png", b"hello"),
        ("empty.png", b""),
        ("cut.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("raw.dng", b"II*\0junk"),
    ],
)
def test_an_unreadable_file_is_named(run, key_file: Path, tmp_path: Path, out: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert_refused(run("capture", path, "--key", key_file, "--out", out), name)


def test_a_missing_picture_or_folder_of_nothing_is_named(run, key_file: Path, tmp_path: Path, out: Path) -> None:
    assert_refused(run("capture", tmp_path / "gone.png", "--key", key_file, "--out", out), "gone.png")
    (tmp_path / "bare").mkdir()
    assert_refused(run("capture", tmp_path / "bare", "--key", key_file, "--out", out), "bare")
    assert_refused(run("label", tmp_path / "gone.dng", "--key", key_file), "gone.dng")


def test_a_missing_key_is_asked_for(run, frame_file: Path, key_file: Path) -> None:
    assert_refused(run("label", frame_file), frame_file, Key.load(key_file).id)


def test_a_wrong_key_is_refused_by_both_ids(run, frame_file: Path, key_file: Path, tmp_path: Path, out: Path) -> None:
    other = Key.generate()
    other.save(tmp_path / "other.key")
    ids = (other.id, Key.load(key_file).id)
    assert_refused(run("label", frame_file, "--key", tmp_path / "other.key"), frame_file, *ids)
    assert_refused(run("reveal", frame_file, "--key", tmp_path / "other.key", "--out", out), frame_file, *ids)


def test_damaged_and_loose_key_files_are_refused(run, frame_file: Path, key_file: Path) -> None:
    text = key_file.read_text()
    place = len(text) // 2
    key_file.write_text(text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :])
    assert_refused(run("label", frame_file, "--key", key_file), "door.key")
    key_file.write_text(text)
    key_file.chmod(0o644)
    assert_refused(run("label", frame_file, "--key", key_file), "door.key", "chmod 600")
    assert_refused(run("label", frame_file, "--key", key_file.with_name("lost.key")), "lost.key")


def test_a_frame_of_another_camera_has_no_key_to_reveal_with(
    run, frame_file: Path, key_file: Path, tmp_path: Path
) -> None:
    # A natural frame needs no key: it is labelled and revealed as it lies.
    from sensor import RawFrame

    RawFrame.load(frame_file).unshuffle(Key.load(key_file)).save(tmp_path / "plain.dng")
    assert run("label", tmp_path / "plain.dng").status == 0
    assert run("reveal", tmp_path / "plain.dng", "--key", key_file, "--out", tmp_path / "pictures").status == 0


def test_a_tiff_that_is_no_raw_file_is_named(run, key_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture.dng"
    tifffile.imwrite(path, np.zeros((40, 40, 3), np.uint8), photometric="rgb")
    assert_refused(run("label", path, "--key", key_file), "picture.dng")


def test_a_picture_is_no_frame(run, photo: Path, key_file: Path) -> None:
    assert_refused(run("label", photo, "--key", key_file), "a.png")


def test_a_frame_too_small_for_dng_is_named(run, key_file: Path, tmp_path: Path, out: Path) -> None:
    import cv2

    path = tmp_path / "tiny.png"
    cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    assert_refused(run("capture", path, "--key", key_file, "--out", out), "tiny.png", "small")


def test_an_unknown_sensor_is_named(run, photo: Path, key_file: Path, out: Path) -> None:
    assert_refused(run("capture", photo, "--key", key_file, "--out", out, "--sensor", "imx0"), "imx0")


def test_an_input_that_ends_too_early_is_one_sentence(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*, as_json: bool) -> None:
        raise EOFError

    monkeypatch.setattr("shufflecam.commands.sensors._list", ended)
    typed = run("sensors")
    # Typer begins a new line, as somebody may have been asked in the middle of one.
    assert (typed.status, typed.err) == (1, "\nshufflecam: the input ended too early\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--pattern", "spiral"), "spiral"),
        (("--pattern", "tiles:0"), "tiles:0"),
        (("--unit", "brick"), "brick"),
        (("--stage", "mid"), "mid"),
        (("--exposure", "-1"), "--exposure"),
        (("--exposure", "long"), "--exposure"),
        (("--gain", "0"), "gain"),
        (("--lens", "blur_px=-1"), "blur_px"),
        (("--hdr", "1"), "--hdr"),
        (("--blur", "1"), "--blur"),
        (("--jobs", "0"), "--jobs"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_values_that_no_option_takes_are_wrong_usage_whatever_the_files(
    run, key_file: Path, out: Path, arguments: tuple[str, ...], word: str
) -> None:
    assert_refused(run("capture", "none.png", "--key", key_file, "--out", out, *arguments), word, status=2)


def test_what_typer_refuses_is_one_line_too(run, photo: Path, key_file: Path) -> None:
    assert_refused(run("capture", photo, "--key", key_file), "--out", "shufflecam capture --help", status=2)
    assert_refused(run("fly"), "fly", "shufflecam --help", status=2)
    bare = run()
    assert (bare.status, bare.out, "keygen" in bare.err) == (2, "", True)


def test_a_warning_waits_until_the_inputs_are_found(run, key_file: Path, out: Path) -> None:
    for arguments in (("capture", "--pattern", "rows"), ("protect", "--scheme", "le")):
        assert_refused(run(*arguments, "none.png", "--key", key_file, "--out", out), "none.png")


def test_a_folder_of_plain_pictures_has_nothing_to_label(run, photo: Path) -> None:
    assert_refused(run("label", photo.parent), photo.parent, "captured or protected first")


def test_the_demo_blames_no_picture_for_an_unknown_sensor(run, photo: Path, out: Path) -> None:
    assert_refused(run("demo", photo, "--sensor", "imx0", "--out", out), "shufflecam: there is no sensor preset 'imx0'")


def test_unknown_networks_and_damaged_weights_are_named(run, frame_file: Path, key_file: Path, tmp_path: Path) -> None:
    assert_refused(run("label", frame_file, "--key", key_file, "--model", "cifar10-magic"), "cifar10-magic")
    (tmp_path / "w.safetensors").write_bytes(b"not weights")
    assert_refused(run("label", frame_file, "--key", key_file, "--model", tmp_path / "w.safetensors"), "w.safetensors")
    assert_refused(run("label", frame_file, "--key", key_file, "--model", key_file), key_file, "end in .safetensors")
    assert_refused(run("evaluate", "--data", tmp_path / "nowhere"), "nowhere")

"""How inputs are named, and what their decoders say."""

import os
from pathlib import Path

import pytest

from sensor import SceneError
from shufflecam.inputs import _folds_case, true_name
from shufflecam.sources import quiet_decoders


def test_a_true_name_is_the_resolved_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a.png", "ünï.png", os.fsdecode(b"latin-\xe9.png"), ".hidden.png"]
    for folder in ("one/deep", "two"):
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).touch()
    (tmp_path / "linked").symlink_to("one", target_is_directory=True)
    (tmp_path / "two" / "link.png").symlink_to("../linked/deep/a.png")
    (tmp_path / "two" / "loop.png").symlink_to("loop.png")
    monkeypatch.chdir(tmp_path / "two")
    folders = [tmp_path / "linked" / "deep", tmp_path / "linked" / ".." / "two", Path("../linked/deep"), Path()]
    paths = [folder / name for folder in folders for name in names]
    for path in [*paths, Path("link.png"), Path("no folder/a.png"), Path("missing.png")]:
        assert true_name(path) == os.fsencode(path.resolve())
    assert true_name(Path("loop.png")) == os.fsencode(tmp_path.resolve() / "two" / "loop.png")


def test_a_true_name_follows_a_link_that_leads_elsewhere_by_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").touch()
        (tmp_path / "now").unlink(missing_ok=True)
        (tmp_path / "now").symlink_to(folder, target_is_directory=True)
        assert true_name(tmp_path / "now" / "a.png") == os.fsencode(tmp_path.resolve() / folder / "a.png")
        monkeypatch.chdir(tmp_path / folder)
        assert true_name(Path("a.png")) == os.fsencode(tmp_path.resolve() / folder / "a.png")


def test_what_a_decoder_says_is_heard_once_and_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(bytes(10_000))
    for line in (b"Corrupt JPEG data: bad Huffman code\n", b"Corrupt JPEG data: 101 extraneous bytes before marker\n"):
        with pytest.raises(SceneError, match=r"a\.jpg: the picture is damaged"), quiet_decoders(path):
            os.write(2, line)
        with quiet_decoders(path):  # a sound one behind it
            os.write(2, b"Corrupt JPEG data: 100 extraneous bytes before marker\n")
        with quiet_decoders(path):
            pass
    assert capfd.readouterr().err == ""
    os.write(2, b"shown again\n")
    assert capfd.readouterr().err == "shown again\n"


def test_a_folder_is_asked_whether_it_tells_names_apart_by_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "not yet" / "there"
    folds = (tmp_path.parent / tmp_path.name.swapcase()).exists()
    assert _folds_case(tmp_path) is _folds_case(below) is folds

    def exists(path: Path) -> bool:
        return path.name.casefold() in {name.casefold() for name in os.listdir(path.parent)}

    # As on a memory card that is mounted in a file system that tells them apart.
    monkeypatch.setattr("os.path.exists", exists)
    assert _folds_case(tmp_path) is _folds_case(below) is True
    assert os.listdir(tmp_path) == []

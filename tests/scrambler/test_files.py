"""Files are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from scrambler.files import atomic_file


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    with atomic_file(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert [p.name for p in tmp_path.iterdir()] == ["out.bin"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_file(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_permissions_follow_the_process_mask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "open"), atomic_file(tmp_path / "private", 0o600):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600


def test_a_slash_at_the_end_counts_for_nothing(tmp_path: Path) -> None:
    for given in (f"{tmp_path}/out/", f"{tmp_path}/out//"):
        with atomic_file(given) as file:
            file.write(given.encode())
        assert (tmp_path / "out").read_text() == given
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_long_names_still_fit(tmp_path: Path) -> None:
    with atomic_file(tmp_path / ("n" * 255)) as file:
        file.write(b"x")
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "missing" / "out"):
        pass

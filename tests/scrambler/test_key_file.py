import os
import random
import stat
import string

import pytest

from scrambler import Key, KeyFileError

TEXT = "shufflecam-key-v1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\ne7e2d2eff90ad86c\n"


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    return path


def test_the_file_is_a_version_line_the_key_and_a_checksum(tmp_path):
    path = tmp_path / "door.key"
    Key.from_bytes(bytes(range(32))).save(path)
    assert path.read_text() == TEXT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["door.key"]
    assert Key.load(str(path)) == Key.from_bytes(bytes(range(32)))


def test_saving_ignores_a_loose_umask(tmp_path):
    before = os.umask(0)
    try:
        Key.generate().save(tmp_path / "door.key")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "door.key").stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(tmp_path):
    path = write(tmp_path / "door.key", "precious")
    with pytest.raises(KeyFileError, match="exists already"):
        Key.generate().save(path)
    assert path.read_text() == "precious"
    (tmp_path / "dangling.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyFileError, match="exists already"):
        Key.generate().save(tmp_path / "dangling.key")
    assert sorted(os.listdir(tmp_path)) == ["dangling.key", "door.key"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(KeyFileError, match=r"nowhere/door\.key cannot be written"):
        Key.generate().save(tmp_path / "nowhere" / "door.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o601])
def test_a_file_that_others_may_touch_is_refused_unless_allowed(tmp_path, mode):
    path = tmp_path / "door.key"
    Key.generate().save(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        Key.load(path)
    assert isinstance(Key.load(path, allow_loose_permissions=True), Key)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "not text"),
        ("hello\n", "is not a key file"),
        (TEXT.replace("v1", "v2"), "another version"),
        (TEXT[:40], "cut short"),
        (TEXT[:-1], "cut short"),
        (TEXT[:17], "cut short"),
        (TEXT + "\n", "damaged"),
        (TEXT.replace("AAEC", "AAED"), "checksum"),
        (TEXT + "x" * 5000, "too large"),
        (TEXT.replace("\n", "\r\n"), "another version"),
    ],
)
def test_each_kind_of_damage_has_its_own_sentence(tmp_path, content, sentence):
    path = write(tmp_path / "door.key", content)
    with pytest.raises(KeyFileError, match=sentence) as caught:
        Key.load(path)
    assert "door.key" in str(caught.value)
    assert "AAEC" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    with pytest.raises(KeyFileError, match="does not exist"):
        Key.load(tmp_path / "lost.key")
    with pytest.raises(KeyFileError, match="not a regular file"):
        Key.load(tmp_path)
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    with pytest.raises(KeyFileError, match="not a regular file"):
        Key.load(tmp_path / "pipe.key")


def test_a_thousand_of_a_thousand_typos_are_refused(tmp_path):
    rng = random.Random(1)  # the typos themselves are no secret
    typos = set()
    while len(typos) < 1000:
        place = rng.randrange(len(TEXT))
        letter = rng.choice(string.printable)
        typos.add(
            rng.choice(
                [
                    TEXT[:place] + letter + TEXT[place + 1 :],
                    TEXT[:place] + letter + TEXT[place:],
                    TEXT[:place] + TEXT[place + 1 :],
                    TEXT[:place] + TEXT[place : place + 2][::-1] + TEXT[place + 2 :],
                ]
            )
        )
        typos.discard(TEXT)
    path = tmp_path / "door.key"
    for typo in sorted(typos):
        write(path, typo)
        with pytest.raises(KeyFileError):
            Key.load(path)


def test_every_single_wrong_letter_in_the_key_and_its_checksum_is_refused(tmp_path):
    path = tmp_path / "door.key"
    for place in range(18, len(TEXT)):
        letter = "A" if TEXT[place] != "A" else "B"
        write(path, TEXT[:place] + letter + TEXT[place + 1 :])
        with pytest.raises(KeyFileError):
            Key.load(path)

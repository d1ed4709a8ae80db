"""`shufflecam protect`, and `shufflecam reveal` on what it wrote."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from scrambler import Key, list_schemes, scheme
from scrambler.errors import MissingKeyError, ShuffleCamError, WrongKeyError
from sensor import RawFrame, develop
from shufflecam.protected_file import (
    ProtectedFileError,
    _encode,
    ending,
    is_protected,
    load_protected,
    reveal_protected,
    save_protected,
)

KEYED = [name for name in list_schemes() if scheme(name).card.keyed]


@pytest.fixture
def key(key_file: Path) -> Key:
    return Key.load(key_file)


@contextmanager
def monkeypatched_id(key: Key, other_id: str) -> Iterator[None]:
    """Let a key say that it has another's id, as a forger's program would."""
    own = key.id
    object.__setattr__(key, "_id", other_id)
    yield
    object.__setattr__(key, "_id", own)


def picture(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)


@pytest.mark.parametrize("name", KEYED)
def test_what_was_protected_is_revealed_bit_for_bit(run, photo: Path, key_file: Path, tmp_path: Path, name) -> None:
    typed = run("protect", photo, "--scheme", name, "--key", key_file, "--out", tmp_path / "hidden")
    assert (typed.status, Key.load(key_file).id in typed.out) == (0, True)
    (hidden,) = (tmp_path / "hidden").iterdir()
    assert hidden.name in ("a.png.png", "a.png.tif")
    assert run("reveal", hidden, "--key", key_file, "--out", tmp_path / "shown").status == 0
    np.testing.assert_array_equal(picture(tmp_path / "shown" / f"{hidden.name}.png"), picture(photo))


def test_sixteen_bit_and_grey_pictures_keep_their_bits(run, key_file: Path, tmp_path: Path) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    rng = np.random.default_rng(0)
    for name, shape in {"grey.png": (21, 30), "colour.tif": (21, 30, 3)}.items():
        cv2.imwrite(str(frames / name), rng.integers(0, 4096, shape).astype(np.uint16))
    for name, more in {"sit": ["--param", "bits=12"], "rmt": ["--param", "block=3"], "mat-mmt": []}.items():
        out, shown = tmp_path / name, tmp_path / f"{name} shown"
        assert run("protect", frames, "--scheme", name, "--key", key_file, "--out", out, *more).status == 0
        assert run("reveal", out, "--key", key_file, "--out", shown).status == 0
        for path in frames.iterdir():
            (back,) = shown.glob(f"{path.name}.*.png")
            np.testing.assert_array_equal(picture(back), picture(path))


def test_the_file_is_what_python_would_protect(run, photo: Path, key_file: Path, key: Key, tmp_path: Path) -> None:
    arguments = ("--scheme", "etc", "--key", key_file, "--param", "block=8", "--param", "exactly_half=true")
    assert run("protect", photo, *arguments, "--out", tmp_path / "out").status == 0
    protected, parameters = load_protected(tmp_path / "out" / "a.png.png")
    assert parameters == {"block": 8, "exactly_half": True}
    image = picture(photo)[:, :, ::-1]
    expected = scheme("etc", key=key, block=8, exactly_half=True).protect(image)
    np.testing.assert_array_equal(protected.values, expected)
    assert (protected.shape, protected.key_id, protected.nonces) == (image.shape, key.id, ())


def test_each_picture_gets_a_nonce_of_its_own(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    (photo.parent / "b.png").write_bytes(photo.read_bytes())
    arguments = ("--scheme", "pixel-shuffle", "--key", key_file, "--out", tmp_path / "out")
    assert run("protect", photo.parent, *arguments).status == 0
    one, two = (load_protected(tmp_path / "out" / name)[0] for name in ("a.png.png", "b.png.png"))
    assert one.nonces != two.nonces
    assert (one.values != two.values).any()


def test_weak_and_broken_schemes_say_so_with_a_figure(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    typed = run("protect", photo, "--scheme", "mat", "--key", key_file, "--out", tmp_path / "out")
    assert "mat is broken" in typed.err
    assert "0.996" in typed.err
    typed = run("protect", photo, "--scheme", "pixel-shuffle", "--key", key_file, "--out", tmp_path / "out")
    assert typed.err == ""


def test_privacy_is_printed_and_releases_add_up(run, photo: Path, tmp_path: Path) -> None:
    (photo.parent / "b.png").write_bytes(photo.read_bytes())
    typed = run(
        "protect", photo.parent, "--scheme", "dp-pixelize", "--param", "epsilon=0.25", "--out", tmp_path / "out"
    )
    assert typed.status == 0
    text = " ".join(typed.out.split())
    for said in ("0.25-differential privacy", "at most 16 pixels", "epsilon 0.5 on the picture released most often"):
        assert said in text
    typed = run("protect", photo.parent, "--scheme", "dp-pixelize", "--param", "budget=0.7", "--out", tmp_path / "two")
    assert typed.status == 3
    assert "budget" in typed.err


def test_what_cannot_be_undone_is_not(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    run("protect", photo, "--scheme", "svd", "--out", tmp_path / "out")
    typed = run("reveal", tmp_path / "out" / "a.png.png", "--key", key_file, "--out", tmp_path / "shown")
    assert (typed.status, typed.out) == (1, "")
    assert "a.png.png" in typed.err
    assert "cannot be undone" in typed.err
    assert not (tmp_path / "shown").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scheme", "rot13"), ("there is no scheme 'rot13'",)),
        (("--scheme", "etc"), ("needs a key", "--key")),
        (("--scheme", "svd", "--param", "rank"), ("NAME=VALUE", "rank")),
        (("--scheme", "svd", "--param", "rank=two"), ("rank", "'two'")),
        (("--scheme", "svd", "--param", "sigma=2"), ("sigma",)),
    ],
)
def test_wrong_arguments_are_named(run, photo: Path, tmp_path: Path, arguments, words) -> None:
    typed = run("protect", photo, *arguments, "--out", tmp_path / "out")
    assert (typed.status, typed.out, typed.err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in typed.err
    assert not (tmp_path / "out").exists()


def test_another_key_is_refused_by_both_ids(run, photo: Path, key_file: Path, key: Key, tmp_path: Path) -> None:
    run("protect", photo, "--scheme", "le", "--key", key_file, "--out", tmp_path / "out")
    other = Key.generate()
    with pytest.raises(ShuffleCamError, match=f"a.png.png.*{key.id}.*{other.id}"):
        reveal_protected(tmp_path / "out" / "a.png.png", other)


def test_damaged_files_are_refused_and_named(run, photo: Path, key_file: Path, key: Key, tmp_path: Path) -> None:
    assert not is_protected(photo)
    assert not is_protected(tmp_path / "gone.png")
    with pytest.raises(ProtectedFileError, match=r"a\.png: no protected picture"):
        load_protected(photo)
    for name in ("le", "rmt"):
        run("protect", photo, "--scheme", name, "--key", key_file, "--out", tmp_path / name)
        (path,) = (tmp_path / name).glob("a.png.*")
        assert is_protected(path)
        whole = path.read_bytes()
        rng = np.random.default_rng(0)
        for cut in (0, 1, 7, 40, 100, 300, len(whole) // 2):
            path.write_bytes(whole[:cut])
            with pytest.raises(ShuffleCamError, match=path.name):
                reveal_protected(path, key)
        said = []
        for place in [*range(60, 300, 7), *rng.integers(0, len(whole), 40)]:
            content = bytearray(whole)
            content[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(content)
            try:
                plain = reveal_protected(path, key)
            except ShuffleCamError as error:
                said.append(str(error))
            else:  # what no decoder looks at, such as a checksum of the container
                np.testing.assert_array_equal(plain, picture(photo)[:, :, ::-1])
        assert len(said) > 40
        assert all(path.name in one for one in said)


def test_nobody_without_the_key_can_change_a_file_unnoticed(photo: Path, key: Key, tmp_path: Path) -> None:
    image, path = picture(photo)[:, :, ::-1], tmp_path / "x.png"
    protected = scheme("shuffle+mask", key=key).protect(image)
    # All that can be made without the key: a whole file with its sum, other values, and a tag of another key.
    forged = replace(protected, values=protected.values ^ 1, key_id=None)
    save_protected(path, forged, {})
    content = path.read_bytes()
    start = content.index(b"shufflecam\0") + 11
    said = json.loads(content[start : content.index(b"}", content.index(b'"sha256"')) + 1])
    assert "tag" not in said
    save_protected(tmp_path / "sound.png", protected, {}, key)
    np.testing.assert_array_equal(reveal_protected(tmp_path / "sound.png", key), image)
    other = Key.generate()
    with monkeypatched_id(other, key.id):
        save_protected(path, replace(forged, key_id=key.id), {}, other)
    with pytest.raises(ProtectedFileError, match=r"x\.png: somebody without key .* has changed"):
        reveal_protected(path, key)
    assert load_protected(path)[0].key_id == key.id  # the sum alone is right, and shows no forgery
    with pytest.raises(MissingKeyError, match="tag of a protected picture"):
        save_protected(path, protected, {})
    with pytest.raises(WrongKeyError):
        save_protected(path, protected, {}, other)


def test_damaged_values_are_found_without_a_key(photo: Path, key: Key, tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    save_protected(path, scheme("mat", key=key).protect(picture(photo)), {}, key)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ProtectedFileError, match=r"x\.tif: this protected picture is damaged: its values"):
        load_protected(path)


def test_files_of_the_first_version_still_open(photo: Path, key: Key, tmp_path: Path) -> None:
    image, path = picture(photo)[:, :, ::-1], tmp_path / "x.png"
    protected = scheme("le", key=key).protect(image)
    about = {
        "format": "shufflecam-protected/1", "scheme": "le", "parameters": {}, "nonces": [],
        "shape": list(image.shape), "dtype": "uint8", "key_id": key.id,
    }  # fmt: skip
    path.write_bytes(_encode(protected.values, json.dumps(about).encode()))
    np.testing.assert_array_equal(reveal_protected(path, key), image)


def test_files_of_later_versions_and_odd_contents_are_refused(key: Key, tmp_path: Path) -> None:
    protected = scheme("le", key=key).protect(np.zeros((4, 4), np.uint8))
    path = tmp_path / "x.png"
    save_protected(path, protected, {"block": 4}, key)
    about = path.read_bytes()
    start = about.index(b"shufflecam\0") + 11
    end = about.index(b"}", about.index(b'"tag"')) + 1
    said = json.loads(about[start:end])
    for change in ({"format": "shufflecam-protected/3"}, {"parameters": {"rank": 3}}, {"scheme": "rot13"}):
        text = json.dumps(said | change).encode()
        chunk = len(text + b"shufflecam\0").to_bytes(4, "big") + b"tEXtshufflecam\0" + text + bytes(4)
        path.write_bytes(about[:33] + chunk + about[end + 4 :])
        with pytest.raises(ShuffleCamError, match=r"x\.png"):
            reveal_protected(path, key)


def test_endings_follow_the_type_of_the_values() -> None:
    assert [ending(np.zeros((4, 4), t)) for t in (np.uint8, np.uint16, np.int32, np.float32)] == [
        ".png",
        ".png",
        ".tif",
        ".tif",
    ]
    assert ending(np.zeros((5, 4, 4, 3), np.uint8)) == ".tif"


def test_values_beyond_16_bits_are_whole_in_a_tiff(run, photo: Path, key_file: Path, key: Key, tmp_path: Path) -> None:
    run("protect", photo, "--scheme", "rise-mmt", "--key", key_file, "--out", tmp_path / "out")
    values = tifffile.imread(tmp_path / "out" / "a.png.tif")
    assert values.dtype == np.int32
    np.testing.assert_array_equal(values, scheme("rise-mmt", key=key).protect(picture(photo)[:, :, ::-1]))


def test_protected_pictures_are_labelled_as_they_are(run, key_file: Path, key: Key, tmp_path: Path) -> None:
    # Blocks of 3 x 3 equal pixels: their averages are the small picture, so both get the same answer.
    small = np.random.default_rng(0).integers(0, 256, (32, 34, 3)).astype(np.uint8)
    large = small.repeat(3, 0).repeat(3, 1)
    said = []
    for name in ("negative-positive", "mat", "shuffle+mask", "etc"):
        for number, image in enumerate((small, large)):
            path = tmp_path / f"{name}{number}.{'tif' if name == 'mat' else 'png'}"
            save_protected(path, scheme(name, key=key).protect(image), {}, key)
            typed = run("label", path, "--key", key_file, "--json")
            assert typed.status == 0
            said.append(json.loads(typed.out))
    assert {one["label"] for one in said} == {said[0]["label"]}
    assert np.ptp([one["probability"] for one in said]) < 1e-4
    assert {one["key_id"] for one in said} == {key.id}


def test_label_says_why_it_cannot_read_a_protected_picture(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    key, image = Key.load(key_file), np.zeros((40, 40, 3), np.uint8)
    path = tmp_path / "x.png"
    for name, options, why in (
        ("le", ["--key", key_file], "half-bytes are not affine"),
        ("negative-positive", [], f"protected under key {key.id}; give that key"),
    ):
        save_protected(path, scheme(name, key=key).protect(image), {}, key)
        typed = run("label", path, *options)
        assert (typed.status, why in typed.err) == (1, True)
    save_protected(path, scheme("negative-positive", key=key).protect(image[:9]), {}, key)
    typed = run("label", path, "--key", key_file)
    assert (typed.status, "9 x 40 are smaller than the network's input, 32 x 32" in typed.err) == (1, True)
    typed = run("label", photo, "--key", key_file)
    assert (typed.status, "no protected picture" in typed.err) == (1, True)


def test_raw_files_are_developed_first(run, frame_file: Path, key_file: Path, key: Key, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    natural = RawFrame.load(frame_file).unshuffle(key)
    natural.save(tmp_path / "in" / "natural.dng")
    arguments = ("--scheme", "pixel-shuffle", "--key", key_file, "--out", tmp_path / "hidden")
    assert run("protect", tmp_path / "in", *arguments).status == 0
    revealed = reveal_protected(tmp_path / "hidden" / "natural.dng.png", key)
    np.testing.assert_array_equal(revealed, develop(natural, dtype=np.uint8))
    typed = run("protect", frame_file, *arguments)
    assert (typed.status, typed.err.count("\n")) == (1, 1)
    assert "reveal it first" in typed.err

import json
import os
import tracemalloc

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st
from sealed_mutations import mutations

from scrambler import (
    FrameError,
    Key,
    MissingKeyError,
    NonceError,
    SealedFileError,
    WrongKeyError,
    open_sealed,
    seal,
)
from scrambler.packing import pack_codes

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
GOLDEN = (
    "73687566666c6563616d2d7365616c016d69e96ca6959702000102030405060708090a0b0c0d0e0f0c02020000000002"
    "00000003000000000000000000000019ae0c292bc86f15e3a38a7316652039e0ede9af3c793d74773f39869f05514b42"
    "4bf0aaa9632a18177a46c6f7fcd45c2b2318"
)


def drawn(shape, bits, dtype=np.uint16, seed=1):
    return np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(dtype)


def naive_open(data, key):
    """The format's definition, without a line of ours: metadata text and packed codes."""
    header, body = data[:64], data[64:]
    cipher = ChaCha20Poly1305(key.derive("sealed", header[24:40], context=b"sealed/v1"))
    parts = [body[i : i + 65552] for i in range(0, len(body), 65552)]
    plain = b"".join(
        cipher.decrypt(number.to_bytes(11, "big") + bytes([number == len(parts) - 1]), part, header)
        for number, part in enumerate(parts)
    )
    about = int.from_bytes(header[60:64], "big")
    return plain[:about], plain[about:]


def test_the_format_never_changes(tmp_path):
    path = tmp_path / "a.sealed"
    values = np.array([[0xABC, 0xDEF, 0x123], [0, 1, 0xFFF]], np.uint16)
    seal(path, values, KEY, metadata={"sensor": "x", "gain": 1.5}, bits=12, nonce=NONCE)
    data = path.read_bytes()
    assert data.hex() == GOLDEN
    assert data[:16] == b"shufflecam-seal\x01"
    assert data[16:24].hex() == KEY.id
    assert data[24:40] == NONCE
    assert data[40:64].hex() == "0c020200" + "00000002" + "00000003" + 2 * "00000000" + "00000019"
    assert naive_open(data, KEY) == (b'{"gain":1.5,"sensor":"x"}', bytes.fromhex("abcdef123000001fff"))


@given(
    st.sampled_from([(np.uint8, 8), (np.uint8, 3), (np.uint16, 16), (np.uint16, 12), (np.uint16, 10), (np.uint16, 1)]),
    st.lists(st.integers(0, 60), min_size=1, max_size=4),
    st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text() | st.lists(st.floats(-9, 9))),
)
@settings(deadline=None, max_examples=60)
def test_what_is_sealed_is_opened_bit_for_bit(tmp_path_factory, kind, shape, metadata):
    dtype, bits = kind
    path = tmp_path_factory.mktemp("sealed") / "a.sealed"
    values = drawn(shape, bits, dtype)
    seal(path, values, KEY, metadata=metadata, bits=bits)
    opened = open_sealed(path, KEY)
    assert opened.values.dtype == dtype
    np.testing.assert_array_equal(opened.values, values)
    assert (opened.metadata, opened.bits, opened.key_id) == (metadata, bits, KEY.id)
    about, packed = naive_open(path.read_bytes(), KEY)
    assert json.loads(about) == metadata
    assert packed == pack_codes(values.ravel(), bits).tobytes()


@pytest.mark.parametrize("octets", [65536 * 2 - 2, 65536 * 2 - 1, 65536 * 2, 65536 - 2, 65534 + 65536 * 3])
def test_chunks_that_are_just_full_and_metadata_longer_than_a_chunk(tmp_path, octets):
    path, values = tmp_path / "a.sealed", drawn(octets, 8, np.uint8)
    seal(path, values, KEY)  # metadata is {}: two octets
    np.testing.assert_array_equal(open_sealed(path, KEY).values, values)
    assert path.stat().st_size == 64 + octets + 2 + 16 * -(-(octets + 2) // 65536)
    seal(path, values[:1000], KEY, metadata={"note": "n" * 150_000})
    assert len(open_sealed(path, KEY).metadata["note"]) == 150_000
    np.testing.assert_array_equal(open_sealed(path, KEY).values, values[:1000])


def test_defaults_are_all_bits_no_metadata_and_a_fresh_nonce(tmp_path):
    values = np.asfortranarray(drawn((5, 7), 16))
    for name in "ab":
        seal(tmp_path / name, values, KEY)
    a, b = (open_sealed(tmp_path / name, KEY) for name in "ab")
    np.testing.assert_array_equal(a.values, values)
    assert (a.metadata, a.bits) == ({}, 16)
    assert a.nonce != b.nonce
    assert repr(a) == f"Unsealed(bits=16, key_id='{KEY.id}', nonce={a.nonce!r})"


def test_no_constant_bit_and_no_metadata_show(tmp_path):
    path = tmp_path / "a.sealed"
    seal(path, np.zeros((200, 300), np.uint16), KEY, metadata={"sensor": "imx477-canary"}, bits=12)
    data = path.read_bytes()
    assert b"canary" not in data
    assert len(data) == 64 + len('{"sensor":"imx477-canary"}') + 90_000 + 2 * 16
    ones = np.unpackbits(np.frombuffer(data[64:], np.uint8)).reshape(-1, 8).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 0.01  # 90,000 fair bits: standard error 0.0017


def refused(path, key=KEY):
    """Whether opening ends in one of the two documented errors, in one line."""
    with pytest.raises((SealedFileError, WrongKeyError)) as caught:
        open_sealed(path, key)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


def survive(tmp_path, count, seed):
    """Write `count` changed files one after the other; return how many were opened."""
    first, second, path = (tmp_path / name for name in ("first", "second", "changed"))
    # 200 KiB: four chunks, the last one short.
    for original, values in ((first, drawn((301, 400), 12)), (second, drawn((301, 400), 12, seed=2))):
        seal(original, values, KEY, metadata={"sensor": "imx477"}, bits=12)
    data, other = first.read_bytes(), second.read_bytes()
    opened = tried = 0
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    for changed in mutations(data, other, count, seed):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, changed, 0)
        try:
            open_sealed(path, KEY)
            opened += 1
        except (SealedFileError, WrongKeyError):
            tried += 1
    os.close(descriptor)
    np.testing.assert_array_equal(open_sealed(first, KEY).values, drawn((301, 400), 12))
    return opened, tried


def test_three_thousand_changed_files_are_all_refused(tmp_path):
    opened, tried = survive(tmp_path, 3000, seed=1)
    assert opened == 0
    assert tried >= 3000


@pytest.mark.slow
def test_a_hundred_thousand_changed_files_are_all_refused(tmp_path):
    opened, tried = survive(tmp_path, 100_000, seed=2)
    assert opened == 0
    assert tried >= 100_000


def test_all_keys_wrong_by_one_bit_are_refused_also_when_the_file_names_them(tmp_path):
    path = tmp_path / "a.sealed"
    seal(path, drawn((20, 30), 12), KEY, bits=12)
    data, secret = path.read_bytes(), KEY.to_bytes()
    for bit in range(256):
        wrong = bytearray(secret)
        wrong[bit // 8] ^= 1 << bit % 8
        other = Key.from_bytes(bytes(wrong))
        path.write_bytes(data)
        error = refused(path, other)
        assert isinstance(error, WrongKeyError)
        assert KEY.id in str(error)
        assert other.id in str(error)
        path.write_bytes(data[:16] + bytes.fromhex(other.id) + data[24:])
        assert isinstance(refused(path, other), SealedFileError)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: b"", "not a sealed file"),
        (lambda data: b"\x89PNG" + data, "not a sealed file"),
        (lambda data: data[:40], "cut short"),
        (lambda data: data[:15] + b"\x02" + data[16:], "version 2"),
        (lambda data: data[:40] + b"\x11" + data[41:], "damaged header"),
        (lambda data: data[:43] + b"\x01" + data[44:], "damaged header"),
        (lambda data: data[:-1], "cut or changed"),
        (lambda data: data[:44] + b"\xff" * 8 + data[52:], "cut or changed"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "changed or damaged"),
    ],
)
def test_each_kind_of_damage_has_its_own_sentence(tmp_path, change, sentence):
    path = tmp_path / "a.sealed"
    seal(path, drawn((20, 30), 12), KEY, bits=12)
    path.write_bytes(change(path.read_bytes()))
    error = refused(path)
    assert isinstance(error, SealedFileError)
    assert sentence in str(error)
    assert error.__cause__ is None


def test_missing_files_and_folders_are_named(tmp_path):
    assert "No such file" in str(refused(tmp_path / "lost.sealed"))
    assert "directory" in str(refused(tmp_path))
    with pytest.raises(SealedFileError, match="cannot be written"):
        seal(tmp_path / "nowhere" / "a.sealed", drawn((2, 2), 8), KEY)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.sealed"
    seal(path, drawn((20, 30), 12), KEY)
    before = path.read_bytes()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(SealedFileError, match="No space left"):
        seal(path, drawn((20, 30), 11), KEY)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.sealed"]


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        (np.zeros((2, 2)), {}, "uint8 or uint16"),
        (np.zeros((), np.uint8), {}, "one to four axes"),
        (np.zeros((1, 1, 1, 1, 1), np.uint8), {}, "one to four axes"),
        (np.full((2, 2), 4096, np.uint16), {"bits": 12}, "takes more than 12 bits"),
        (np.zeros((2, 2), np.uint8), {"bits": 9}, "bits must be"),
        (np.zeros((2, 2), np.uint8), {"bits": 0}, "bits must be"),
        (np.zeros((2, 2), np.uint8), {"bits": 2.5}, "bits must be"),
        (np.zeros((2, 2), np.uint8), {"metadata": {"a": b"b"}}, "metadata"),
        (np.zeros((2, 2), np.uint8), {"metadata": {"a": float("nan")}}, "metadata"),
        (np.zeros((2, 2), np.uint8), {"metadata": {"a": "b" * 2**20}}, "metadata takes"),
    ],
)
def test_what_cannot_be_sealed_is_named_and_nothing_is_written(tmp_path, values, options, sentence):
    with pytest.raises(FrameError, match=sentence):
        seal(tmp_path / "a.sealed", values, KEY, **options)
    assert os.listdir(tmp_path) == []


def test_a_key_and_a_whole_nonce_are_needed(tmp_path):
    with pytest.raises(MissingKeyError, match="sealing needs key="):
        seal(tmp_path / "a.sealed", drawn((2, 2), 8), None)
    with pytest.raises(MissingKeyError, match="opening a sealed file needs key="):
        open_sealed(tmp_path / "a.sealed", None)
    with pytest.raises(NonceError, match="16 bytes"):
        seal(tmp_path / "a.sealed", drawn((2, 2), 8), KEY, nonce=b"short")


def test_sealing_and_opening_take_little_memory_beside_the_frame(tmp_path):
    path, values = tmp_path / "a.sealed", drawn((1500, 2000), 12)
    for work, most in ((lambda: seal(path, values, KEY, bits=12), 2e6), (lambda: open_sealed(path, KEY), 8e6)):
        work()
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < most  # the frame itself has 6 MB

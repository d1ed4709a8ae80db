import copy
import hmac
import json
import pickle
from hashlib import sha256

import numpy as np
import pytest

from scrambler import Key, LegacyKey, MissingKeyError, NonceError, SecretPickleError, ShuffleCamError
from scrambler.key import require_key

SECRET = bytes(range(32))


def naive_hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 written out."""
    pseudorandom = hmac.new(salt or bytes(32), secret, sha256).digest()
    block, output = b"", b""
    for number in range(1, 256):
        block = hmac.new(pseudorandom, block + info + bytes([number]), sha256).digest()
        output += block
    return output[:length]


def test_derivation_is_hkdf_with_every_field_behind_its_length():
    def field(content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + content

    info = field(b"shufflecam/v1") + field(b"readout") + field(b"size=5") + field(b"nonce")
    expected = naive_hkdf(SECRET, b"n" * 16, info, 40)
    assert Key.from_bytes(SECRET).derive("readout", b"n" * 16, 40, b"size=5") == expected
    info = field(b"shufflecam/v1") + field(b"layer/7") + field(b"") + field(b"static")
    assert Key.from_bytes(SECRET).derive("layer/7") == naive_hkdf(SECRET, b"", info, 32)


def test_format_v1_of_ids_and_derivations_never_changes():
    key = Key.from_bytes(SECRET)
    assert key.id == "6d69e96ca6959702"
    assert key.derive("readout", bytes(16)).hex()[:16] == "09ff42e04e5000fa"


def test_label_context_nonce_and_key_each_change_everything():
    key = Key.from_bytes(SECRET)
    flipped = Key.from_bytes(bytes([SECRET[0] ^ 1]) + SECRET[1:])
    base = key.derive("readout", bytes(16), 10_000 // 2)
    others = [
        key.derive("layer/1", bytes(16), 5000),
        key.derive("readout", bytes(15) + b"\1", 5000),
        key.derive("readout", None, 5000),
        key.derive("readout", bytes(16), 5000, b"x"),
        flipped.derive("readout", bytes(16), 5000),
    ]
    for other in others:
        # 40,000 fair bits: mean 0.5, standard error 0.0025.
        changed = np.unpackbits(np.frombuffer(base, np.uint8) ^ np.frombuffer(other, np.uint8)).mean()
        assert abs(changed - 0.5) < 5 * 0.0025


def test_fields_cannot_be_shifted_into_each_other():
    key = Key.from_bytes(SECRET)
    assert key.derive("ab", context=b"c") != key.derive("a", context=b"bc")


def test_a_key_of_zero_nonce_is_not_the_key_without_nonce():
    # HKDF pads a missing salt with zeros, so only the info tells them apart.
    assert Key.from_bytes(SECRET).derive("x", bytes(16)) != Key.from_bytes(SECRET).derive("x")


def test_generated_keys_differ_and_round_trip_through_bytes():
    one, two = Key.generate(), Key.generate()
    assert one != two
    assert one.id != two.id
    assert Key.from_bytes(one.to_bytes()) == one
    assert hash(Key.from_bytes(one.to_bytes())) == hash(one)
    assert one != "key"


@pytest.mark.parametrize("secret", [b"", bytes(31), bytes(33), "a" * 32, 32, None, [0] * 32])
def test_anything_but_32_bytes_is_no_key(secret):
    with pytest.raises(ShuffleCamError, match="32 bytes"):
        Key.from_bytes(secret)


def test_the_constructor_points_to_the_ways_of_making_a_key():
    with pytest.raises(ShuffleCamError, match=r"Key\.generate"):
        Key()


@pytest.mark.parametrize("nonce", [b"", bytes(15), "x" * 16, 7])
def test_derive_refuses_what_is_no_nonce(nonce):
    with pytest.raises(NonceError, match="16 bytes"):
        Key.generate().derive("readout", nonce)


def test_a_key_does_not_leave_by_repr_pickle_json_or_attributes():
    key = Key.from_bytes(b"canary-canary-canary-canary-can!")
    shown = f"{key!r} {key} {[key]}"
    assert b"canary" not in shown.encode()
    assert key.to_bytes().hex()[:16] not in shown
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(SecretPickleError, match="not pickled"):
            pickle.dumps(key, protocol)
    with pytest.raises(TypeError):
        json.dumps(key)
    with pytest.raises(TypeError):
        vars(key)


def test_a_key_never_changes_and_its_copies_are_itself():
    key = Key.generate()
    assert copy.copy(key) is key
    assert copy.deepcopy({"key": key})["key"] is key
    with pytest.raises(AttributeError, match="never changes"):
        key.anything = 1
    with pytest.raises(AttributeError, match="never changes"):
        del key._secret


@pytest.mark.parametrize("key", [None, "door.key", bytes(32), 7, LegacyKey(7)])
def test_whatever_needs_a_key_says_so_in_one_sentence(key):
    with pytest.raises(MissingKeyError, match=r"a camera needs key=.*Key\.load") as caught:
        require_key(key, "a camera")
    assert str(caught.value).count("\n") == 0

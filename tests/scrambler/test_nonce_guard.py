"""The guard counts frames that share a nonce over the life of a scheme, a multiplexer and a network."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from scrambler import (
    FixedNonceError,
    FixedNonceGuard,
    FixedNonceWarning,
    Key,
    Multiplexer,
    list_schemes,
    new_nonce,
    scheme,
)

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
FRAMES = np.random.default_rng(0).integers(0, 256, (20, 4, 5, 3)).astype(np.uint8)
PER_IMAGE = [name for name in list_schemes() if "fixed_nonce" in scheme(name).card.parameters]


def test_the_same_frame_again_counts_once_and_a_batch_counts_all_its_frames():
    guard, frame, other = FixedNonceGuard(fixed_nonce=True), FRAMES[0], FRAMES[1]
    with pytest.warns(FixedNonceWarning, match="3 frames"):
        guard.admit([NONCE] * 3, [frame, frame, other])
    for _ in range(30):
        guard.admit([NONCE] * 3, [other, frame, frame])  # nothing new, and no warning
    with pytest.warns(FixedNonceWarning, match="4 frames"):
        guard.admit([NONCE], [FRAMES[2]])
    with pytest.raises(FixedNonceError, match="17 frames"):
        guard.admit([NONCE] * 13, FRAMES[3:16])
    guard.admit([new_nonce()], [frame])
    with pytest.warns(FixedNonceWarning, match="24 frames"):
        # The 17 that are new, 3 of them twice.
        guard.admit([NONCE] * 20, np.concatenate([FRAMES[3:], FRAMES[17:]]), allow_many=True)


def test_what_is_refused_is_not_counted():
    guard = FixedNonceGuard()
    guard.admit([NONCE], [FRAMES[0]])
    for _ in range(3):
        with pytest.raises(FixedNonceError, match="2 frames would share one nonce"):
            guard.admit([NONCE, bytes(16)], FRAMES[1:3])
    guard.admit([bytes(16)], [FRAMES[5]])


@pytest.mark.parametrize("name", PER_IMAGE)
def test_a_scheme_counts_over_its_life(name):
    s = scheme(name, key=KEY)
    for _ in range(2):
        s.protect(FRAMES[0], nonce=NONCE)
    with pytest.raises(FixedNonceError, match="fixed_nonce=True"):
        s.protect(FRAMES[1], nonce=NONCE)
    scheme(name, key=KEY).protect(FRAMES[1], nonce=NONCE)
    for _ in range(20):
        s.protect(FRAMES)
    fixed = scheme(name, key=KEY, fixed_nonce=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FixedNonceWarning)
        for frame in FRAMES[:16]:
            fixed.protect(frame, nonce=NONCE)
        with pytest.raises(FixedNonceError, match="allow_many=True"):
            fixed.protect(FRAMES[16], nonce=NONCE)
        many = scheme(name, key=KEY, fixed_nonce=True, allow_many=True)
        for frame in FRAMES:
            many.protect(frame, nonce=NONCE)


def test_the_published_key_counts_over_a_schemes_life_too():
    s = scheme("pixel-shuffle", key=Key.legacy(1312))
    s.protect(FRAMES[0])
    with pytest.raises(FixedNonceError):
        s.protect(FRAMES[1])


def test_a_multiplexer_counts_over_its_life_and_shares_its_guard():
    mux = Multiplexer(KEY)
    for _ in range(2):
        mux.shuffle(FRAMES[0], NONCE)
    with pytest.raises(FixedNonceError):
        mux.shuffle(FRAMES[1], NONCE)
    with pytest.raises(FixedNonceError):
        mux.shuffle_batch(FRAMES[1:2], [NONCE])
    with pytest.raises(FixedNonceError):
        Multiplexer(KEY, "tiles:2", guard=mux.guard).shuffle(FRAMES[1], NONCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FixedNonceWarning)
        for frame in FRAMES[1:16]:
            mux.shuffle(frame, NONCE, fixed_nonce=True)
        with pytest.raises(FixedNonceError, match="allow_many=True"):
            mux.count(NONCE, FRAMES[16])
        mux.shuffle(FRAMES[16], NONCE, fixed_nonce=True, allow_many=True)
    assert mux == Multiplexer(KEY)
    assert hash(mux) == hash(Multiplexer(KEY))


def test_threads_count_together():
    guard, refused = FixedNonceGuard(fixed_nonce=True), []

    def admit(number: int) -> None:
        try:
            guard.admit([NONCE], [number.to_bytes(2, "big")])
        except FixedNonceError:
            refused.append(number)

    with warnings.catch_warnings(), ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("ignore", FixedNonceWarning)
        list(pool.map(admit, range(100)))
    assert len(refused) == 84


def test_a_pickled_guard_starts_anew():
    guard = FixedNonceGuard(fixed_nonce=True, allow_many=True)
    guard.admit([NONCE], [FRAMES[0]])
    twin = pickle.loads(pickle.dumps(guard))
    assert (twin.fixed_nonce, twin.allow_many) == (True, True)
    twin.admit([NONCE], [FRAMES[1]])  # no warning: nothing came before


def test_a_long_job_does_not_fill_the_memory_and_the_nonce_in_use_stays_known():
    guard = FixedNonceGuard()
    guard.admit([NONCE], [b"first"])
    for start in range(0, 1 << 17, 1 << 14):
        guard.admit([n.to_bytes(16, "big") for n in range(start, start + (1 << 14))], [b"x"] * (1 << 14))
        guard.admit([NONCE], [b"first"])
    assert len(guard._frames) == 1 << 16
    with pytest.raises(FixedNonceError):
        guard.admit([NONCE], [b"second"])

import multiprocessing
import os
import subprocess
import sys
import time
import warnings

import pytest

from scrambler import (
    FixedNonceError,
    FixedNonceGuard,
    FixedNonceWarning,
    Key,
    NonceError,
    ShuffleCamError,
    check_nonce,
    new_nonce,
    new_nonces,
    nonces_for,
    seeded_nonce,
)


def test_a_hundred_thousand_nonces_are_all_different():
    nonces = new_nonces(100_000)
    assert len(set(nonces)) == 100_000
    assert {len(nonce) for nonce in nonces} == {16}


def test_a_copied_random_source_and_clock_still_give_different_nonces(monkeypatch):
    monkeypatch.setattr(os, "urandom", lambda count: bytes(count))
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 2)
    assert len({new_nonce() for _ in range(1000)}) == 1000  # the counter
    monkeypatch.setattr(os, "getpid", lambda: 3)
    assert new_nonce() != new_nonce()


def _draw(count):
    return new_nonces(count)


@pytest.mark.slow
def test_forked_and_spawned_workers_never_repeat_a_nonce():
    drawn = []
    for method in ("fork", "spawn"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # forking beside Numba's threads, on purpose
            with multiprocessing.get_context(method).Pool(4) as pool:
                for nonces in pool.map(_draw, [20_000] * 8):
                    drawn += nonces
    assert len(set(drawn)) == len(drawn) == 320_000


def _draw_in_a_fork(count):
    read, written = os.pipe()
    if os.fork() == 0:
        os.write(written, b"".join(new_nonces(count)))
        os._exit(0)
    octets = b""
    while len(octets) < 16 * count:
        octets += os.read(read, 1 << 16)
    os.wait()
    for end in (read, written):
        os.close(end)
    return [octets[i : i + 16] for i in range(0, len(octets), 16)]


def test_forks_of_one_random_state_and_one_clock_draw_different_nonces(monkeypatch):
    # What a cloned machine shares: the pool of the random source. Only the process ids differ here.
    monkeypatch.setattr(os, "urandom", lambda count: bytes(count))
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    monkeypatch.setattr(time, "monotonic_ns", lambda: 2)
    drawn = [nonce for _ in range(4) for nonce in _draw_in_a_fork(2000)] + new_nonces(2000)
    assert len(set(drawn)) == 10_000


@pytest.mark.slow
def test_restarted_programs_with_one_random_state_draw_different_nonces():
    program = (
        "import os; os.urandom = lambda count: bytes(count)\n"
        "from scrambler import new_nonces; print(*(nonce.hex() for nonce in new_nonces(1000)))"
    )
    drawn = []
    for _ in range(4):
        drawn += subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        ).stdout.split()
    assert len(set(drawn)) == 4000


def test_a_seeded_nonce_depends_on_key_seed_and_name():
    key = Key.from_bytes(bytes(32))
    base = seeded_nonce(key, 7, "a.jpg")
    assert base == seeded_nonce(Key.from_bytes(bytes(32)), 7, "a.jpg")
    others = [seeded_nonce(Key.from_bytes(b"k" * 32), 7, "a.jpg"), seeded_nonce(key, 8, "a.jpg")]
    others += [seeded_nonce(key, 7, "b.jpg"), seeded_nonce(key, -7, "a.jpg"), seeded_nonce(key, 70, "a.jpg")]
    assert len({base, *others}) == 6
    assert len(base) == 16


@pytest.mark.parametrize("seed", [None, "7", 7.0, True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ShuffleCamError, match="seed must be an integer"):
        seeded_nonce(Key.generate(), seed, "a.jpg")


def test_nonces_for_a_batch_are_drawn_repeated_or_counted():
    assert len(set(nonces_for(None, 5))) == 5
    assert nonces_for(bytearray(16), 3) == [bytes(16)] * 3
    mine = new_nonces(2)
    assert nonces_for(mine, 2) == mine
    with pytest.raises(NonceError, match="2 nonces were given for 3 frames"):
        nonces_for(mine, 3)
    with pytest.raises(NonceError, match="16 bytes, and 3 were given"):
        nonces_for([b"abc"], 1)
    with pytest.raises(NonceError, match="a str was given"):
        check_nonce("0123456789abcdef")


def test_sharing_a_nonce_needs_a_flag_warns_and_needs_another_flag_beyond_sixteen():
    nonce = new_nonce()
    FixedNonceGuard().admit([nonce])
    with pytest.raises(FixedNonceError, match="fixed_nonce=True"):
        FixedNonceGuard().admit([nonce] * 2)
    with pytest.warns(FixedNonceWarning, match="16 frames share one nonce"):
        FixedNonceGuard(fixed_nonce=True).admit([nonce] * 16)
    with pytest.raises(FixedNonceError, match="allow_many=True"):
        FixedNonceGuard(fixed_nonce=True).admit([nonce] * 17)
    with pytest.warns(FixedNonceWarning, match="17 frames"):
        FixedNonceGuard(fixed_nonce=True, allow_many=True).admit([nonce] * 17)


def test_the_guard_counts_a_whole_job_and_forgets_what_it_refused():
    nonce, guard = new_nonce(), FixedNonceGuard(fixed_nonce=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FixedNonceWarning)
        for _ in range(16):
            guard.admit([nonce, new_nonce()])
        for _ in range(2):
            with pytest.raises(FixedNonceError, match="17 frames"):
                guard.admit([nonce])

"""Nonces: sixteen public bytes that are fresh for every frame, and the guard against using one twice."""

import hmac
import itertools
import os
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from scrambler.errors import FixedNonceError, NonceError, ShuffleCamError

if TYPE_CHECKING:  # key.py needs check_nonce
    from scrambler.key import Key

NONCE_BYTES = 16
MOST_FRAMES_UNDER_ONE_NONCE = 16

_counter = itertools.count()


class FixedNonceWarning(UserWarning):
    """Several frames share one nonce, as asked: for studies only."""


def new_nonce() -> bytes:
    """Return 16 fresh public bytes.

    The operating system's random bytes are hashed together with the process id, a counter and two clocks, so that
    forked workers, restarted programs and cloned machines whose random source was copied still draw different nonces.

    >>> len(new_nonce()), new_nonce() == new_nonce()
    (16, False)
    """
    circumstances = (os.getpid(), next(_counter), time.time_ns(), time.monotonic_ns())
    return sha256(os.urandom(32) + b"".join(number.to_bytes(16, "big") for number in circumstances)).digest()[
        :NONCE_BYTES
    ]


def new_nonces(count: int) -> list[bytes]:
    """Return a list of `count` fresh nonces."""
    return [new_nonce() for _ in range(count)]


def check_nonce(nonce: object) -> bytes:
    """Return the nonce as bytes.

    Raises
    ------
    NonceError
        If it is not 16 bytes.
    """
    if not isinstance(nonce, (bytes, bytearray, memoryview)):
        raise NonceError(
            f"nonce must be {NONCE_BYTES} bytes, and a {type(nonce).__name__} was given: new_nonce() draws one."
        )
    if len(nonce) != NONCE_BYTES:
        raise NonceError(f"nonce must be {NONCE_BYTES} bytes, and {len(nonce)} were given: new_nonce() draws one.")
    return bytes(nonce)


def seeded_nonce(key: "Key", seed: int, name: str | os.PathLike[str]) -> bytes:
    r"""Return the nonce that a seed fixes for one input, for tests and studies only.

    .. math:: \mathrm{HMAC}(\mathrm{derive}(key, \text{"seeded-nonce"}),\ seed \| name)[0..15]

    Parameters
    ----------
    key : Key
        Without it nobody can tell which nonces a seed gives.
    seed : int
        Any integer.
    name : str or path
        The input's name, so that two inputs never share a nonce.

    Raises
    ------
    ShuffleCamError
        If the seed is not an integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ShuffleCamError(f"seed must be an integer, and a {type(seed).__name__} was given.")
    return hmac.digest(key.derive("seeded-nonce"), b"%d\0" % seed + os.fsencode(name), sha256)[:NONCE_BYTES]


class FixedNonceGuard:
    """Counts the frames of one job that share a nonce, and stops where that gives the scene away.

    From 20 frames under one nonce on, the layout can be estimated from the frames alone (docs/security.md, attack 1).

    Parameters
    ----------
    fixed_nonce : bool
        Somebody asked for one nonce for several frames.
    allow_many : bool
        Somebody asked for more than 16 of them, too.
    """

    def __init__(self, fixed_nonce: bool = False, allow_many: bool = False) -> None:
        self.fixed_nonce = fixed_nonce
        self.allow_many = allow_many
        self._frames: Counter[bytes] = Counter()

    def admit(self, nonces: Sequence[bytes]) -> None:
        """Count one frame for each nonce.

        Raises
        ------
        FixedNonceError
            If a nonce comes twice without ``fixed_nonce=True``, or more than 16 times without ``allow_many=True``.

        Warns
        -----
        FixedNonceWarning
            If a nonce comes twice as asked.
        """
        frames = self._frames + Counter(nonces)
        most = max(frames.values(), default=0)
        if most > 1 and not self.fixed_nonce:
            raise FixedNonceError(
                f"{most} frames would share one nonce: give each its own, or pass fixed_nonce=True in a study."
            )
        if most > MOST_FRAMES_UNDER_ONE_NONCE and not self.allow_many:
            raise FixedNonceError(
                f"{most} frames would share one nonce, more than the {MOST_FRAMES_UNDER_ONE_NONCE} that are bearable: "
                "give each frame its own, or insist with allow_many=True."
            )
        if most > 1:
            warnings.warn(
                f"{most} frames share one nonce; from about 20 on the frames alone give the scene away.",
                FixedNonceWarning,
                stacklevel=3,
            )
        self._frames = frames


def nonces_for(nonce: bytes | Sequence[bytes] | None, count: int) -> list[bytes]:
    """Return one nonce for each of `count` frames.

    Parameters
    ----------
    nonce : bytes, sequence of bytes, or None
        One nonce for all, one for each, or None to draw fresh ones.
    count : int
        Number of frames.

    Raises
    ------
    NonceError
        If a nonce is not 16 bytes, or there are not `count` of them.
    """
    if nonce is None:
        return new_nonces(count)
    if isinstance(nonce, (bytes, bytearray, memoryview)):
        return [check_nonce(nonce)] * count
    nonces = [check_nonce(one) for one in nonce]
    if len(nonces) != count:
        raise NonceError(f"{len(nonces)} nonces were given for {count} frames: give one for each frame.")
    return nonces

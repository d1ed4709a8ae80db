"""Nonces: sixteen public bytes that are fresh for every frame, and the guard against using one twice."""

import hmac
import itertools
import os
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FixedNonceError, NonceError, ShuffleCamError

if TYPE_CHECKING:  # key.py needs check_nonce
    from scrambler.key import Key

NONCE_BYTES = 16
MOST_FRAMES_UNDER_ONE_NONCE = 16
_MOST_REMEMBERED = 1 << 16

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
    """Counts the frames that share a nonce over an object's life, and stops where they give the scene away.

    From 20 frames under one nonce on, the layout can be estimated from the frames alone (docs/security.md, attack 1).
    Every scheme, multiplexer and network has a guard of its own, used by any number of threads; other processes count
    for themselves. Nonces that were drawn fresh need no counting, and of the others the last 65,536 are remembered, so
    that a long job does not fill the memory.

    Parameters
    ----------
    fixed_nonce : bool
        Somebody asked for one nonce for several frames.
    allow_many : bool
        Somebody asked for more than 16 of them, too.

    Examples
    --------
    >>> guard = FixedNonceGuard()
    >>> guard.admit([bytes(16)], [b"a frame"])
    >>> guard.admit([bytes(16)], [b"a frame"])  # the same one again gives nothing away
    >>> guard.admit([bytes(16)], [b"another frame"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    scrambler.errors.FixedNonceError: 2 frames would share one nonce: ...
    """

    def __init__(self, fixed_nonce: bool = False, allow_many: bool = False) -> None:
        self.fixed_nonce = fixed_nonce
        self.allow_many = allow_many
        # For each nonce what tells its frames apart: of up to 17 frames, more make no difference.
        self._frames: dict[bytes, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Count anew: for frames that have nothing to give away, such as flat fields."""
        with self._lock:
            self._frames.clear()

    def admit(
        self,
        nonces: Sequence[bytes],
        frames: Iterable[Any] | None = None,
        *,
        fixed_nonce: bool = False,
        allow_many: bool = False,
    ) -> None:
        """Count one frame for each nonce; if one of them is refused, none is counted.

        Parameters
        ----------
        nonces : sequence of bytes
        frames : iterable of arrays or bytes, optional
            The plain frames. One that came under the same nonce in an earlier call is not counted again; without
            frames, everything is.
        fixed_nonce, allow_many : bool
            As for the guard itself, for this call.

        Raises
        ------
        FixedNonceError
            If a nonce comes twice without ``fixed_nonce=True``, or more than 16 times without ``allow_many=True``.

        Warns
        -----
        FixedNonceWarning
            If a nonce comes for another frame, as asked.
        """
        marks = [next(_counter) for _ in nonces] if frames is None else [_mark(frame) for frame in frames]
        with self._lock:
            shared = self._with(nonces, marks)
            most = max(map(len, shared.values()), default=0)
            if most > 1 and not (fixed_nonce or self.fixed_nonce):
                raise FixedNonceError(
                    f"{most} frames would share one nonce: give each its own, or pass fixed_nonce=True in a study."
                )
            if most > MOST_FRAMES_UNDER_ONE_NONCE and not (allow_many or self.allow_many):
                raise FixedNonceError(
                    f"{most} frames would share one nonce, more than the {MOST_FRAMES_UNDER_ONE_NONCE} that are "
                    "bearable: give each frame its own, or insist with allow_many=True."
                )
            more = any(len(own) > len(self._frames.get(nonce, ())) for nonce, own in shared.items())
            for nonce, own in shared.items():
                self._frames.pop(nonce, None)  # so that the dictionary's order is that of the last use
                self._frames[nonce] = own[: MOST_FRAMES_UNDER_ONE_NONCE + 1]
            for nonce in list(itertools.islice(self._frames, max(0, len(self._frames) - _MOST_REMEMBERED))):
                del self._frames[nonce]
        if most > 1 and more:
            warnings.warn(
                f"{most} frames share one nonce; from about 20 on the frames alone give the scene away.",
                FixedNonceWarning,
                stacklevel=3,
            )

    def _with(self, nonces: Sequence[bytes], marks: Sequence[int]) -> dict[bytes, tuple[int, ...]]:
        """Return the marks of the nonces named, those of this call among them."""
        own: dict[bytes, list[int]] = {}
        for nonce, mark in zip(nonces, marks, strict=True):
            own.setdefault(nonce, []).append(mark)
        known = self._frames
        # Counters' union keeps the larger count: frames that are alike count as often as they came in one call.
        return {
            nonce: tuple((Counter(known[nonce]) | Counter(new)).elements()) if nonce in known else tuple(new)
            for nonce, new in own.items()
        }

    def __reduce__(self) -> tuple[type["FixedNonceGuard"], tuple[bool, bool]]:
        # A copy belongs to another object, with a life of its own; locks are not copied anyway.
        return type(self), (self.fixed_nonce, self.allow_many)


def _mark(frame: Any) -> int:
    """Return what tells frames apart, in this process."""
    return hash(frame if isinstance(frame, bytes) else np.asarray(frame).tobytes())


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


def guarded_nonces(
    nonce: bytes | Sequence[bytes] | None,
    frames: Sequence[Any] | NDArray[Any],
    guard: FixedNonceGuard,
    *,
    fixed_nonce: bool,
    allow_many: bool,
) -> list[bytes]:
    """Return one nonce for each of some plain frames, counted by a guard unless they are fresh.

    With ``fixed_nonce``, one fresh nonce for all is drawn where none is given.

    Raises
    ------
    NonceError, FixedNonceError
        As for :func:`nonces_for` and :meth:`FixedNonceGuard.admit`.
    """
    if nonce is None and not fixed_nonce:
        return new_nonces(len(frames))
    each = nonces_for(new_nonce() if nonce is None else nonce, len(frames))
    guard.admit(each, frames, fixed_nonce=fixed_nonce, allow_many=allow_many)
    return each

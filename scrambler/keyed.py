"""`keyed_permutation`: the whole-frame permutation that a key and a nonce decide."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np

from scrambler.errors import NonceError
from scrambler.frame_size import count_and_shape
from scrambler.key import Key, require_key
from scrambler.legacy import LegacyKey
from scrambler.permutation import Permutation
from scrambler.routed import Routed
from scrambler.uniform import ROUTE_FROM, UniformDraw, shuffle_segments, uniform_permutation

READOUT = "readout"


def keyed_permutation(
    key: Key | LegacyKey | None, size: int | tuple[int, int], nonce: bytes | None = None, label: str = READOUT
) -> Permutation:
    """Return the uniform permutation of a whole frame that belongs to a key, a nonce and a label.

    HKDF-SHA256 of key and nonce, with version, label, size, unit "pixel" and pattern "frame" as its info, seeds a
    ChaCha20 stream, and `scrambler.uniform` turns that into a permutation. Other keys, nonces, labels and sizes give
    unrelated ones.

    Parameters
    ----------
    key : Key or LegacyKey
        A `Key.legacy` gives the first draw after seeding, and takes no nonce.
    size : int or (int, int)
        N, or (H, W), which gives the permutation of N = H * W with its ``shape`` set.
    nonce : bytes, 16 long
        The frame's nonce. Only labels other than "readout", such as those of layers, may go without.
    label : str
        The purpose.

    Returns
    -------
    Permutation

    Raises
    ------
    MissingKeyError, NonceError, PermutationError
        If the key, the nonce or the size is missing or impossible.

    Examples
    --------
    >>> key = Key.from_bytes(bytes(32))
    >>> keyed_permutation(key, (2, 3), nonce=bytes(16))
    Permutation(shape=(2, 3))
    """
    count, shape = count_and_shape(size)
    if isinstance(key, LegacyKey):
        if nonce is not None:
            raise NonceError("a legacy key takes no nonce: leave nonce out.")
        return Permutation.of_valid(key.draw([count])[0], shape=shape)
    _require_nonce(nonce, label)
    return uniform(_frame_seed(require_key(key, "a keyed permutation"), nonce, label, str(count)), count, shape)


def keyed_permutations(key: Key | None, sizes: Sequence[tuple[int, int]], label: str) -> list[Permutation]:
    """Return independent uniform permutations of frames, drawn together: many small ones in less time.

    One seed for all, derived as for :func:`keyed_permutation` with the number of pixels of each as its size; the
    permutations are segments of one stream (`scrambler.uniform`). Other numbers of pixels, or the same in another
    sequence, give unrelated ones.

    Parameters
    ----------
    key : Key
    sizes : sequence of (int, int)
        Height and width of each frame, together below 2**32 pixels.
    label : str
        The purpose; not "readout", which needs a nonce.

    Raises
    ------
    MissingKeyError, NonceError, PermutationError
        If the key is missing, the label is "readout", or a size is impossible.

    Examples
    --------
    >>> keyed_permutations(Key.from_bytes(bytes(32)), [(2, 3), (1, 2)], "layers")
    [Permutation(shape=(2, 3)), Permutation(shape=(1, 2))]
    """
    secret = require_key(key, "a keyed permutation")
    _require_nonce(None, label)
    lengths = [count_and_shape(size)[0] for size in sizes]
    seed = _frame_seed(secret, None, label, ",".join(map(str, lengths)))
    order = np.empty(count_and_shape(sum(lengths))[0], np.uint32)
    shuffle_segments(order, np.array(lengths, np.int64), seed, numbered=True)
    parts = pairwise(accumulate(lengths, initial=0))
    return [Permutation.of_valid(order[slice(*part)], shape=size) for part, size in zip(parts, sizes, strict=True)]


def uniform(seed: bytes, count: int, shape: tuple[int, int] | None = None) -> Permutation:
    """Return the uniform permutation that a seed decides; a large one makes its tables when they are first needed."""
    if count < ROUTE_FROM:
        return Permutation.of_valid(uniform_permutation(seed, count), shape=shape)
    return Permutation.of_mover(Routed(UniformDraw(seed, count)), shape)


def _require_nonce(nonce: bytes | None, label: str) -> None:
    if nonce is None and label == READOUT:
        raise NonceError("a readout needs nonce=, 16 bytes that are fresh for every frame: new_nonce() draws one.")


def _frame_seed(key: Key, nonce: bytes | None, label: str, size: str) -> bytes:
    return permutation_seed(key, nonce, label, f"size={size};unit=pixel;pattern=frame")


def permutation_seed(key: Key, nonce: bytes | None, label: str, geometry: str) -> bytes:
    """Return the 32-byte seed of format v1 for a permutation of this geometry."""
    return key.derive(label, nonce, context=f"permutation/v1;{geometry}".encode())

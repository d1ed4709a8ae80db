"""`keyed_permutation`: the whole-frame permutation that a key and a nonce decide."""

from scrambler.errors import NonceError
from scrambler.frame_size import count_and_shape
from scrambler.key import Key, require_key
from scrambler.legacy import LegacyKey
from scrambler.permutation import Permutation
from scrambler.routed import Routed
from scrambler.uniform import ROUTE_FROM, UniformDraw, uniform_permutation

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
    if nonce is None and label == READOUT:
        raise NonceError("a readout needs nonce=, 16 bytes that are fresh for every frame: new_nonce() draws one.")
    seed = permutation_seed(
        require_key(key, "a keyed permutation"), nonce, label, f"size={count};unit=pixel;pattern=frame"
    )
    return uniform(seed, count, shape)


def uniform(seed: bytes, count: int, shape: tuple[int, int] | None = None) -> Permutation:
    """Return the uniform permutation that a seed decides; a large one makes its tables when they are first needed."""
    if count < ROUTE_FROM:
        return Permutation.of_valid(uniform_permutation(seed, count), shape=shape)
    return Permutation.of_mover(Routed(UniformDraw(seed, count)), shape)


def permutation_seed(key: Key, nonce: bytes | None, label: str, geometry: str) -> bytes:
    """Return the 32-byte seed of format v1 for a permutation of this geometry."""
    return key.derive(label, nonce, context=f"permutation/v1;{geometry}".encode())

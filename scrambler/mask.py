r"""The value mask: every bit of every value XORed with a keystream, so that values show nothing.

.. math:: y_j = x_j \oplus m_j, \qquad m = \mathrm{ChaCha20}(\mathrm{derive}(key, \text{"mask"}, nonce))

The mask follows the readout order: value j of the stream meets word j of the keystream, the channels of a pixel one
after the other. All bits of the container are masked, 16 for 12-bit codes in uint16 too: bits that stay 0 would show.
A mask is its own inverse. Like the shuffle it needs a fresh nonce for every frame: two frames under one mask give away
their difference.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, NonceError
from scrambler.key import Key, require_key
from scrambler.keystream import Keystream
from scrambler.nonce import check_nonce

MASK = "mask"
MASKED_TYPES = (np.dtype(np.uint8), np.dtype(np.uint16))


def mask_keystream(key: Key | None, nonce: bytes, count: int, dtype: Any) -> Keystream:
    """Return the keystream that masks `count` values of a type (format v1, which never changes).

    Raises
    ------
    MissingKeyError, NonceError, FrameError
        If the key or the nonce is missing or malformed, or the type is neither uint8 nor uint16.
    """
    bits = 8 * check_masked_type(dtype).itemsize
    secret = require_key(key, "a mask")
    if nonce is None:
        raise NonceError("a mask needs nonce=, 16 bytes that are fresh for every frame: new_nonce() draws one.")
    context = f"mask/v1;size={count};bits={bits}".encode()
    return Keystream(secret.derive(MASK, check_nonce(nonce), context=context), 0)


def mask_values(values: Any, key: Key | None, nonce: bytes) -> NDArray[Any]:
    """Return the values of one frame masked, or unmasked: XOR is its own inverse.

    Parameters
    ----------
    values : array of uint8 or uint16, any shape
        In readout order, channels last.
    key : Key
        The secret.
    nonce : bytes, 16 long
        The frame's nonce.

    Returns
    -------
    array of the same shape and type

    Raises
    ------
    MissingKeyError, NonceError, FrameError
        If the key or the nonce is missing or malformed, or the type is neither uint8 nor uint16.

    Examples
    --------
    >>> key, frame = Key.from_bytes(bytes(32)), np.arange(6, dtype=np.uint16).reshape(2, 3)
    >>> masked = mask_values(frame, key, bytes(16))
    >>> bool((masked == frame).any()), bool((mask_values(masked, key, bytes(16)) == frame).all())
    (False, True)
    """
    given = np.asarray(values)
    masked = np.array(given, order="C")
    mask_in_place(masked, mask_keystream(key, nonce, given.size, given.dtype))
    return masked


def mask_in_place(values: NDArray[Any], keystream: Keystream) -> None:
    """XOR a C-contiguous array of uint8 or uint16 with a keystream."""
    swap = sys.byteorder == "big" and values.itemsize > 1
    if swap:
        values.byteswap(inplace=True)
    keystream.mask(values.reshape(-1).view(np.uint8))
    if swap:
        values.byteswap(inplace=True)


def mask_of(key: Key | None, nonce: bytes, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return the mask itself, for operators that take it off value by value; what masking zeros gives."""
    return mask_values(np.zeros(shape, check_masked_type(dtype)), key, nonce)


def check_masked_type(dtype: Any) -> np.dtype[Any]:
    """Return the type of values to mask.

    Raises
    ------
    FrameError
        If it is neither uint8 nor uint16.
    """
    given: np.dtype[Any] = np.dtype(dtype)
    if given not in MASKED_TYPES:
        raise FrameError(f"images must be uint8 or uint16 to be masked bit by bit, got {given}.")
    return given

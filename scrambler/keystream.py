"""The ChaCha20 keystream (RFC 8439), drawn by OpenSSL through the package cryptography."""

import sys
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

# Encrypting zeros gives the keystream itself; a piece of this size stays in the first-level cache.
_PIECE = 1 << 15
_ZEROS = memoryview(bytes(_PIECE))
_BLOCK = 64


class Keystream:
    """Successive pieces of one ChaCha20 keystream.

    Parameters
    ----------
    seed : bytes, 32 long
        The cipher's key.
    stream : int
        Number of the stream, 0 to 2**96 - 1: the cipher's nonce, little-endian. Streams of one seed are independent.
    start : int
        Octet of the stream to begin with, below 2**38; any part can be drawn without what comes before it.

    Examples
    --------
    The first key stream block of RFC 8439, appendix A.1, test vector 1.

    >>> Keystream(bytes(32), 0).octets(4).tobytes().hex()
    '76b8e0ad'
    >>> Keystream(bytes(32), 0, start=2).octets(2).tobytes().hex()
    'e0ad'
    """

    def __init__(self, seed: bytes, stream: int, start: int = 0) -> None:
        block, skip = divmod(start, _BLOCK)
        initial = block.to_bytes(4, "little") + stream.to_bytes(12, "little")
        self._encryptor = Cipher(algorithms.ChaCha20(seed, initial), mode=None).encryptor()
        if skip:
            self._encryptor.update(_ZEROS[:skip])

    def fill(self, out: NDArray[Any]) -> None:
        """Overwrite a contiguous array of uint8 or uint32 with the next octets or little-endian words."""
        target = out.view(np.uint8).data
        for start in range(0, len(target), _PIECE):
            piece = target[start : start + _PIECE]
            self._encryptor.update_into(_ZEROS[: len(piece)], piece)
        if sys.byteorder == "big" and out.itemsize > 1:
            out.byteswap(inplace=True)

    def mask(self, octets: NDArray[Any]) -> None:
        """XOR a contiguous array of uint8 with the next octets, in place; the keystream itself is never stored."""
        target = octets.data
        for start in range(0, len(target), _PIECE):
            piece = target[start : start + _PIECE]
            self._encryptor.update_into(piece, piece)

    def octets(self, count: int) -> NDArray[Any]:
        """Return the next `count` octets as uint8."""
        out = np.empty(count, np.uint8)
        self.fill(out)
        return out

    def words(self, count: int) -> NDArray[Any]:
        """Return the next `count` little-endian 32-bit words as uint32."""
        out = np.empty(count, np.uint32)
        self.fill(out)
        return out

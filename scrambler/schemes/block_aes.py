"""`block-aes`: AES-128 in electronic codebook mode inside image blocks, as DisguisedNets has it.

Equal units give equal ciphers, which is what lets a network learn, and an attacker too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from scrambler.errors import SchemeError
from scrambler.schemes.base import Card
from scrambler.schemes.blocks import from_blocks, to_blocks
from scrambler.schemes.draws import Draws
from scrambler.schemes.family import DATA_SET_PARAMETERS, PerDataSet
from scrambler.schemes.noise import noise_generator
from scrambler.schemes.parameters import check_choice, check_positive, check_whole
from scrambler.schemes.registry import register_scheme

_UNIT = 16


def aes_codebook(octets: NDArray[Any], key: bytes, *, inverse: bool = False) -> NDArray[Any]:
    """Return octets encrypted, or decrypted, by AES-128 in units of 16 (FIPS 197; SP 800-38A, ECB).

    Parameters
    ----------
    octets : array of uint8
        Any shape; their number is a multiple of 16.
    key : bytes, 16 long
        Secret.
    inverse : bool
        Decrypt.

    Examples
    --------
    The first vector of SP 800-38A, F.1.1.

    >>> key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    >>> unit = np.frombuffer(bytes.fromhex("6bc1bee22e409f96e93d7e117393172a"), np.uint8)
    >>> aes_codebook(unit, key).tobytes().hex()
    '3ad77bb40d7a3660a89ecaf32466ef97'
    """
    # The codebook mode is what was published; the card says what it is worth.
    cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the scheme under study is this very mode
    run = cipher.decryptor() if inverse else cipher.encryptor()
    return np.frombuffer(run.update(np.ascontiguousarray(octets).data), np.uint8).reshape(octets.shape)


@dataclass(frozen=True, kw_only=True)
class BlockAes(PerDataSet):
    """Encrypt the octets of every block and channel by AES-128-ECB, 16 at a time, row by row.

    Parameters
    ----------
    block : int
        Side of a block, a multiple of 4, so that units fill it.
    keys : {"one", "per_position"}
        One key, or another for every block position.
    pixels_per_unit : {16, 2}
        2: each of two neighbouring pixels fills half a unit, and the average of each half of the cipher takes its
        place, which cannot be undone; 8-bit images only.
    salt_pepper : float
        Share of values replaced by black or white before encryption, against codebooks (published 0.02 to 0.03).
    rng : int, numpy Generator, or None
        Where the specks fall; None draws from the operating system.

    Examples
    --------
    >>> from scrambler import Key
    >>> image, aes = np.arange(48, dtype=np.uint8).reshape(6, 8), BlockAes(key=Key.generate())
    >>> bool((aes.reveal(aes.protect(image)) == image).all())
    True
    """

    block: int = 4
    keys: str = "one"
    pixels_per_unit: int = 16
    salt_pepper: float = 0.0
    rng: int | np.random.Generator | None = None

    published: ClassVar[Card] = Card(
        name="block-aes",
        paper="Sharma, Chen, Alam, arXiv 1902.01878, IEEE CLOUD 2021 (DisguisedNets)",
        summary="every block is encrypted by AES in codebook mode",
        parameters={
            "block": "4: side of a block, a multiple of 4",
            "keys": '"one", or "per_position": another key for every block position',
            "pixels_per_unit": "16: octets of a unit; 2 averages the cipher of two pixels, irreversibly",
            "salt_pepper": "0: share of values replaced by black or white first; published 0.02 to 0.03; irreversible",
            "rng": "None: seed or generator of the specks",
            **DATA_SET_PARAMETERS,
        },
        key_bits="128 for each key",
        effective_key_bits="128, and no key is needed for what the codebook holds",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="MNIST 91.6 % (plain 96.7; AlexNet), Fashion-MNIST 68.9 % (88.7)",
        attacks="equal units give equal ciphers; codebook from known pairs: attack success 37.3 % on MNIST, 19.3 % on "
        "Fashion-MNIST, about 50 % after 20 pairs with units of 2 pixels (published)",
        network="retraining",
    )

    def __post_init__(self) -> None:
        if check_whole("block", self.block, 4, 4096) % 4:
            raise SchemeError(f"block must be a multiple of 4, so that units of 16 fill it, got {self.block}.")
        check_choice("keys", self.keys, ("one", "per_position"))
        if self.pixels_per_unit not in (2, 16):
            raise SchemeError(f"pixels_per_unit must be 16 or 2, got {self.pixels_per_unit!r}.")
        if check_positive("salt_pepper", self.salt_pepper, zero=True) > 1:
            raise SchemeError(f"salt_pepper is a share from 0 to 1, got {self.salt_pepper!r}.")
        noise_generator(self.rng)

    @property
    def card(self) -> Card:
        """What there is to know about the scheme with these parameters."""
        return replace(self.published, invertible=self.pixels_per_unit == _UNIT and not self.salt_pepper)

    @property
    def block_px(self) -> int:
        """Side of the square that must divide the image."""
        return self.block

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the encrypted images."""
        if self.salt_pepper:
            images = self._with_specks(images)
        if self.pixels_per_unit == _UNIT:
            return self._run(images, draws, inverse=False)
        if images.dtype != np.uint8:
            raise SchemeError("pixels_per_unit=2 is for images of 8 bits: leave it at 16.")
        return self._averaged(images, draws)

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        return self._run(values.astype(dtype, copy=False), draws, inverse=True)

    def _with_specks(self, images: NDArray[Any]) -> NDArray[Any]:
        rng = noise_generator(self.rng)
        white = rng.integers(0, 2, images.shape) * np.iinfo(images.dtype).max
        return np.where(rng.random(images.shape) < self.salt_pepper, white, images).astype(images.dtype)

    def _run(self, images: NDArray[Any], draws: Draws, *, inverse: bool) -> NDArray[Any]:
        """Encrypt or decrypt all octets of the images in units of 16 octets."""
        units = self._units(images)
        if not units.size:
            return images.copy()
        done = self._encrypt(units.view(np.uint8).reshape(len(units), -1), draws, inverse=inverse)
        return self._images(done.view(images.dtype).reshape(units.shape), images.shape)

    def _averaged(self, images: NDArray[Any], draws: Draws) -> NDArray[Any]:
        """Encrypt every two neighbours of a row, each repeated, and average the two halves of the cipher."""
        units = self._units(images)
        if not units.size:
            return images.copy()
        repeated = np.repeat(units, _UNIT // 2, axis=-1)
        cipher = self._encrypt(repeated.reshape(len(units), -1), draws, inverse=False)
        averages = np.rint(cipher.reshape(*units.shape, _UNIT // 2).mean(axis=-1)).astype(np.uint8)
        return self._images(averages, images.shape)

    def _units(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return the values by block position, image, channel, row and column; inverse of `_images`."""
        return np.ascontiguousarray(to_blocks(images, self.block).transpose(1, 0, 4, 2, 3))

    def _images(self, units: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        return from_blocks(units.transpose(1, 0, 3, 4, 2), shape[1], shape[2])

    def _encrypt(self, octets: NDArray[Any], draws: Draws, *, inverse: bool) -> NDArray[Any]:
        """Encrypt or decrypt octets, shape (positions, n)."""
        if self.keys == "one":
            return aes_codebook(octets, draws.octets("aes", 16).tobytes(), inverse=inverse)
        secrets = draws.octets("aes", 16 * len(octets)).reshape(-1, 16)
        done = np.empty_like(octets)
        for row, secret, out in zip(octets, secrets, done, strict=True):
            out[:] = aes_codebook(row, secret.tobytes(), inverse=inverse)
        return done


register_scheme(BlockAes.published.name, BlockAes)

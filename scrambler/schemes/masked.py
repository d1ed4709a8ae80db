"""The schemes that hide the values too: `shuffle+mask`, and `chacha20`, the stream cipher alone.

Both take uint8 and uint16: images, batches and RAW mosaics of any size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.key import Key, require_key
from scrambler.mask import check_masked_type, mask_in_place, mask_keystream
from scrambler.multiplexer import BAYER, Multiplexer, check_period, check_unit
from scrambler.nonce import FixedNonceGuard, guarded_nonces, nonces_for
from scrambler.schemes.base import Card, Protected, check_plain_shape, check_protected, given_nonces, read_batch
from scrambler.schemes.registry import register_scheme

_NONCE_PARAMETERS = {
    "fixed_nonce": "False: let the images of a batch share a nonce, for studies",
    "allow_many": "False: let more than 16 of them share it",
}
_REUSED_NONCE = "with one nonce for 5,000 images: permutation exact, then the mask, SSIM 0.97"


@dataclass(frozen=True, kw_only=True)
class _Masked:
    """What both have in common; a subclass says in which order the values meet the mask.

    Parameters
    ----------
    key : Key, optional
        Needed to protect and reveal.
    fixed_nonce, allow_many : bool
        Let images share a nonce, and more than 16 of them.
    """

    key: Key | None = None
    fixed_nonce: bool = False
    allow_many: bool = False
    _guard: FixedNonceGuard = field(default_factory=FixedNonceGuard, init=False, repr=False, compare=False)

    card: ClassVar[Card]

    def _ordered(self, image: NDArray[Any], nonce: bytes) -> NDArray[Any]:
        """Return an image in the order it is masked in."""
        return image

    def _natural(self, image: NDArray[Any], nonce: bytes) -> NDArray[Any]:
        """Undo `_ordered`."""
        return image

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the masked images; inverse of :meth:`reveal`.

        Parameters
        ----------
        images : array-like of uint8 or uint16
            One image (H, W) or (H, W, C), or a batch (B, H, W) or (B, H, W, C).
        nonce : bytes or sequence of bytes, optional
            One for each image; drawn fresh when missing. One for all needs ``fixed_nonce=True``.

        Raises
        ------
        MissingKeyError, FrameError, NonceError
            If key, images or nonces are missing or do not fit.
        """
        key = self._key()
        batch, single = _read_codes(images)
        nonces = guarded_nonces(nonce, batch, self._guard, fixed_nonce=self.fixed_nonce, allow_many=self.allow_many)
        masked = np.empty_like(batch, order="C")
        for image, one, values in zip(batch, nonces, masked, strict=True):
            values[...] = self._ordered(image, one)
            mask_in_place(values, mask_keystream(key, one, values.size, values.dtype))
        return Protected(masked[0] if single else masked, tuple(nonces), np.shape(images), self.card.name, key.id)

    def reveal(
        self, protected: Any, nonce: bytes | Sequence[bytes] | None = None, shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """Return the plain images, bit for bit; inverse of :meth:`protect`.

        Parameters
        ----------
        protected : Protected or array-like
            What :meth:`protect` returned, or its values.
        nonce : bytes or sequence of bytes
            For bare values: their nonces.
        shape : tuple of int, optional
            For bare values: the plain shape, which is their own.

        Raises
        ------
        MissingKeyError, WrongKeyError, FrameError, NonceError
            If key, images or nonces are missing or do not fit.
        """
        key = self._key()
        check_protected(protected, self.card.name, key.id)
        batch, single = _read_codes(protected)
        check_plain_shape(protected, shape)
        nonces = nonces_for(given_nonces(protected) if nonce is None else nonce, len(batch))
        plain = np.array(batch, order="C")
        for values, one in zip(plain, nonces, strict=True):
            mask_in_place(values, mask_keystream(key, one, values.size, values.dtype))
            values[...] = self._natural(values, one)
        return plain[0] if single else plain

    def _key(self) -> Key:
        return require_key(self.key, f"scheme {self.card.name!r}")


def _read_codes(images: Any) -> tuple[NDArray[Any], bool]:
    batch, single = read_batch(images)
    check_masked_type(batch.dtype)
    return batch, single


@dataclass(frozen=True, kw_only=True)
class ShuffleMask(_Masked):
    """Move every pixel anywhere, and mask every bit of every value under the same nonce.

    A converted network takes the mask off inside its first gather, value by value; nobody else can tell a frame from
    noise. It hides, but does not authenticate: whoever flips a bit of it flips that bit of the picture
    (:func:`scrambler.seal` notices).

    Parameters
    ----------
    unit : {"pixel", "quad", "plane"}
        What moves whole.
    period : (int, int)
        Period of the colour filter.

    Examples
    --------
    >>> images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    >>> scheme = ShuffleMask(key=Key.generate())
    >>> bool((scheme.reveal(scheme.protect(images)) == images).all())
    True
    """

    unit: str = "pixel"
    period: tuple[int, int] = BAYER

    card: ClassVar[Card] = Card(
        name="shuffle+mask",
        paper="none: the shuffle of PrivDL (arXiv 2404.05828) with the keystream of RFC 8439 (docs/security.md)",
        summary="every pixel moves anywhere, then every bit of every value is XORed with a keystream",
        parameters={
            "unit": '"pixel": what moves whole',
            "period": "(2, 2): period of the colour filter, for the units quad and plane",
            **_NONCE_PARAMETERS,
        },
        key_bits="log2(N!) + bits: 8769 + 24576 for 32 x 32 RGB",
        effective_key_bits="256",
        invertible=True,
        keyed=True,
        nonce="per image",
        strength="shuffle+mask",
        accuracy="that of the plain network, with the key",
        attacks="class from values 9.7 % on CIFAR-10 (chance), link to the source image 0 %; " + _REUSED_NONCE,
        network="exact conversion: the mask comes off inside the first gather (mask=True)",
    )

    def __post_init__(self) -> None:
        check_unit(self.unit)
        check_period(self.period)

    def _ordered(self, image: NDArray[Any], nonce: bytes) -> NDArray[Any]:
        return self._multiplexer().shuffle(image, nonce, period=self.period)[0]

    def _natural(self, image: NDArray[Any], nonce: bytes) -> NDArray[Any]:
        return self._multiplexer().unshuffle(image, nonce, period=self.period)

    def _multiplexer(self) -> Multiplexer:
        return Multiplexer(self._key(), unit=self.unit)


@dataclass(frozen=True, kw_only=True)
class ChaCha20Values(_Masked):
    """Encrypt every bit of every value with a stream cipher, pixels in place: the honest baseline.

    Examples
    --------
    >>> image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    >>> cipher = ChaCha20Values(key=Key.generate())
    >>> bool((cipher.reveal(cipher.protect(image)) == image).all())
    True
    """

    card: ClassVar[Card] = Card(
        name="chacha20",
        paper="RFC 8439, Nir and Langley, 2018",
        summary="every bit of every value is XORed with a keystream, pixels stay in place",
        parameters=_NONCE_PARAMETERS,
        key_bits="256",
        effective_key_bits="256",
        invertible=True,
        keyed=True,
        nonce="per image",
        strength="shuffle+mask",
        accuracy="that of the plain network, with the key",
        attacks="none known; with one nonce for several images: their differences",
        network="exact conversion: the mask comes off inside the first gather",
    )


for _family in (ShuffleMask, ChaCha20Values):
    register_scheme(_family.card.name, _family)

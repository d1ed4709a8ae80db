"""`pixel-shuffle`, and what all schemes share that only move pixels.

All channels of a pixel move together, values stay as they are, and sizes need not divide anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import NonceError, SchemeError
from scrambler.key import Key, require_key
from scrambler.keyed import keyed_permutation
from scrambler.legacy import LegacyKey
from scrambler.multiplexer import BAYER, Multiplexer, check_period, check_unit
from scrambler.nonce import FixedNonceGuard
from scrambler.patterns import parse_pattern
from scrambler.permutation import Permutation
from scrambler.schemes.affine_map import AffineMap
from scrambler.schemes.base import Card, Protected, check_plain_shape, check_protected, given_nonces, read_batch
from scrambler.schemes.registry import register_scheme

SHUFFLE_PARAMETERS = {
    "unit": '"pixel": what moves whole; "quad" and "plane" keep a mosaic legal',
    "period": "(2, 2): period of the colour filter, for those two units",
    "fixed_nonce": "False: let the images of a batch share a nonce, for studies",
    "allow_many": "False: let more than 16 of them share it",
}
VALUES_STAY = (
    "values stay: class 46 % on CIFAR-10, link to the source image 100 %; "
    "one nonce for many images: layout exact from 1,000 images on"
)


@dataclass(frozen=True, kw_only=True)
class ShuffleScheme:
    """What the four have in common; a subclass names its pattern.

    Parameters
    ----------
    key : Key, optional
        Needed to protect and reveal.
    unit : {"pixel", "quad", "plane"}
        What moves whole.
    period : (int, int)
        Period of the colour filter.
    fixed_nonce, allow_many : bool
        Let images share a nonce, and more than 16 of them.
    """

    key: Key | LegacyKey | None = None
    unit: str = "pixel"
    period: tuple[int, int] = BAYER
    fixed_nonce: bool = False
    allow_many: bool = False
    _guard: FixedNonceGuard = field(default_factory=FixedNonceGuard, init=False, repr=False, compare=False)

    card: ClassVar[Card]

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        return "frame"

    def __post_init__(self) -> None:
        check_unit(self.unit)
        check_period(self.period)
        parse_pattern(self.pattern)

    def _multiplexer(self) -> Multiplexer:
        key = require_key(self.key, f"scheme {self.card.name!r}")
        return Multiplexer(key, self.pattern, self.unit, guard=self._guard)

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the shuffled images; inverse of :meth:`reveal`.

        Parameters
        ----------
        images : array-like
            One image (H, W) or (H, W, C), or a batch (B, H, W) or (B, H, W, C); integers or finite floats.
        nonce : bytes or sequence of bytes, optional
            One for each image; drawn fresh when missing. One for all needs ``fixed_nonce=True``.

        Raises
        ------
        MissingKeyError, FrameError, NonceError
            If key, images or nonces are missing or do not fit.
        """
        multiplexer = self._multiplexer()
        batch, single = read_batch(images)
        values, nonces = multiplexer.shuffle_batch(
            batch, nonce, self.fixed_nonce, self.allow_many, unit=self.unit, period=self.period
        )
        return Protected(
            values[0] if single else values, tuple(nonces), np.shape(images), self.card.name, multiplexer.key.id
        )

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
        multiplexer = self._multiplexer()
        check_protected(protected, self.card.name, multiplexer.key.id)
        batch, single = read_batch(protected)
        check_plain_shape(protected, shape)
        if nonce is None:
            nonce = given_nonces(protected)
        plain: NDArray[Any] = multiplexer.unshuffle_batch(batch, nonce, unit=self.unit, period=self.period)
        return plain[0] if single else plain

    def affine_map(self, shape: tuple[int, int, int], nonce: bytes | None = None, dtype: Any = np.uint8) -> AffineMap:
        """Return the scheme as a map of one frame that changes no value, for networks to read through.

        Parameters
        ----------
        shape : (int, int, int)
            Size H, W, C.
        nonce : bytes
            The frame's.
        dtype : numpy dtype
            Type of the frame: 1.0 is white for real numbers.

        Raises
        ------
        MissingKeyError, NonceError
            If key or nonce are missing or malformed.
        """
        order, channels = self._permutation((shape[0], shape[1]), nonce), shape[2]
        source = (channels * order.source.astype(np.int64)[:, None] + np.arange(channels)).reshape(-1)
        white = float(np.iinfo(dtype).max) if np.dtype(dtype).kind in "ui" else 1.0
        return AffineMap(shape=shape, source=source, slope=np.ones(1), shift=np.zeros(1), white=white)

    def _permutation(self, size: tuple[int, int], nonce: bytes | None) -> Permutation:
        if nonce is None:
            raise NonceError(f"scheme {self.card.name!r} needs the nonce of every frame: protect returned them.")
        return self._multiplexer().permutation(size, nonce, self.unit, self.period)


@dataclass(frozen=True, kw_only=True)
class PixelShuffle(ShuffleScheme):
    """Move every pixel anywhere: PrivDL's protection, under a nonce per image.

    With `Key.legacy` it is the published one: one permutation for all images, no nonce, which needs
    ``fixed_nonce=True``.

    Examples
    --------
    >>> images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    >>> shuffle = PixelShuffle(key=Key.generate())
    >>> bool((shuffle.reveal(shuffle.protect(images)) == images).all())
    True
    """

    card: ClassVar[Card] = Card(
        name="pixel-shuffle",
        paper="Perez, Lopez, Arguello, ICASSP 2024, arXiv 2404.05828 (PrivDL)",
        summary="every pixel moves anywhere, all channels together",
        parameters=SHUFFLE_PARAMETERS,
        key_bits="log2(N!): 8769 for 32 x 32",
        effective_key_bits="256; 32 with the published seeds (Key.legacy)",
        invertible=True,
        keyed=True,
        nonce="per image; the paper has one key for everything (fixed_nonce=True)",
        strength="shuffle",
        accuracy="CIFAR-10: 94.1 % with the key, 11.8 % without or with a wrong one (VGG16-BN)",
        attacks=VALUES_STAY,
        network="exact conversion",
    )

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the shuffled images; as for every scheme, and without nonces for a `Key.legacy`."""
        if not isinstance(self.key, LegacyKey):
            return super().protect(images, nonce)
        batch, single = read_batch(images)
        self._guard.admit([b"legacy"] * len(batch), batch, fixed_nonce=self.fixed_nonce, allow_many=self.allow_many)
        order = self._legacy((batch.shape[1], batch.shape[2]), nonce)
        values = order.shuffle(batch, channels_last=batch.ndim == 4)
        return Protected(values[0] if single else values, (), np.shape(images), self.card.name)

    def reveal(
        self, protected: Any, nonce: bytes | Sequence[bytes] | None = None, shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """Return the plain images, bit for bit; as for every scheme, and without nonces for a `Key.legacy`."""
        if not isinstance(self.key, LegacyKey):
            return super().reveal(protected, nonce, shape)
        check_protected(protected, self.card.name, None)
        batch, single = read_batch(protected)
        check_plain_shape(protected, shape)
        plain: NDArray[Any] = self._legacy((batch.shape[1], batch.shape[2]), nonce).unshuffle(
            batch, channels_last=batch.ndim == 4
        )
        return plain[0] if single else plain

    def _permutation(self, size: tuple[int, int], nonce: bytes | None) -> Permutation:
        return self._legacy(size, nonce) if isinstance(self.key, LegacyKey) else super()._permutation(size, nonce)

    def _legacy(self, size: tuple[int, int], nonce: object) -> Permutation:
        if nonce is not None:
            raise NonceError("a legacy key takes no nonce: leave nonce out.")
        if self.unit != "pixel":
            raise SchemeError(f"a legacy key moves single pixels: leave unit at 'pixel', got {self.unit!r}.")
        return keyed_permutation(self.key, size)


register_scheme(PixelShuffle.card.name, PixelShuffle)

"""The frame of every keyed scheme that works on codes: batches, nonces, padding and types; a scheme fills in the step.

Two kinds: `PerImage` draws a nonce for every image; `PerDataSet` has one key for all images, as its paper has it, and
a nonce for every image when asked.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, NonceError, SchemeError
from scrambler.key import Key, require_key
from scrambler.nonce import FixedNonceGuard, guarded_nonces, new_nonces, nonces_for
from scrambler.schemes.affine_map import AffineMap
from scrambler.schemes.base import Card, Protected, check_protected, is_channels, read_batch, read_codes
from scrambler.schemes.blocks import pad_to_blocks
from scrambler.schemes.draws import Draws

Nonces = bytes | Sequence[bytes] | None
Step = Callable[[NDArray[Any], Draws, Sequence[bytes]], NDArray[Any]]

DATA_SET_PARAMETERS = {"per_image": "False: draw a nonce, and with it all secrets, for every image"}
IMAGE_PARAMETERS = {
    "fixed_nonce": "False: let the images of a batch share a nonce, for studies",
    "allow_many": "False: let more than 16 of them share it",
}
BITS_PARAMETER = {"bits": "8 or 16, the container's: bits of a code, such as 12 for RAW frames"}


@dataclass(frozen=True, kw_only=True)
class KeyedScheme(ABC):
    """What all keyed schemes on codes have in common.

    Parameters
    ----------
    key : Key, optional
        Needed to protect and reveal.
    """

    key: Key | None = None

    published: ClassVar[Card]

    @property
    def card(self) -> Card:
        """What there is to know about the scheme."""
        return self.published

    @property
    def block_px(self) -> int:
        """Side of the square that must divide the image; 1 for schemes without blocks."""
        return 1

    @abstractmethod
    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return protected values of images (B, H, W, C) that share the secrets `draws`; inverse of `backward`."""

    @abstractmethod
    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got, as codes of `dtype`."""

    def plain_type(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of plain images for bare values, which do not tell it."""
        return dtype if dtype in (np.uint8, np.uint16) else np.dtype(np.int64)

    def protect_nonces(self, nonce: Nonces, images: NDArray[Any]) -> list[bytes]:
        """Return the nonces to protect images with: none, or one for each."""
        return nonces_for(nonce, len(images))

    def secret_nonces(self, nonces: Sequence[bytes], count: int) -> Sequence[bytes | None]:
        """Return the nonce that decides each image's secrets; None is the data set's own."""
        return nonces or [None] * count

    def protect(self, images: Any, nonce: Nonces = None) -> Protected:
        """Return the protected images; inverse of :meth:`reveal`.

        Parameters
        ----------
        images : array-like of uint8 or uint16
            One image (H, W) or (H, W, C), or a batch (B, H, W) or (B, H, W, C).
        nonce : bytes or sequence of bytes, optional
            One for each image, or one for all; see the card for what happens without.

        Raises
        ------
        MissingKeyError, FrameError, NonceError
            If key, images or nonces are missing or do not fit.
        """
        key = require_key(self.key, f"scheme {self.card.name!r}")
        batch, single = read_codes(images)
        nonces = self.protect_nonces(nonce, batch)
        values = self._by_secret(key, pad_to_blocks(batch, self.block_px), nonces, self.forward)
        return Protected(
            values=_shaped(values, np.ndim(images), single),
            nonces=tuple(nonces),
            shape=np.shape(images),
            scheme=self.card.name,
            key_id=key.id,
            dtype=batch.dtype,
        )

    def reveal(self, protected: Any, nonce: Nonces = None, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
        """Return the plain images; inverse of :meth:`protect`.

        Parameters
        ----------
        protected : Protected or array-like
            What :meth:`protect` returned, or its values.
        nonce : bytes or sequence of bytes, optional
            For bare values: their nonces, if they have any.
        shape : tuple of int, optional
            For bare values: the plain shape; without it nothing is cut off.

        Raises
        ------
        MissingKeyError, WrongKeyError, FrameError, NonceError
            If key, images or nonces are missing or do not fit.

        Notes
        -----
        Bare values do not tell the type of the plain images: values of 8 or 16 bits give images of the same type,
        others give int64.
        """
        key = require_key(self.key, f"scheme {self.card.name!r}")
        if not self.card.invertible:
            raise SchemeError(f"scheme {self.card.name!r} with these parameters cannot be undone: see its card.")
        check_protected(protected, self.card.name, key.id)
        dtype = None
        if isinstance(protected, Protected):
            nonce = protected.nonces if nonce is None else nonce
            shape = protected.shape if shape is None else shape
            dtype = protected.dtype
        batch, single = protected_batch(protected, shape)
        dtype = dtype or self.plain_type(batch.dtype)
        if batch.shape[1] % self.block_px or batch.shape[2] % self.block_px:
            raise FrameError(
                f"protected images of {batch.shape[1]} x {batch.shape[2]} are not whole blocks of {self.block_px}: "
                "give what protect returned, uncut."
            )
        nonces = self.reveal_nonces(nonce, len(batch))

        def step(group: NDArray[Any], draws: Draws, its_nonces: Sequence[bytes]) -> NDArray[Any]:
            return self.backward(group, draws, its_nonces, dtype)

        plain = _shaped(self._by_secret(key, batch, nonces, step), np.ndim(protected), single)
        return plain if shape is None else _cut(plain, tuple(shape), single)

    def reveal_nonces(self, nonce: Nonces, count: int) -> list[bytes]:
        """Return the nonces to reveal `count` images with."""
        return [] if nonce is None or len(nonce) == 0 else nonces_for(nonce, count)

    def affine_map(self, shape: tuple[int, int, int], nonce: bytes | None = None, dtype: Any = np.uint8) -> AffineMap:
        """Return the scheme as one affine map of a frame, for networks to fold into their first layer.

        Parameters
        ----------
        shape : (int, int, int)
            Plain size H, W, C.
        nonce : bytes, optional
            The frame's own, if it has one.
        dtype : numpy dtype
            Type of the plain frame, uint8 or uint16.

        Raises
        ------
        MissingKeyError, NonceError
            If key or nonce are missing or malformed.
        SchemeError
            If the scheme is not affine value by value, or not with these parameters.
        """
        key = require_key(self.key, f"scheme {self.card.name!r}")
        nonces = self.reveal_nonces(None if nonce is None else [nonce], 1)
        height, width = (-(-side // self.block_px) * self.block_px for side in shape[:2])
        padded = (height, width, shape[2])
        draws = self._draws(key, padded, self.secret_nonces(nonces, 1)[0])
        return self.affine_parts(padded, draws, np.dtype(dtype))

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return the map that `forward` is; for schemes that are one."""
        raise SchemeError(f"scheme {self.card.name!r} is not affine value by value.")

    def _draws(self, key: Key, shape: tuple[int, ...], nonce: bytes | None) -> Draws:
        """Return the secrets of padded images (H, W, C) under a nonce, or of a data set."""
        geometry = "scheme/v1;size={}x{}x{}".format(*shape).encode()
        return Draws(key.derive(f"scheme/{self.card.name}", nonce, context=geometry))

    def _by_secret(self, key: Key, images: NDArray[Any], nonces: Sequence[bytes], step: Step) -> NDArray[Any]:
        """Run the step once for every stretch of images with the same secrets."""
        secrets = self.secret_nonces(nonces, len(images))
        done: list[NDArray[Any]] = []
        for nonce, group in groupby(range(len(images)), key=secrets.__getitem__):
            members = list(group)
            draws = self._draws(key, images.shape[1:], nonce)
            part = slice(members[0], members[-1] + 1)
            done.append(step(images[part], draws, nonces[part]))
        if not done:  # an empty batch: nothing to draw, but the type of the values still counts
            return step(images, Draws(bytes(32)), nonces)
        return done[0] if len(done) == 1 else np.concatenate(done)


@dataclass(frozen=True, kw_only=True)
class PerImage(KeyedScheme):
    """A scheme with secrets of its own for every image.

    Parameters
    ----------
    fixed_nonce, allow_many : bool
        Let images share a nonce, and more than 16 of them over the scheme's life: for studies.
    """

    fixed_nonce: bool = False
    allow_many: bool = False
    _guard: FixedNonceGuard = field(default_factory=FixedNonceGuard, init=False, repr=False, compare=False)

    def protect_nonces(self, nonce: Nonces, images: NDArray[Any]) -> list[bytes]:
        """Return one nonce for each image, fresh if none is given; shared ones only with ``fixed_nonce``."""
        return guarded_nonces(nonce, images, self._guard, fixed_nonce=self.fixed_nonce, allow_many=self.allow_many)

    def reveal_nonces(self, nonce: Nonces, count: int) -> list[bytes]:
        """Return the nonces to reveal `count` images with."""
        if nonce is None:
            raise NonceError("revealing bare values needs nonce=, the nonces of the protected images.")
        return nonces_for(nonce, count)


@dataclass(frozen=True, kw_only=True)
class PerDataSet(KeyedScheme):
    """A scheme whose paper has one key for a data set: images of one size share all secrets.

    Parameters
    ----------
    per_image : bool
        Draw a nonce, and with it all secrets, for every image. A given nonce does the same.
    """

    per_image: bool = False

    def protect_nonces(self, nonce: Nonces, images: NDArray[Any]) -> list[bytes]:
        """Return no nonces, or with ``per_image`` or a given nonce one for each image."""
        if nonce is None:
            return new_nonces(len(images)) if self.per_image else []
        return nonces_for(nonce, len(images))


def protected_batch(protected: Any, shape: tuple[int, ...] | None) -> tuple[NDArray[Any], bool]:
    """Return protected values as a batch (B, H, W, C), and whether they are a single image."""
    batch, single = read_batch(protected)
    if shape is not None and len(shape) == 3 == np.ndim(protected):
        # Padding can turn a batch of images two pixels wide into what looks like one image of four channels.
        single = is_channels(shape[2])
        batch = np.asarray(protected)[None] if single else np.asarray(protected)
    return (batch if batch.ndim == 4 else batch[..., None]), single


def _shaped(values: NDArray[Any], axes: int, single: bool) -> NDArray[Any]:
    """Give back the axes that the images came with: those of a batch (B, H, W, C), less what was added."""
    if values.ndim == 4 and axes == 3 - single:
        values = values[..., 0]
    return values[0] if single else values


def _cut(plain: NDArray[Any], shape: tuple[int, ...], single: bool) -> NDArray[Any]:
    """Cut the padding off, if what was given is the plain shape of these images.

    Raises
    ------
    FrameError
        If it is not.
    """
    sides = (0, 1) if single else (1, 2)
    fits = len(shape) == plain.ndim and all(
        isinstance(want, (int, np.integer)) and (0 <= want <= have if axis in sides else want == have)
        for axis, (want, have) in enumerate(zip(shape, plain.shape, strict=False))
    )
    if not fits:
        raise FrameError(f"shape {shape} is not that of images within {plain.shape}: give the plain images' own.")
    return plain[tuple(slice(0, side) for side in shape)]

"""The schemes that only move pixels: `pixel-shuffle`, `rows-columns`, `tile-shuffle` and `block-shuffle`.

All channels of a pixel move together, values stay as they are, and sizes need not divide anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import NonceError, SchemeError
from scrambler.key import Key, require_key
from scrambler.keyed import keyed_permutation
from scrambler.legacy import LegacyKey
from scrambler.multiplexer import BAYER, Multiplexer, check_period, check_unit
from scrambler.nonce import FixedNonceGuard, new_nonce
from scrambler.patterns import parse_pattern
from scrambler.permutation import Permutation
from scrambler.schemes.base import Card, Protected, check_plain_shape, check_protected, given_nonces, read_batch
from scrambler.schemes.registry import register_scheme

_COMMON_PARAMETERS = {
    "unit": '"pixel": what moves whole; "quad" and "plane" keep a mosaic legal',
    "period": "(2, 2): period of the colour filter, for those two units",
    "fixed_nonce": "False: let the images of a batch share a nonce, for studies",
    "allow_many": "False: let more than 16 of them share it",
}
_VALUES_STAY = (
    "values stay: class 46 % on CIFAR-10, link to the source image 100 %; "
    "one nonce for many images: layout exact from 1,000 images on"
)


@dataclass(frozen=True, kw_only=True)
class _Shuffle:
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
        return Multiplexer(require_key(self.key, f"scheme {self.card.name!r}"), self.pattern, self.unit)

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
        if nonce is None and self.fixed_nonce:
            nonce = new_nonce()
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


@dataclass(frozen=True, kw_only=True)
class PixelShuffle(_Shuffle):
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
        parameters=_COMMON_PARAMETERS,
        key_bits="log2(N!): 8769 for 32 x 32",
        effective_key_bits="256; 32 with the published seeds (Key.legacy)",
        invertible=True,
        keyed=True,
        nonce="per image; the paper has one key for everything (fixed_nonce=True)",
        strength="shuffle",
        accuracy="CIFAR-10: 94.1 % with the key, 11.8 % without or with a wrong one (VGG16-BN)",
        attacks=_VALUES_STAY,
        network="exact conversion",
    )

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the shuffled images; as for every scheme, and without nonces for a `Key.legacy`."""
        if not isinstance(self.key, LegacyKey):
            return super().protect(images, nonce)
        batch, single = read_batch(images)
        FixedNonceGuard(self.fixed_nonce, self.allow_many).admit([b"legacy"] * len(batch))
        values = self._legacy(batch, nonce).shuffle(batch, channels_last=batch.ndim == 4)
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
        plain: NDArray[Any] = self._legacy(batch, nonce).unshuffle(batch, channels_last=batch.ndim == 4)
        return plain[0] if single else plain

    def _legacy(self, batch: NDArray[Any], nonce: object) -> Permutation:
        if nonce is not None:
            raise NonceError("a legacy key takes no nonce: leave nonce out.")
        if self.unit != "pixel":
            raise SchemeError(f"a legacy key moves single pixels: leave unit at 'pixel', got {self.unit!r}.")
        return keyed_permutation(self.key, (batch.shape[1], batch.shape[2]))


@dataclass(frozen=True, kw_only=True)
class RowsColumns(_Shuffle):
    """Move rows, columns, or both: what column-parallel sensors can do for free.

    Parameters
    ----------
    order : {"rows+columns", "rows", "columns"}
        What moves; columns are ordered anew in every row.
    """

    order: str = "rows+columns"

    card: ClassVar[Card] = Card(
        name="rows-columns",
        paper="none: what the readout of a column-parallel sensor can do (docs: readout patterns)",
        summary="rows in a drawn order, columns in an order drawn anew for every row",
        parameters={"order": '"rows+columns": or "rows", or "columns"', **_COMMON_PARAMETERS},
        key_bits="log2(H!) + H log2(W!)",
        effective_key_bits="256, and no key is needed to rebuild rows",
        invertible=True,
        keyed=True,
        nonce="per image",
        strength="broken",
        accuracy="none published",
        attacks="one frame of 256 x 256: SSIM 0.90 for rows alone, 0.36 for columns; " + _VALUES_STAY,
        network="exact conversion",
    )

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        if self.order not in ("rows+columns", "rows", "columns"):
            raise SchemeError(f"order must be 'rows+columns', 'rows' or 'columns', got {self.order!r}.")
        return self.order


@dataclass(frozen=True, kw_only=True)
class TileShuffle(_Shuffle):
    """Shuffle inside tiles that stay in place.

    Parameters
    ----------
    tile : int
        Side of a tile in units; incomplete tiles at the edges are shuffled inside themselves.
    """

    tile: int = 8

    card: ClassVar[Card] = Card(
        name="tile-shuffle",
        paper="none: what a sensor with a few line buffers can do (docs: readout patterns)",
        summary="pixels move inside tiles that stay in place",
        parameters={"tile": "8: side of a tile", **_COMMON_PARAMETERS},
        key_bits="tiles * log2((T*T)!): 4736 for 32 x 32 in tiles of 8",
        effective_key_bits="256, and no key is needed for a thumbnail",
        invertible=True,
        keyed=True,
        nonce="per image",
        strength="weak",
        accuracy="none published",
        attacks="one frame of 256 x 256: SSIM 0.87, 0.67, 0.50, 0.41, 0.36 for T = 2, 4, 8, 16, 32; " + _VALUES_STAY,
        network="exact conversion",
    )

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        return f"tiles:{self.tile}"


@dataclass(frozen=True, kw_only=True)
class BlockShuffle(_Shuffle):
    """Move blocks, their insides kept.

    Parameters
    ----------
    block : int
        Side of a block in units; incomplete blocks at the edges move among their own kind.
    """

    block: int = 4

    card: ClassVar[Card] = Card(
        name="block-shuffle",
        paper="the permutation step of Sharma, Chen, Alam, arXiv 1902.01878, and of Kiya's group's block-wise methods",
        summary="blocks move anywhere, their insides stay as they are",
        parameters={"block": "4: side of a block", **_COMMON_PARAMETERS},
        key_bits="log2(blocks!): 296 for 32 x 32 in blocks of 4",
        effective_key_bits="no key is needed: a jigsaw",
        invertible=True,
        keyed=True,
        nonce="per image; the papers have one key for a data set (fixed_nonce=True)",
        strength="broken",
        accuracy="none published for the step alone",
        attacks="jigsaw solvers; " + _VALUES_STAY,
        network="exact conversion",
    )

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        return f"blocks:{self.block}"


for _family in (PixelShuffle, RowsColumns, TileShuffle, BlockShuffle):
    register_scheme(_family.card.name, _family)

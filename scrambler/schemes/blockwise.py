"""AprilPyone and Kiya's block-wise transforms: `shf`, `bit-flip` and `ffx`.

A block of M x M pixels is a vector of M*M*C values (rows, columns, channels), and one secret acts on the vector of
every block alike; blocks stay where they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.schemes.affine_map import AffineMap
from scrambler.schemes.base import Card
from scrambler.schemes.blocks import block_members
from scrambler.schemes.draws import Draws
from scrambler.schemes.family import BITS_PARAMETER, DATA_SET_PARAMETERS, PerDataSet
from scrambler.schemes.ffx import code_table, look_back, look_up
from scrambler.schemes.parameters import check_choice, check_whole, top_code
from scrambler.schemes.registry import register_scheme
from scrambler.schemes.signed_gather import SignedGather

_PAPER = "AprilPyone, Kiya, IEEE TIFS 16, 2021"
_BLOCK = {"block": "4: side M of a block; published 2, 4, 8, 16"}
_ATTACKS = "one known pair gives the secret, which all blocks share; "


@dataclass(frozen=True, kw_only=True)
class _BlockWise(PerDataSet):
    """What the three have in common.

    Parameters
    ----------
    block : int
        Side M of a block.
    """

    block: int = 4

    def __post_init__(self) -> None:
        check_whole("block", self.block, 1, 4096)

    @property
    def block_px(self) -> int:
        """Side of the square that must divide the image."""
        return self.block

    def _flags(self, shape: tuple[int, ...], draws: Draws) -> NDArray[Any]:
        """Return exactly half of each block's positions as 1, at their places in a flat image, uint8."""
        members = block_members(shape, self.block)
        flags = np.empty(members.size, np.uint8)
        flags[members] = draws.half("positions", members.shape[1])
        return flags


@dataclass(frozen=True, kw_only=True)
class Shf(_BlockWise):
    """Shuffle the values inside every block, channels included, all blocks alike.

    Examples
    --------
    >>> from scrambler import Key
    >>> image, shf = np.arange(35, dtype=np.uint8).reshape(5, 7), Shf(key=Key.generate())
    >>> protected = shf.protect(image)
    >>> np.asarray(protected).shape, bool((shf.reveal(protected) == image).all())
    ((8, 8), True)
    """

    published: ClassVar[Card] = Card(
        name="shf",
        paper=_PAPER,
        summary="the values of every block change places, in the same way in all blocks",
        parameters={**_BLOCK, **DATA_SET_PARAMETERS},
        key_bits="log2((M M C)!): 203 for M = 4 and RGB",
        effective_key_bits="that, and no key is needed for a thumbnail",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="CIFAR-10, M = 2 / 4 / 8 / 16: 94.45 / 91.84 / 85.12 / 76.22 % (plain 95.45; ResNet18)",
        attacks=_ATTACKS + "tiles in place, one frame of 256 x 256: SSIM 0.87 / 0.67 / 0.50 / 0.41 for 2 / 4 / 8 / 16",
        network="exact conversion: the gather of the first layer finds the values; the paper retrains",
    )

    def _table(self, shape: tuple[int, ...], draws: Draws) -> SignedGather:
        members = block_members(shape, self.block)
        source = np.empty(members.size, np.uint32)
        source[members] = members[:, draws.permutation("order", members.shape[1])]
        return SignedGather(source=source, negative=np.zeros(source.size, np.uint8))

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the images with shuffled blocks."""
        return self._table(images.shape[1:], draws).apply(images, 0)

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        return self._table(values.shape[1:], draws).undo(values.astype(dtype, copy=False), 0)

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return the shuffle as a map that changes no value."""
        signs = AffineMap.of_signs(shape, self._table(shape, draws), 0)
        return replace(signs, white=float(np.iinfo(dtype).max))


@dataclass(frozen=True, kw_only=True)
class BitFlip(_BlockWise):
    """Negate exactly half of the positions of every block (the smaller half of an odd number), all blocks alike.

    Parameters
    ----------
    bits : int, optional
        Bits of a code; the container's when left out.
    """

    bits: int | None = None

    published: ClassVar[Card] = Card(
        name="bit-flip",
        paper=_PAPER,
        summary="half of the positions of every block become negatives, the same in all blocks",
        parameters={**_BLOCK, **BITS_PARAMETER, **DATA_SET_PARAMETERS},
        key_bits="log2(C(d, d/2)), d = M M C: 44.9 for M = 4, 9.85 for M = 2, RGB",
        effective_key_bits="that: M = 2 is searched at once",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="CIFAR-10, M = 2 / 4 / 8 / 16: 95.32 / 93.41 / 91.54 / 92.68 % (plain 95.45; ResNet18)",
        attacks=_ATTACKS + "search for the key by accuracy, M = 4: attack success 77.76 % (published)",
        network="exact conversion: signs and a bias map in the first layer; the paper retrains",
    )

    def _table(self, shape: tuple[int, ...], draws: Draws) -> SignedGather:
        flags = self._flags(shape, draws)
        return SignedGather(source=np.arange(flags.size, dtype=np.uint32), negative=flags)

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the images with half of the values negated."""
        return self._table(images.shape[1:], draws).apply(images, top_code(images, self.bits))

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        return self.forward(values.astype(dtype, copy=False), draws, nonces)

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return slopes of 1 and -1, and shifts of 0 and the largest code."""
        return AffineMap.of_signs(shape, self._table(shape, draws), top_code(np.empty(0, dtype), self.bits))


@dataclass(frozen=True, kw_only=True)
class Ffx(_BlockWise):
    """Encrypt the codes at half of the positions of every block by format-preserving Feistel encryption, FFX.

    Codes of L bits become decimal numbers of as many digits as 2**L - 1 has: 0 .. 999 for 8 bits.

    Parameters
    ----------
    bits : int, optional
        Bits of a code; the container's when left out.
    normalise : {"none", "max"}
        Keep whole numbers (uint16, or int32 above 16 bits); or divide everything by the largest encrypted code, as
        published (float32, still revealed bit for bit).
    """

    bits: int | None = None
    normalise: str = "none"

    published: ClassVar[Card] = Card(
        name="ffx",
        paper=_PAPER + "; FFX: Bellare, Rogaway, Spies, 2010",
        summary="the codes at half of the positions of every block are encrypted, the same in all blocks",
        parameters={
            **_BLOCK,
            **BITS_PARAMETER,
            "normalise": '"none": whole numbers; "max" divides by the largest encrypted code, as published',
            **DATA_SET_PARAMETERS,
        },
        key_bits="log2(C(d, d/2)), d = M M C: 44.9 for M = 4 and RGB; and a password",
        effective_key_bits="256, but the code table is one of 8 bits: a codebook from known pairs",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="CIFAR-10, M = 2 / 4 / 8 / 16: 93.67 / 92.30 / 91.99 / 91.38 % (plain 95.45; ResNet18)",
        attacks=_ATTACKS + "256 known values give the code table; half of the values stay as they are",
        network="retraining: the code table is not affine",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("normalise", self.normalise, ("none", "max"))

    def plain_type(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of plain images for bare values: more than 8 bits only where `bits` or int32 say so."""
        return np.dtype(np.uint16 if (self.bits or 0) > 8 or dtype == np.int32 else np.uint8)

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the images with half of the codes encrypted."""
        table = code_table(draws.octets("password", 32).tobytes(), top_code(images, self.bits))
        values = look_up(images, self._flags(images.shape[1:], draws), table)
        return values if self.normalise == "none" else (values / table.max()).astype(np.float32)

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        bits = self.bits or 8 * dtype.itemsize
        table = code_table(draws.octets("password", 32).tobytes(), (1 << bits) - 1)
        if self.normalise == "max":
            # Rounded: cutting decodes 5 of 256 encrypted and 9 of 256 plain codes wrongly.
            values = np.rint(values * float(table.max()))
        return look_back(values, self._flags(values.shape[1:], draws), table, dtype)


for _family in (Shf, BitFlip, Ffx):
    register_scheme(_family.published.name, _family)

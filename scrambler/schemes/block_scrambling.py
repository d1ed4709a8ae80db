"""Block scrambling: `etc` (encryption-then-compression) and `sit`.

Blocks change places, are turned and mirrored, become negatives, and their colours change places. All steps are
composed on tables first, so that the images are read and written once.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.schemes.affine_map import AffineMap
from scrambler.schemes.base import Card
from scrambler.schemes.blocks import from_blocks, to_blocks
from scrambler.schemes.draws import Draws
from scrambler.schemes.family import BITS_PARAMETER, DATA_SET_PARAMETERS, PerDataSet
from scrambler.schemes.negative_positive import COLOUR_ORDERS
from scrambler.schemes.parameters import check_whole, top_code
from scrambler.schemes.registry import register_scheme
from scrambler.schemes.signed_gather import SignedGather

_MIRRORS: tuple[Callable[[NDArray[Any]], NDArray[Any]], ...] = (
    lambda blocks: blocks,
    lambda blocks: blocks[:, :, ::-1],  # left and right
    lambda blocks: blocks[:, ::-1],  # top and bottom
)


def turn(blocks: NDArray[Any], turns: NDArray[Any]) -> NDArray[Any]:
    """Return blocks (blocks, M, M, C), each turned by 0 to 3 quarters, counter-clockwise.

    >>> turn(np.arange(4).reshape(1, 2, 2, 1), np.array([1]))[0, :, :, 0].tolist()
    [[1, 3], [0, 2]]
    """
    out = blocks.copy()
    for quarters in (1, 2, 3):
        those = turns == quarters
        out[those] = np.rot90(blocks[those], quarters, axes=(1, 2))
    return out


def mirror(blocks: NDArray[Any], mirrors: NDArray[Any]) -> NDArray[Any]:
    """Return blocks (blocks, M, M, C): 0 as they are, 1 mirrored left to right, 2 mirrored top to bottom.

    >>> mirror(np.arange(4).reshape(1, 2, 2, 1), np.array([2]))[0, :, :, 0].tolist()
    [[2, 3], [0, 1]]
    """
    out = blocks.copy()
    for code in (1, 2):
        those = mirrors == code
        out[those] = _MIRRORS[code](blocks[those])
    return out


def reorder_colours(blocks: NDArray[Any], orders: NDArray[Any]) -> NDArray[Any]:
    """Return blocks (blocks, M, M, C) with the colours of each in one of the six orders of `COLOUR_ORDERS`.

    Grey blocks have no colours to reorder, and a fourth channel keeps its place.
    """
    channels = blocks.shape[3]
    if channels == 1:
        return blocks
    return np.take_along_axis(blocks, COLOUR_ORDERS[orders][:, None, None, :channels], axis=3)


@dataclass(frozen=True, kw_only=True)
class _BlockScrambling(PerDataSet):
    """What the two have in common.

    Parameters
    ----------
    block : int
        Side M of a block.
    bits : int, optional
        Bits of a code; the container's when left out.
    """

    block: int = 4
    bits: int | None = None

    def __post_init__(self) -> None:
        check_whole("block", self.block, 1, 4096)

    @property
    def block_px(self) -> int:
        """Side of the square that must divide the image."""
        return self.block

    @abstractmethod
    def _steps(self, places: NDArray[Any], draws: Draws) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return, for blocks that hold their own places, what each place is read from, and where it is negated."""

    def _table(self, shape: tuple[int, ...], draws: Draws) -> SignedGather:
        height, width, channels = shape
        places = np.arange(height * width * channels, dtype=np.uint32).reshape(1, *shape)
        source, negative = self._steps(to_blocks(places, self.block)[0], draws)
        return SignedGather(
            source=from_blocks(source[None], height, width).reshape(-1),
            negative=from_blocks(negative[None], height, width).reshape(-1),
        )

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the scrambled images."""
        return self._table(images.shape[1:], draws).apply(images, top_code(images, self.bits))

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        codes = values.astype(dtype, copy=False)
        return self._table(values.shape[1:], draws).undo(codes, top_code(codes, self.bits))

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return the scramble as a gather with signs."""
        return AffineMap.of_signs(shape, self._table(shape, draws), top_code(np.empty(0, dtype), self.bits))


_PARAMETERS = {"block": "4: side M of a block; published 4 to 16", **BITS_PARAMETER, **DATA_SET_PARAMETERS}


@dataclass(frozen=True, kw_only=True)
class Etc(_BlockScrambling):
    """Permute blocks, give each one of its eight orientations, a negative or not, and an order of its colours.

    Grey images have no colours to reorder.

    Parameters
    ----------
    exactly_half : bool
        Negate exactly half of the blocks, as released for classification, instead of each with probability one half.
    """

    exactly_half: bool = False

    published: ClassVar[Card] = Card(
        name="etc",
        paper="Kurihara, Chuman, Kiya and others, 2015 to 2018; for networks: Madono and others, arXiv 2001.07761",
        summary="blocks move, are turned, mirrored and negated, and their colours change places",
        parameters={**_PARAMETERS, "exactly_half": "False: negate exactly half of the blocks, as in the released code"},
        key_bits="log2(n!) + n (4 + log2(6)), n blocks: 717 for 32 x 32 RGB",
        effective_key_bits="256, and no key is needed: a jigsaw",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published for networks",
        strength="broken",
        accuracy="CIFAR-10 89.09 % (as in PrivDL's table; the released code lost colours), 69.03 % (arXiv 1905.01827)",
        attacks="jigsaw solvers restore most blocks (arXiv 2211.02369); blocks moved only, 256 x 256: SSIM 0.95 / 0.52 "
        "/ 0.10 from one image for blocks of 32 / 16 / 8, 1.0 from four images under one key; GANs (arXiv 2407.06570)",
        network="exact conversion: one flat gather with signs; published: adaptation network, or retraining",
    )

    def _steps(self, places: NDArray[Any], draws: Draws) -> tuple[NDArray[Any], NDArray[Any]]:
        count = len(places)
        # Four turns, mirrored or not: each of the eight orientations once, where turns and two mirrors would give
        # some of them twice.
        orientation = draws.below("orientation", 8, count)
        moved = turn(places[draws.permutation("blocks", count)], orientation % 4)
        moved = mirror(moved, orientation // 4)
        negated = draws.half("negative", count) if self.exactly_half else draws.flags("negative", count)
        moved = reorder_colours(moved, draws.below("colour", 6, count))
        return moved, np.broadcast_to(negated[:, None, None, None], moved.shape)


@dataclass(frozen=True, kw_only=True)
class Sit(_BlockScrambling):
    """Turn blocks, negate single values, mirror, reorder each block's colours, and then move the blocks.

    Turns are uniform over four and mirrors over three, as published, so the eight orientations are not.
    """

    published: ClassVar[Card] = Card(
        name="sit",
        paper="Ma, Yao and others, IEEE GLOBECOM 2022",
        summary="blocks are turned, values negated, blocks mirrored, their colours reordered, and blocks moved",
        parameters=_PARAMETERS,
        key_bits="log2(n!) + n (2 + log2(18)) + N C, n blocks: 3763 for 32 x 32 RGB",
        effective_key_bits="256",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="CIFAR-10 80.36 %, MNIST 97.63 % (federated, ResNet-18)",
        attacks="a fixed permutation with fixed negatives falls to 5,000 ciphertexts (layout SSIM 1.0); gradients: "
        "PSNR 34.17 to 16.52 dB (published)",
        network="exact conversion: one flat gather with signs; published: an autoencoder, and retraining",
    )

    def _steps(self, places: NDArray[Any], draws: Draws) -> tuple[NDArray[Any], NDArray[Any]]:
        count = len(places)
        negative = draws.flags("negative", places.size).reshape(places.shape)
        mirrors, orders = draws.below("mirror", 3, count), draws.below("colour", 6, count)
        source = draws.permutation("blocks", count)

        def after_negatives(blocks: NDArray[Any]) -> NDArray[Any]:
            moved: NDArray[Any] = reorder_colours(mirror(blocks, mirrors), orders)[source]
            return moved

        turned = turn(places, draws.below("turn", 4, count))
        return after_negatives(turned), after_negatives(negative)


for _family in (Etc, Sit):
    register_scheme(_family.published.name, _family)

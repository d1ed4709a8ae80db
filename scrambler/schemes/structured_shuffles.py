"""`rows-columns`, `tile-shuffle` and `block-shuffle`: what cheap readout circuits can do, and what it leaks."""

from dataclasses import dataclass
from typing import ClassVar

from scrambler.errors import SchemeError
from scrambler.schemes.base import Card
from scrambler.schemes.parameters import check_whole
from scrambler.schemes.registry import register_scheme
from scrambler.schemes.shuffles import SHUFFLE_PARAMETERS, VALUES_STAY, ShuffleScheme


@dataclass(frozen=True, kw_only=True)
class RowsColumns(ShuffleScheme):
    """Move rows, columns, or both: what column-parallel sensors can do for free.

    Parameters
    ----------
    order : {"rows+columns", "rows", "columns"}
        What moves; columns are ordered anew in every row.
    """

    order: str = "rows+columns"

    card: ClassVar[Card] = Card(
        name="rows-columns",
        paper="none: what the readout of a column-parallel sensor can do",
        summary="rows in a drawn order, columns in an order drawn anew for every row",
        parameters={"order": '"rows+columns": or "rows", or "columns"', **SHUFFLE_PARAMETERS},
        key_bits="log2(H!) + H log2(W!)",
        effective_key_bits="256, and no key is needed to rebuild rows",
        invertible=True,
        keyed=True,
        nonce="per image",
        strength="broken",
        accuracy="none published",
        attacks="one frame of 256 x 256: SSIM 0.90 for rows alone, 0.36 for columns; " + VALUES_STAY,
        network="exact conversion",
    )

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        if self.order not in ("rows+columns", "rows", "columns"):
            raise SchemeError(f"order must be 'rows+columns', 'rows' or 'columns', got {self.order!r}.")
        return self.order


@dataclass(frozen=True, kw_only=True)
class TileShuffle(ShuffleScheme):
    """Shuffle inside tiles that stay in place.

    Parameters
    ----------
    tile : int
        Side of a tile in units; incomplete tiles at the edges are shuffled inside themselves.
    """

    tile: int = 8

    card: ClassVar[Card] = Card(
        name="tile-shuffle",
        paper="none: what a sensor with a few line buffers can do",
        summary="pixels move inside tiles that stay in place",
        parameters={"tile": "8: side of a tile", **SHUFFLE_PARAMETERS},
        key_bits="tiles * log2((T*T)!): 4736 for 32 x 32 in tiles of 8",
        effective_key_bits="256, and no key is needed for a thumbnail",
        invertible=True,
        keyed=True,
        nonce="per image",
        strength="weak",
        accuracy="none published",
        attacks="one frame of 256 x 256: SSIM 0.87, 0.67, 0.50, 0.41, 0.36 for T = 2, 4, 8, 16, 32; " + VALUES_STAY,
        network="exact conversion",
    )

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        check_whole("tile", self.tile, 2, 65535)
        return f"tiles:{self.tile}"


@dataclass(frozen=True, kw_only=True)
class BlockShuffle(ShuffleScheme):
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
        parameters={"block": "4: side of a block", **SHUFFLE_PARAMETERS},
        key_bits="log2(blocks!): 296 for 32 x 32 in blocks of 4",
        effective_key_bits="no key is needed: a jigsaw",
        invertible=True,
        keyed=True,
        nonce="per image; the papers have one key for a data set (fixed_nonce=True)",
        strength="broken",
        accuracy="none published for the step alone",
        attacks="jigsaw, one image of 256 x 256: SSIM 0.95 / 0.52 / 0.10 for blocks of 32 / 16 / 8, 1.0 from 4 images; "
        + VALUES_STAY,
        network="exact conversion",
    )

    @property
    def pattern(self) -> str:
        """The multiplexer's pattern."""
        check_whole("block", self.block, 2, 65535)
        return f"blocks:{self.block}"


for _family in (RowsColumns, TileShuffle, BlockShuffle):
    register_scheme(_family.card.name, _family)

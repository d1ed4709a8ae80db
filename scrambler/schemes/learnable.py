"""Learnable encryption: `le` (Tanaka) and `ele` (Madono and others).

The codes of a block are cut into low and high halves, 4 bits each for 8-bit images; the halves are negated and
shuffled across the whole block and put together again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.schemes.base import Card
from scrambler.schemes.blocks import block_members
from scrambler.schemes.draws import Draws, Secret
from scrambler.schemes.family import DATA_SET_PARAMETERS, PerDataSet
from scrambler.schemes.parameters import check_choice, check_whole
from scrambler.schemes.registry import register_scheme

_PARALLEL_FROM = 100_000


@njit(cache=True, nogil=True)
def _half(row: NDArray[Any], places: NDArray[Any], k: int, bits: int) -> Any:
    """Return half k of a block: low halves first, then high ones."""
    d = places.size
    if k < d:
        return np.int64(row[places[k]]) & ((1 << bits) - 1)
    return np.int64(row[places[k - d]]) >> bits


@njit(cache=True, nogil=True)
def _block(
    row: NDArray[Any], whence: NDArray[Any], to: NDArray[Any], order: NDArray[Any], flips: NDArray[Any],
    bits: int, out: NDArray[Any],
) -> None:  # fmt: skip
    """Write one block whose half k is half ``order[k]`` of the source block, negated where ``flips[k]``."""
    d, top = to.size, (1 << bits) - 1
    for j in range(d):
        low = _half(row, whence, order[j], bits) ^ (flips[j] * top)
        high = _half(row, whence, order[j + d], bits) ^ (flips[j + d] * top)
        out[to[j]] = (high << bits) | low


@njit(cache=True, nogil=True)
def _serial(
    rows: NDArray[Any], members: NDArray[Any], source: NDArray[Any], tables: tuple[NDArray[Any], NDArray[Any]],
    keys: NDArray[Any], bits: int, out: NDArray[Any],
) -> None:  # fmt: skip
    for b in range(rows.shape[0]):
        for i in range(source.size):
            _block(rows[b], members[source[i]], members[i], tables[0][keys[i]], tables[1][keys[i]], bits, out[b])


@njit(cache=True, nogil=True, parallel=True)
def _parallel(
    rows: NDArray[Any], members: NDArray[Any], source: NDArray[Any], tables: tuple[NDArray[Any], NDArray[Any]],
    keys: NDArray[Any], bits: int, out: NDArray[Any],
) -> None:  # fmt: skip
    for task in prange(rows.shape[0] * source.size):
        b, i = task // source.size, task % source.size
        _block(rows[b], members[source[i]], members[i], tables[0][keys[i]], tables[1][keys[i]], bits, out[b])


@dataclass(frozen=True, kw_only=True, repr=False)
class HalfShuffle(Secret):
    """The secrets of `le` and `ele`: half k of block i is half ``order[k]`` of block ``source[i]``.

    Parameters
    ----------
    order : array of integers, shape (keys, 2 d)
        A permutation of the 2 d halves of a block of d values, low halves first, for each key.
    reverse : array of 0 and 1, shape (keys, 2 d)
        Positions where halves are negated before and after they move.
    source : array of integers, shape (blocks,)
        Which block moves to place i, after it was encrypted in its own.
    keys : array of integers, shape (blocks,)
        Which key belongs to the block at each place, before blocks move.

    Examples
    --------
    A block of two values, by hand.

    >>> secrets = HalfShuffle(order=np.array([[2, 0, 3, 1]]), reverse=np.array([[0, 0, 1, 0]]),
    ...     source=np.array([0]), keys=np.array([0]))
    >>> block = secrets.apply(np.array([[0x12, 0x34]], np.uint8), np.array([[0, 1]]))
    >>> [hex(code) for code in block[0]], secrets.undo(block, np.array([[0, 1]])).tolist() == [[0x12, 0x34]]
    (['0xce', '0x42'], True)
    """

    order: NDArray[Any]
    reverse: NDArray[Any]
    source: NDArray[Any]
    keys: NDArray[Any]

    def apply(self, images: NDArray[Any], members: NDArray[Any]) -> NDArray[Any]:
        """Return encrypted images, shape (B, ...); `members` says where each block lies. Inverse of :meth:`undo`."""
        flips = self.reverse ^ np.take_along_axis(self.reverse, self.order, axis=1)
        return _run(images, members, self.source, (self.order, flips), self.keys[self.source])

    def undo(self, images: NDArray[Any], members: NDArray[Any]) -> NDArray[Any]:
        """Return the plain images; inverse of :meth:`apply`."""
        order = np.argsort(self.order, axis=1)
        flips = self.reverse ^ np.take_along_axis(self.reverse, order, axis=1)
        return _run(images, members, np.argsort(self.source), (order, flips), self.keys)


def _run(
    images: NDArray[Any], members: NDArray[Any], source: NDArray[Any], tables: tuple[Any, Any], keys: NDArray[Any]
) -> NDArray[Any]:
    out = np.empty(images.shape, images.dtype)
    if images.size:
        rows, target = (np.ascontiguousarray(array).reshape(len(images), -1) for array in (images, out))
        order, flips = (np.ascontiguousarray(table, np.int64) for table in tables)
        run = _serial if images.size < _PARALLEL_FROM else _parallel
        run(rows, members, source.astype(np.int64), (order, flips), keys.astype(np.int64), 4 * images.itemsize, target)
    return out


_PARAMETERS = {
    "block": "4: side M of a block",
    "reversal": '"random": each half is negated with probability one half; "code": as the released code, 47 of 96',
    **DATA_SET_PARAMETERS,
}


@dataclass(frozen=True, kw_only=True)
class Le(PerDataSet):
    """Learnable encryption: one key for all blocks.

    Codes of 16 bits are cut into halves of 8.

    Parameters
    ----------
    block : int
        Side M of a block.
    reversal : {"random", "code"}
        Negate each half with probability one half; or where the order's entry is above d, as in the released code.
    """

    block: int = 4
    reversal: str = "random"

    published: ClassVar[Card] = Card(
        name="le",
        paper="Tanaka, IEEE ICCE-TW 2018",
        summary="half-bytes of every block are negated and shuffled, the same in all blocks",
        parameters=_PARAMETERS,
        key_bits="log2((2d)!) + 2d, d = M M C: 594 for M = 4 and RGB; as released 498",
        effective_key_bits="256, and no key is needed after chosen images",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="CIFAR-10 85.84 %, 56.41 % if augmented after encryption (plain 92.98; by arXiv 1905.01827)",
        attacks="16 chosen 4 x 4 images give the key exactly; GANs restore images (arXiv 2010.06198)",
        network="adaptation network, retraining: half-bytes are not affine",
    )

    def __post_init__(self) -> None:
        check_whole("block", self.block, 1, 256)
        check_choice("reversal", self.reversal, ("random", "code"))

    @property
    def block_px(self) -> int:
        """Side of the square that must divide the image."""
        return self.block

    def _secrets(self, members: NDArray[Any], draws: Draws) -> HalfShuffle:
        blocks = np.arange(len(members))
        order, reverse = self._keys(draws, 1, members.shape[1])
        return HalfShuffle(order=order, reverse=reverse, source=blocks, keys=np.zeros_like(blocks))

    def _keys(self, draws: Draws, count: int, d: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the orders and the reversed positions of some keys, int64, shape (count, 2 d) each."""
        order = draws.orders("order", count, 2 * d).astype(np.int64)
        if self.reversal == "code":
            return order, (order > d).astype(np.int64)
        return order, draws.flags("reverse", order.size).astype(np.int64).reshape(order.shape)

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the encrypted images."""
        members = block_members(images.shape[1:], self.block)
        return self._secrets(members, draws).apply(images, members)

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        members = block_members(values.shape[1:], self.block)
        return self._secrets(members, draws).undo(values.astype(dtype, copy=False), members)


@dataclass(frozen=True, kw_only=True)
class Ele(Le):
    """Extended learnable encryption: a key for each block position, and a secret order of the blocks.

    Blocks are encrypted in place, and then move.
    """

    published: ClassVar[Card] = Card(
        name="ele",
        paper="Madono, Tanaka, Onishi, Ogawa, AAAI Workshop 2020, arXiv 2001.07761",
        summary="as le with another key at every block position; then the blocks change places",
        parameters=_PARAMETERS,
        key_bits="n (log2((2d)!) + 2d) + log2(n!), n blocks: 38330 for 32 x 32 RGB",
        effective_key_bits="256, and no key is needed after chosen images",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy="CIFAR-10 83.06 % (as in PrivDL's table; 29.31 M parameters)",
        attacks="chosen images as for le, block by block; learned and GAN attacks restore images (arXiv 2010.06198)",
        network="adaptation network with a convolution for each block, retraining",
    )

    def _secrets(self, members: NDArray[Any], draws: Draws) -> HalfShuffle:
        blocks, d = members.shape
        order, reverse = self._keys(draws, blocks, d)
        source = draws.permutation("blocks", blocks)
        return HalfShuffle(order=order, reverse=reverse, source=source, keys=np.arange(blocks))


for _family in (Le, Ele):
    register_scheme(_family.published.name, _family)

"""Pixel-based encryption: `negative-positive`, and `negative-positive+color`, which also reorders each pixel's colours.

Every value is kept or replaced by its negative, and optionally the three values of every pixel change places.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.schemes.affine_map import AffineMap
from scrambler.schemes.base import Card
from scrambler.schemes.draws import Draws
from scrambler.schemes.family import BITS_PARAMETER, IMAGE_PARAMETERS, PerImage
from scrambler.schemes.parameters import top_code
from scrambler.schemes.registry import register_scheme

_PARALLEL_FROM = 100_000
# Order k takes red, green and blue from these channels (Sirichotedumrong, Kinoshita, Kiya 2019); a fourth one stays.
COLOUR_ORDERS = np.array([[0, 1, 2, 3], [0, 2, 1, 3], [1, 0, 2, 3], [1, 2, 0, 3], [2, 0, 1, 3], [2, 1, 0, 3]], np.int64)


@njit(cache=True, nogil=True)
def _negate(rows: NDArray[Any], octets: NDArray[Any], top: int, first: int, last: int, out: NDArray[Any]) -> None:
    """Negate value n of every row where bit n of the octets, most significant first, is set."""
    for n in range(first, last):
        flip = ((octets[n >> 3] >> (7 - (n & 7))) & 1) * top
        for b in range(rows.shape[0]):
            out[b, n] = rows[b, n] ^ flip


@njit(cache=True, nogil=True, parallel=True)
def _negate_parallel(rows: NDArray[Any], octets: NDArray[Any], top: int, out: NDArray[Any]) -> None:
    size = rows.shape[1]
    for piece in prange(64):
        _negate(rows, octets, top, size * piece // 64, size * (piece + 1) // 64, out)


@njit(cache=True, nogil=True)
def _negate_and_reorder(
    rows: NDArray[Any],
    octets: NDArray[Any],
    orders: NDArray[Any],
    top: int,
    span: tuple[int, int],
    out: NDArray[Any],
    inverse: bool,
) -> None:
    """Negate, then give pixel p's channel k the value of channel ``COLOUR_ORDERS[orders[p], k]``; or undo both."""
    channels = rows.shape[2]
    for p in range(span[0], span[1]):
        for k in range(channels):
            c = COLOUR_ORDERS[orders[p], k]
            n = channels * p + c
            flip = ((octets[n >> 3] >> (7 - (n & 7))) & 1) * top
            whence, to = (k, c) if inverse else (c, k)
            for b in range(rows.shape[0]):
                out[b, p, to] = rows[b, p, whence] ^ flip


@njit(cache=True, nogil=True, parallel=True)
def _negate_and_reorder_parallel(
    rows: NDArray[Any], octets: NDArray[Any], orders: NDArray[Any], top: int, out: NDArray[Any], inverse: bool
) -> None:
    size = rows.shape[1]
    for piece in prange(64):
        span = (size * piece // 64, size * (piece + 1) // 64)
        _negate_and_reorder(rows, octets, orders, top, span, out, inverse)


def negate(images: NDArray[Any], octets: NDArray[Any], top: int) -> NDArray[Any]:
    r"""Return :math:`x \oplus top` where a bit is set and x elsewhere; its own inverse.

    Parameters
    ----------
    images : array of uint8 or uint16, shape (B, ...)
        Codes 0 .. top.
    octets : array of uint8, at least one bit for each value of an image
        Bit n, most significant first, decides about value n.
    top : int
        2**L - 1 for codes of L bits.

    Examples
    --------
    >>> negate(np.array([[10, 200, 30]], np.uint8), np.array([0b10100000], np.uint8), 255).tolist()
    [[245, 200, 225]]
    """
    out = np.empty(images.shape, images.dtype)
    if images.size:
        rows, target = (np.ascontiguousarray(array).reshape(len(images), -1) for array in (images, out))
        if images.size < _PARALLEL_FROM:
            _negate(rows, octets, top, 0, rows.shape[1], target)
        else:
            _negate_parallel(rows, octets, top, target)
    return out


def negate_and_reorder(
    images: NDArray[Any], octets: NDArray[Any], orders: NDArray[Any], top: int, *, inverse: bool = False
) -> NDArray[Any]:
    """Negate values and then reorder each pixel's channels, in one pass; or undo both.

    Parameters
    ----------
    images : array of uint8 or uint16, shape (B, ..., C)
        Codes 0 .. top; C is 3, or 4 with a fourth channel that stays in place.
    octets : array of uint8
        As for :func:`negate`, before the channels change places.
    orders : array of integers 0 .. 5, one for each pixel
        0 (R, G, B), 1 (R, B, G), 2 (G, R, B), 3 (G, B, R), 4 (B, R, G), 5 (B, G, R).
    top : int
        2**L - 1 for codes of L bits.
    inverse : bool
        Undo instead.

    Examples
    --------
    >>> bits, order = np.array([0b10100000], np.uint8), np.array([3])
    >>> negate_and_reorder(np.array([[[10, 200, 30]]], np.uint8), bits, order, 255).tolist()
    [[[200, 225, 245]]]
    """
    out = np.empty(images.shape, images.dtype)
    if images.size:
        rows, target = (
            np.ascontiguousarray(array).reshape(len(images), -1, images.shape[-1]) for array in (images, out)
        )
        if images.size < _PARALLEL_FROM:
            _negate_and_reorder(rows, octets, orders, top, (0, rows.shape[1]), target, inverse)
        else:
            _negate_and_reorder_parallel(rows, octets, orders, top, target, inverse)
    return out


def _octets(draws: Draws, images: NDArray[Any]) -> NDArray[Any]:
    return draws.octets("negative", -(-int(np.prod(images.shape[1:])) // 8))


def _orders(draws: Draws, shape: tuple[int, ...]) -> NDArray[Any]:
    return draws.below("colour", 6, shape[0] * shape[1])


_PAPER = "Sirichotedumrong, Maekawa, Kinoshita, Kiya, ICIP 2019, arXiv 1905.01827; a key per image: IEEE Access 2019"
_NONCE = "per image; the first paper has one key for everything (fixed_nonce=True)"
_NETWORK = "exact conversion: signs and a bias map in the first layer; published: an adaptation network, or retraining"
_ATTACKS = (
    "one image: forcing the top bit to 0 gives that picture exactly, SSIM 1.0; one chosen image gives a shared key; "
    "GANs (arXiv 2010.06198); learned inversion of fresh keys: "
)


@dataclass(frozen=True, kw_only=True)
class NegativePositive(PerImage):
    """Negate each value with probability one half.

    Parameters
    ----------
    bits : int, optional
        Bits of a code; the container's when left out.

    Examples
    --------
    >>> from scrambler import Key
    >>> image, scheme = np.arange(12, dtype=np.uint8).reshape(3, 4), NegativePositive(key=Key.generate())
    >>> bool((scheme.reveal(scheme.protect(image)) == image).all())
    True
    """

    bits: int | None = None

    published: ClassVar[Card] = Card(
        name="negative-positive",
        paper=_PAPER,
        summary="every value becomes its negative with probability one half",
        parameters={**BITS_PARAMETER, **IMAGE_PARAMETERS},
        key_bits="N C: 3072 for 32 x 32 RGB",
        effective_key_bits="256, and no key is needed to see the edges",
        invertible=True,
        keyed=True,
        nonce=_NONCE,
        strength="broken",
        accuracy="CIFAR-10 86.99 % with the adaptation network, 85.15 % without (plain 92.98; ResNet-18)",
        attacks=_ATTACKS + "SSIM 0.40, class 28 % on CIFAR-10",
        network=_NETWORK,
    )

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the images with some values negated."""
        return negate(images, _octets(draws, images), top_code(images, self.bits))

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        return self.forward(values.astype(dtype, copy=False), draws, nonces)

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return slopes of 1 and -1, and shifts of 0 and the largest code."""
        empty = np.empty((0, *shape), dtype)
        top, count = top_code(empty, self.bits), int(np.prod(shape))
        negative = np.unpackbits(_octets(draws, empty), count=count).astype(np.float64)
        return AffineMap(shape=shape, source=None, slope=1 - 2 * negative, shift=top * negative, white=top)


@dataclass(frozen=True, kw_only=True)
class NegativePositiveColor(NegativePositive):
    """Negate each value with probability one half, then put each pixel's three values in one of their six orders.

    Grey images have no colours to reorder, and a fourth channel keeps its place.
    """

    published: ClassVar[Card] = Card(
        name="negative-positive+color",
        paper=_PAPER,
        summary="values become negatives with probability one half, and every pixel's colours change places",
        parameters={**BITS_PARAMETER, **IMAGE_PARAMETERS},
        key_bits="N (3 + log2(6)): 5719 for 32 x 32",
        effective_key_bits="256, and no key is needed to see the edges",
        invertible=True,
        keyed=True,
        nonce=_NONCE,
        strength="broken",
        accuracy="CIFAR-10 86.16 % with the adaptation network, 82.51 % without (plain 92.98; ResNet-18)",
        attacks=_ATTACKS + "SSIM 0.27, class 26 % on CIFAR-10",
        network=_NETWORK,
    )

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the images with some values negated and all pixels' channels reordered."""
        return self._run(images, draws, inverse=False)

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        return self._run(values.astype(dtype, copy=False), draws, inverse=True)

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return those slopes and shifts, moved with the colours."""
        signs = super().affine_parts(shape, draws, dtype)
        if shape[2] == 1:
            return signs
        orders = COLOUR_ORDERS[_orders(draws, shape), : shape[2]]
        source = (shape[2] * np.arange(len(orders))[:, None] + orders).reshape(-1)
        return replace(signs, source=source, slope=signs.slope[source], shift=signs.shift[source])

    def _run(self, images: NDArray[Any], draws: Draws, *, inverse: bool) -> NDArray[Any]:
        if images.shape[3] == 1:
            return negate(images, _octets(draws, images), top_code(images, self.bits))
        orders = _orders(draws, images.shape[1:])
        octets = _octets(draws, images)
        return negate_and_reorder(images, octets, orders, top_code(images, self.bits), inverse=inverse)


for _family in (NegativePositive, NegativePositiveColor):
    register_scheme(_family.published.name, _family)

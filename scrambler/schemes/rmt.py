"""`rmt`: randomised multidimensional transform of image blocks, and a secret order of the blocks.

Every block position has a secret matrix R of its own, the same for all images; noise is fresh for every image and
comes from the key under the image's nonce, so that the key holder can take it off again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.errors import NonceError
from scrambler.key import require_key
from scrambler.nonce import nonces_for
from scrambler.schemes.base import Card
from scrambler.schemes.draws import Draws
from scrambler.schemes.family import DATA_SET_PARAMETERS, Nonces, PerDataSet
from scrambler.schemes.parameters import check_choice, check_positive, check_whole
from scrambler.schemes.registry import register_scheme

_PARALLEL_FROM = 100_000
_VALUES_AT_A_TIME = 1 << 21
# A random projection is drawn again until its inverse loses fewer than three digits.
_WORST_CONDITION = 1e3


@njit(cache=True, nogil=True)
def _rotate_block(
    image: NDArray[Any], matrix: NDArray[Any], whence: tuple[int, int], to: tuple[int, int], out: NDArray[Any]
) -> None:
    """Write a block times its matrix: ``out[y, k] = sum over x of image[y, x] matrix[x, k]``, channel by channel."""
    side = matrix.shape[0]
    for y in range(side):
        for k in range(side):
            for c in range(image.shape[2]):
                total = 0.0
                for x in range(side):
                    total += image[whence[0] + y, whence[1] + x, c] * matrix[x, k]
                out[to[0] + y, to[1] + k, c] = total


@njit(cache=True, nogil=True)
def _serial(images: NDArray[Any], matrices: NDArray[Any], source: NDArray[Any], to: NDArray[Any], out: Any) -> None:
    side, across = matrices.shape[1], max(1, images.shape[2] // matrices.shape[1])
    for b in range(images.shape[0]):
        for i in range(source.size):
            s, t = source[i], to[i]
            whence, where = (s // across * side, s % across * side), (t // across * side, t % across * side)
            _rotate_block(images[b], matrices[i], whence, where, out[b])


@njit(cache=True, nogil=True, parallel=True)
def _parallel(images: NDArray[Any], matrices: NDArray[Any], source: NDArray[Any], to: NDArray[Any], out: Any) -> None:
    side, across = matrices.shape[1], max(1, images.shape[2] // matrices.shape[1])
    for task in prange(images.shape[0] * source.size):
        b, i = task // source.size, task % source.size
        s, t = source[i], to[i]
        whence, where = (s // across * side, s % across * side), (t // across * side, t % across * side)
        _rotate_block(images[b], matrices[i], whence, where, out[b])


def multiply_blocks(
    images: NDArray[Any], matrices: NDArray[Any], source: NDArray[Any], to: NDArray[Any]
) -> NDArray[Any]:
    """Return images whose block ``to[i]`` is block ``source[i]`` times matrix i.

    Parameters
    ----------
    images : array of float64, shape (B, H, W, C)
        Sides are multiples of s.
    matrices : array of float64, shape (blocks, s, s)
        One for each i.
    source, to : arrays of int64, shape (blocks,)
        Block numbers, row by row.

    Examples
    --------
    Rows keep their lengths.

    >>> one, matrix = np.array([0]), np.array([[[0.0, -1.0], [1.0, 0.0]]])
    >>> multiply_blocks(np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1), matrix, one, one)[0, :, :, 0].tolist()
    [[2.0, -1.0], [4.0, -3.0]]
    """
    out = np.empty(images.shape, np.float64)
    if images.size:
        run = _serial if images.size < _PARALLEL_FROM else _parallel
        run(np.ascontiguousarray(images), np.ascontiguousarray(matrices), source, to, out)
    return out


def orthogonal_matrices(draws: Draws, part: str, count: int, side: int) -> NDArray[Any]:
    """Return uniform (Haar) orthogonal matrices, float64, shape (count, side, side).

    The Q of Gaussian matrices is uniform once the signs of R's diagonal are made positive (Mezzadri, Notices AMS 54,
    2007).
    """
    q, r = np.linalg.qr(draws.normal(part, count * side * side).reshape(count, side, side))
    signs = np.where(np.diagonal(r, axis1=1, axis2=2) < 0, -1.0, 1.0)
    matrices: NDArray[Any] = q * signs[:, None, :]
    return matrices


def projection_matrices(draws: Draws, part: str, count: int, side: int) -> NDArray[Any]:
    """Return random invertible matrices with entries uniform over (0, 1), float64, shape (count, side, side)."""
    matrices = draws.uniform(part, count * side * side).reshape(count, side, side)
    attempt = 0
    while (bad := np.flatnonzero(np.linalg.cond(matrices) > _WORST_CONDITION)).size:
        attempt += 1
        matrices[bad] = draws.uniform(f"{part}/{attempt}", bad.size * side * side).reshape(bad.size, side, side)
    return matrices


@dataclass(frozen=True, kw_only=True)
class Rmt(PerDataSet):
    r"""Multiply every block by a secret matrix, :math:`Y_i = (X_i + D_i) R_i`, and move the blocks.

    The values are float32, or float64 for projections, whose inverses enlarge errors: exact enough that images of 8 and
    16 bits are revealed bit for bit.

    Parameters
    ----------
    block : int
        Side s of a block.
    noise : float
        Largest value N of the noise, uniform over [0, N], fresh for every image; 0 is none.
    noise_position : {"before", "after"}
        Add it before the matrix, as in the papers, or after it, as in the released code.
    transform : {"orthogonal", "projection"}
        Haar orthogonal matrices, or invertible ones with entries uniform over (0, 1).
    permute : bool
        Move the blocks.

    Examples
    --------
    >>> from scrambler import Key
    >>> image, rmt = np.arange(80, dtype=np.uint8).reshape(8, 10), Rmt(key=Key.generate(), block=2)
    >>> bool((rmt.reveal(rmt.protect(image)) == image).all())
    True
    """

    block: int = 7
    noise: float = 100.0
    noise_position: str = "before"
    transform: str = "orthogonal"
    permute: bool = True

    published: ClassVar[Card] = Card(
        name="rmt",
        paper="Sharma, Chen, Alam, CCS 2018 poster, arXiv 1902.01878, IEEE CLOUD 2021 (DisguisedNets)",
        summary="noise is added, every block multiplied by a secret matrix, and blocks moved",
        parameters={
            "block": "7, as for MNIST: side of a block; CIFAR-10 and faces 2",
            "noise": "100, as for MNIST: largest noise; CIFAR-10 25, faces 50",
            "noise_position": '"before" the matrix, as in the papers, or "after" it, as in the released code',
            "transform": '"orthogonal", or "projection": invertible matrices with entries uniform over (0, 1)',
            "permute": "True, as for MNIST: move the blocks; False for CIFAR-10",
            **DATA_SET_PARAMETERS,
        },
        key_bits="t matrices and log2(t!) for t blocks: 84 of order alone for 35 x 35",
        effective_key_bits="256, and no key is needed after known pairs",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published; the noise is fresh for every image",
        strength="broken",
        accuracy="MNIST 96.6 % (plain 96.7), CIFAR-10 89.3 % (93.4), LFW 90.6 % (94.3)",
        attacks="4 x 4, 5 / 20 / 50 known pairs: SSIM 0.58 / 0.98 / 1.0; noise 10 / 50 and 100 pairs: 0.89 / 0.40; "
        "one image without permutation: thumbnail SSIM 0.89 / 0.63 / 0.33 for blocks of 2 / 4 / 8",
        network="retraining: a matrix mixes the values of a block",
    )

    def __post_init__(self) -> None:
        check_whole("block", self.block, 1, 256)
        check_positive("noise", self.noise, zero=True)
        check_choice("noise_position", self.noise_position, ("before", "after"))
        check_choice("transform", self.transform, ("orthogonal", "projection"))

    @property
    def block_px(self) -> int:
        """Side of the square that must divide the image."""
        return self.block

    def protect_nonces(self, nonce: Nonces, images: NDArray[Any]) -> list[bytes]:
        """Return a nonce for each image, for its noise; none without noise, unless asked for."""
        if nonce is None and not self.noise:
            return super().protect_nonces(nonce, images)
        return nonces_for(nonce, len(images))

    def secret_nonces(self, nonces: Sequence[bytes], count: int) -> Sequence[bytes | None]:
        """Return the nonces that decide matrices and order: none, unless ``per_image``."""
        return nonces if self.per_image and nonces else [None] * count

    def _secrets(self, shape: tuple[int, ...], draws: Draws) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the matrix of each block position, and the position read into each place."""
        count = (shape[0] // self.block) * (shape[1] // self.block)
        draw = orthogonal_matrices if self.transform == "orthogonal" else projection_matrices
        order = draws.permutation("blocks", count) if self.permute else np.arange(count)
        return draw(draws, self.transform, count, self.block), order.astype(np.int64)

    def _noise(self, shape: tuple[int, ...], nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the noise of each image, float64, shape (B, H, W, C)."""
        key, size = require_key(self.key, "noise"), int(np.prod(shape))
        label, context = "scheme/rmt/noise", "x".join(map(str, shape)).encode()
        drawn = [Draws(key.derive(label, nonce, context=context)).uniform("noise", size) for nonce in nonces]
        return self.noise * np.array(drawn).reshape(len(nonces), *shape)

    def _before_and_after(self, shape: tuple[int, ...], nonces: Sequence[bytes]) -> tuple[Any, Any]:
        """Return the noise that is added before the matrices, and the noise added after them."""
        noise = self._noise(shape, nonces) if self.noise else 0.0
        return (noise, 0.0) if self.noise_position == "before" else (0.0, noise)

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the transformed images."""
        matrices, order = self._secrets(images.shape[1:], draws)
        matrices, places = matrices[order], np.arange(order.size)
        out = np.empty(images.shape, np.float32 if self.transform == "orthogonal" else np.float64)
        for part in _portions(images):
            before, after = self._before_and_after(images.shape[1:], nonces[part])
            out[part] = multiply_blocks(images[part] + before, matrices, order, places) + after
        return out

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got, rounded to codes."""
        if self.noise and len(nonces) != len(values):
            raise NonceError("revealing bare values needs nonce=, the nonces of the protected images, for their noise.")
        matrices, order = self._secrets(values.shape[1:], draws)
        undone, places = np.linalg.inv(matrices[order]) if order.size else matrices, np.arange(order.size)
        info = np.iinfo(dtype)
        out = np.empty(values.shape, dtype)
        for part in _portions(values):
            before, after = self._before_and_after(values.shape[1:], nonces[part])
            plain = multiply_blocks(values[part] - after, undone, places, order) - before
            out[part] = np.clip(np.rint(plain), info.min, info.max)
        return out


def _portions(images: NDArray[Any]) -> Iterator[slice]:
    """Cut a batch into portions whose float64 copies take some 50 MB."""
    count = max(1, _VALUES_AT_A_TIME // max(1, images[:1].size))
    return (slice(start, start + count) for start in range(0, len(images), count))


register_scheme(Rmt.published.name, Rmt)

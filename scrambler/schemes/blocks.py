"""Batches of images cut into square blocks, numbered row by row, and put together again.

Where the block does not divide the image, the last row and column are repeated up to the next multiple before
protecting, and cut off after revealing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pad_to_blocks(images: NDArray[Any], block: int) -> NDArray[Any]:
    """Return images (B, H, W, C) whose sides are multiples of the block, edges repeated at the bottom and the right.

    >>> pad_to_blocks(np.arange(6).reshape(1, 2, 3, 1), 2)[0, :, :, 0].tolist()
    [[0, 1, 2, 2], [3, 4, 5, 5]]
    """
    down, right = -images.shape[1] % block, -images.shape[2] % block
    if not (down or right):
        return images
    return np.pad(images, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")


def to_blocks(images: NDArray[Any], block: int) -> NDArray[Any]:
    """Return the blocks (B, blocks, M, M, C) of images (B, H, W, C) as a copy; inverse of :func:`from_blocks`."""
    count, height, width, channels = images.shape
    grid = images.reshape(count, height // block, block, width // block, block, channels)
    blocks = (height // block) * (width // block)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(count, blocks, block, block, channels)


def from_blocks(blocks: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Return the images (B, H, W, C) that blocks (B, blocks, M, M, C) make; inverse of :func:`to_blocks`.

    >>> image = np.arange(24).reshape(1, 4, 6, 1)
    >>> bool((from_blocks(to_blocks(image, 2), 4, 6) == image).all())
    True
    """
    count, _, block, _, channels = blocks.shape
    grid = blocks.reshape(count, height // block, width // block, block, block, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(count, height, width, channels)


def block_members(shape: tuple[int, ...], block: int) -> NDArray[Any]:
    """Return where the values of each block lie in a flat image of shape (H, W, C), uint32, shape (blocks, M*M*C).

    >>> block_members((2, 4, 1), 2).tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    places = np.arange(int(np.prod(shape)), dtype=np.uint32).reshape(1, *shape)
    cut = to_blocks(places, block)[0]
    return np.ascontiguousarray(cut.reshape(len(cut), block * block * shape[2]))

"""Bilinear sampling of deformable convolution in Numba: for inference on the CPU."""

from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray


@njit(cache=True, nogil=True, error_model="numpy")
def sample_rows(
    pixels: NDArray[Any], offset: NDArray[Any], mask: NDArray[Any], base_y: NDArray[Any], base_x: NDArray[Any],
    size: tuple[int, int, int], columns: NDArray[Any], start: int, first: int, last: int,
) -> None:  # fmt: skip
    """Sample what outputs ``first`` to ``last`` of a batch read, output ``start`` first.

    Parameters
    ----------
    pixels : ndarray, shape (B * H * W * C + C,)
        Rows of channels, and C zeros: what lies outside.
    offset : ndarray, shape (B, groups, K, 2, M)
    mask : ndarray, shape (B, groups, K, M), or (0, 0, 0, 0) for ones
    base_y, base_x : ndarray of integers, shapes (Ho, kh), (Wo, kw)
        Plain places of the taps, in pixels.
    size : (int, int, int)
        Channels C, height H and width W.
    columns : ndarray, shape (count * K * C,)
    """
    groups, taps, outputs = offset.shape[1], offset.shape[2], offset.shape[4]
    channels, height, width = size
    each, kw, outside = channels // groups, base_x.shape[1], pixels.size - channels
    one = pixels.dtype.type(1)
    for job in range(first, last):
        b, m = job // outputs, job % outputs
        oy, ox = m // base_x.shape[0], m % base_x.shape[0]
        for g in range(groups):
            for k in range(taps):
                y = offset[b, g, k, 0, m] + base_y[oy, k // kw]
                x = offset[b, g, k, 1, m] + base_x[ox, k % kw]
                target = ((job - start) * taps + k) * channels + g * each
                # In this form what is no number lies outside, as in torchvision's kernel.
                if not (y > -1 and y < height and x > -1 and x < width):
                    for i in range(each):
                        columns[target + i] = 0
                    continue
                top, left = np.int64(np.floor(y)), np.int64(np.floor(x))
                down, right = pixels.dtype.type(y - top), pixels.dtype.type(x - left)
                factor = mask[b, g, k, m] if mask.size > 0 else one
                corner = ((b * height + top) * width + left) * channels + g * each
                above, before, below, behind = top >= 0, left >= 0, top + 1 < height, left + 1 < width
                # Offsets into one array, as slices would cost more than a pixel; unsigned, as a signed index is looked
                # at for being negative and keeps the loop from being vectorised.
                p00 = np.uint64(corner if above and before else outside)
                p01 = np.uint64(corner + channels if above and behind else outside)
                p10 = np.uint64(corner + width * channels if below and before else outside)
                p11 = np.uint64(corner + (width + 1) * channels if below and behind else outside)
                w00, w01 = (one - down) * (one - right) * factor, (one - down) * right * factor
                w10, w11 = down * (one - right) * factor, down * right * factor
                start_at = np.uint64(target)
                for i in range(each):
                    c = np.uint64(i)
                    top_sum = w00 * pixels[p00 + c] + w01 * pixels[p01 + c]
                    columns[start_at + c] = top_sum + (w10 * pixels[p10 + c] + w11 * pixels[p11 + c])


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def sample_in_parallel(
    pixels: NDArray[Any], offset: NDArray[Any], mask: NDArray[Any], base_y: NDArray[Any], base_x: NDArray[Any],
    size: tuple[int, int, int], columns: NDArray[Any], start: int, first: int, last: int, parts: int,
) -> None:  # fmt: skip
    """Do :func:`sample_rows` in so many parts, one a thread; each output is one part's."""
    count = last - first
    for part in prange(parts):
        sample_rows(
            pixels, offset, mask, base_y, base_x, size, columns, start,
            first + count * part // parts, first + count * (part + 1) // parts,
        )  # fmt: skip

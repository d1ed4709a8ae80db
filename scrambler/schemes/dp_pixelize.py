"""`dp-pixelize`: averages over the cells of a grid, each with Laplace noise drawn once."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.schemes.base import Card
from scrambler.schemes.keyless import NOISE_PARAMETERS, NoisyScheme, to_codes
from scrambler.schemes.noise import Guarantee
from scrambler.schemes.parameters import check_positive, check_whole
from scrambler.schemes.registry import register_scheme


def cell_sizes(height: int, width: int, cell: int) -> NDArray[Any]:
    """Return the number of pixels in each cell, int64, shape (rows, columns); those at the edges can be smaller.

    >>> cell_sizes(3, 5, 2).tolist()
    [[4, 4, 2], [2, 2, 1]]
    """
    down = np.minimum(cell, height - np.arange(0, height, cell))
    right = np.minimum(cell, width - np.arange(0, width, cell))
    return np.outer(down, right).astype(np.int64)


def cell_means(images: NDArray[Any], cell: int) -> NDArray[Any]:
    """Return the mean of every cell over the pixels that it has, float64, shape (B, rows, columns, C).

    >>> cell_means(np.array([[0, 4, 100], [8, 12, 50]], np.uint8).reshape(1, 2, 3, 1), 2)[0, :, :, 0].tolist()
    [[6.0, 75.0]]
    """
    _, height, width, _ = images.shape
    sums = np.add.reduceat(images, np.arange(0, height, cell), axis=1, dtype=np.int64)
    sums = np.add.reduceat(sums, np.arange(0, width, cell), axis=2)
    means: NDArray[Any] = sums / cell_sizes(height, width, cell)[:, :, None]
    return means


def paint_cells(cells: NDArray[Any], height: int, width: int, cell: int) -> NDArray[Any]:
    """Return images (B, height, width, C) whose cells have the given values."""
    return cells.repeat(cell, axis=1)[:, :height].repeat(cell, axis=2)[:, :, :width]


@dataclass(frozen=True, kw_only=True)
class DpPixelize(NoisyScheme):
    r"""Pixelize with differential privacy.

    A cell of n pixels gets :math:`\bar x + \mathrm{Lap}(0,\ C\, top\, m / (n \epsilon))`, one draw for each cell and
    channel, then everything is clipped and rounded to codes.

    Images are neighbours when at most m pixels differ, in all C channels and by any amount. m' of those pixels in a
    cell move its C means by :math:`C\, top\, m'/n` in all, which costs :math:`\epsilon\, m'/m`; over all cells that
    adds up to :math:`\epsilon`, small cells at the edges included: their noise is larger.

    Parameters
    ----------
    cell : int
        Side b of a cell.
    changed_px : int
        The m of the neighbourhood.
    epsilon : float
        Total privacy loss of one release.

    Examples
    --------
    >>> print(DpPixelize().guarantee((112, 96)))
    0.5-differential privacy for one release of one image. Neighbours: images of one size that differ in at most 16
    pixels. Sensitivity 15.9375 (L1, all cell means), noise scale 31.875. Not covered: objects of more pixels, other
    frames of the same scene (each adds its epsilon), the layout of large shapes, and the lowest bits of floating-point
    noise before rounding.
    """

    cell: int = 16
    changed_px: int = 16
    epsilon: float = 0.5

    card: ClassVar[Card] = Card(
        name="dp-pixelize",
        paper="Fan, DBSec 2018",
        summary="cells of a grid are averaged and get Laplace noise, one draw each",
        parameters={
            "cell": "16: side b of a cell",
            "changed_px": "16: how many pixels m neighbouring images differ in",
            "epsilon": "0.5: total privacy loss of one release",
            **NOISE_PARAMETERS,
        },
        key_bits="none",
        effective_key_bits="none",
        invertible=False,
        keyed=False,
        nonce="none",
        strength="weak",
        accuracy="re-identification by a CNN, b = m = 16, epsilon 0.1 / 0.3 / 0.5 / 1: AT&T faces 3.75 / 18.75 / 43.75 "
        "/ 77.50 % (mosaic 96.25, chance 2.5)",
        attacks="layout visible; repeated releases average out, and each adds its epsilon; objects of over m pixels "
        "are not covered",
        network="retraining",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("cell", self.cell, 1, 65536)
        check_whole("changed_px", self.changed_px, 1, 2**31)
        check_positive("epsilon", self.epsilon)

    def _scales(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Return the scale of the noise of each cell, shape (rows, columns)."""
        channels = shape[2] if len(shape) == 3 else 1
        most = channels * float(np.iinfo(dtype).max) * self.changed_px
        scales: NDArray[Any] = most / (cell_sizes(shape[0], shape[1], self.cell) * self.epsilon)
        return scales

    def guarantee(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> Guarantee:
        """Return what one release of an image of this shape, (H, W) or (H, W, C), is worth.

        The sensitivity is that of the smallest cell.
        """
        scale = float(self._scales(shape, dtype).max(initial=0.0))
        return Guarantee(
            epsilon=self.epsilon,
            neighbourhood=f"images of one size that differ in at most {self.changed_px} pixels",
            sensitivity=scale * self.epsilon,
            norm="L1, all cell means",
            scale=scale,
            not_covered="objects of more pixels, other frames of the same scene (each adds its epsilon), the layout of "
            "large shapes, and the lowest bits of floating-point noise before rounding",
        )

    def _release(self, images: NDArray[Any]) -> NDArray[Any]:
        if not images.size:
            return images.copy()
        means = cell_means(images, self.cell)
        scales = self._scales(images.shape[1:], images.dtype)[None, :, :, None]
        noisy = means + self._generator.laplace(0.0, 1.0, means.shape) * scales
        return paint_cells(to_codes(noisy, images.dtype), images.shape[1], images.shape[2], self.cell)


register_scheme(DpPixelize.card.name, DpPixelize)

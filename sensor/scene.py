"""What stands in front of the camera: a picture in linear light."""

from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from sensor.errors import SceneError
from sensor.image_file import read_image
from sensor.raw_file import linear_rgb, open_raw
from sensor.srgb import srgb_table

MAX_VALUE = 1e6


class Scene:
    """Linear light, row by row; made by :meth:`from_image`, :meth:`from_array` or :meth:`from_raw`.

    The value 1.0 in all three channels saturates the most sensitive colour, which is green, at an exposure of
    0.01 s and base gain. Values above 1.0 are brighter than that and mean it.
    """

    def __init__(self, pixels: NDArray[Any], decode: NDArray[np.float32] | None = None) -> None:
        """Keep ``pixels``: linear float32, or codes that the table ``decode`` turns into it."""
        self._pixels = pixels
        self._decode = decode

    def __repr__(self) -> str:
        height, width = self.shape
        return f"Scene({height} x {width})"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        height, width = self._pixels.shape[:2]
        return height, width

    @classmethod
    def from_image(cls, path: str | Path) -> Self:
        """Read a picture file and undo its sRGB tone curve exactly.

        8 and 16 bit, grey and colour; alpha is dropped, EXIF orientation applied (see
        :func:`sensor.image_file.read_image`). Codes are kept as they are and decoded by a table on the way to the
        photosites, so a scene takes no more memory than its picture.

        Raises
        ------
        SceneError
            Naming the file, when it cannot be read.
        """
        pixels = read_image(path)
        return cls(pixels, srgb_table((1 << 8 * pixels.itemsize) - 1))

    @classmethod
    def from_array(cls, rgb: ArrayLike) -> Self:
        """Take linear light from an array.

        Parameters
        ----------
        rgb : array_like of float, shape (H, W, 3) or (H, W)
            Linear sRGB or grey, not negative; copied as float32. Integer codes are refused: divide them by their
            white, and undo their tone curve, first.

        Raises
        ------
        SceneError
            For another shape or type, for values that are negative, not finite or above a million.

        Examples
        --------
        >>> Scene.from_array(np.full((4, 6), 0.5))
        Scene(4 x 6)
        """
        array = np.asarray(rgb)
        if not np.issubdtype(array.dtype, np.floating):
            raise SceneError(f"a scene is made of float linear light, got {array.dtype}; divide codes by their white")
        if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
            raise SceneError(f"a scene has shape (H, W, 3) or (H, W), got {array.shape}")
        # NaN fails the comparison, so it is refused too.
        if not (array.min() >= 0 and array.max() <= MAX_VALUE):
            raise SceneError(f"scene values must be finite, from 0 to {MAX_VALUE:g}")
        return cls(np.array(array, np.float32, order="C"))

    @classmethod
    def from_raw(cls, path: str | Path) -> Self:
        """Develop a RAW file, of any camera that LibRaw knows, to linear light.

        LibRaw does the work: the camera's white balance, its own (AHD) demosaic, its colour matrix to linear sRGB,
        16 bit, no automatic brightness; the file's white is 1.0.

        Raises
        ------
        RawFileError
            Naming the file, when it cannot be read.
        """
        with open_raw(path) as raw:
            codes = linear_rgb(path, raw)
        return cls(codes, (np.arange(1 << 16) / 65535).astype(np.float32))

    def rows(self, first: int, end: int) -> NDArray[np.float32]:
        """Return rows ``first`` to ``end`` as linear sRGB, float32, shape (rows, W, 3); grey is in all channels."""
        band = self.light(first, end)
        return band if band.ndim == 3 else np.repeat(band[:, :, None], 3, axis=2)

    def light(self, first: int, end: int) -> NDArray[np.float32]:
        """Return the same as :meth:`rows`, but grey scenes as they are, shape (rows, W)."""
        pixels, decode = self.band(first, end)
        if decode is None:
            return np.asarray(pixels, np.float32)
        out = np.empty(pixels.shape, np.float32)
        _look_up(np.ascontiguousarray(pixels).reshape(-1), decode, out.reshape(-1))
        return out

    def band(self, first: int, end: int) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
        """Return the rows as they are kept: linear light and None, or codes and the light of each code."""
        return self._pixels[first:end], self._decode

    def cut(self, row_step: int, column_step: int) -> Self:
        """Return the scene without the last rows and columns that make no whole colour-filter period."""
        height, width = self.shape
        return type(self)(self._pixels[: height - height % row_step, : width - width % column_step], self._decode)

    def fit(self, shape: tuple[int, int]) -> Self:
        """Return the scene as a lens would lay it on a sensor of this shape.

        The largest centred part with the sensor's proportions, then the mean light over each photosite's area when
        that makes it smaller (area average), and linear interpolation when it makes it larger; in linear light.
        """
        height, width = self.shape
        rows, columns = shape
        if shape == (height, width):
            return self
        used_height = max(1, min(height, round(width * rows / columns)))
        used_width = max(1, min(width, round(height * columns / rows)))
        top, left = (height - used_height) // 2, (width - used_width) // 2
        part = self._pixels[top : top + used_height, left : left + used_width]
        light = part if self._decode is None else self._decode[part]
        smaller = rows <= used_height and columns <= used_width
        light = cv2.resize(light, (columns, rows), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        return type(self)(np.ascontiguousarray(light, np.float32))


@njit(cache=True, nogil=True)
def _look_up(codes: NDArray[Any], table: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out`` to the table's entries; 1-D, contiguous, every code inside the table."""
    for i in range(codes.size):
        out[i] = table[codes[i]]

"""Where a transposed convolution reads: its gather table, before any key is involved."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair


@dataclass(frozen=True, kw_only=True)
class TransposedWindow:
    r"""A transposed convolution over frames of a fixed size, as the gather that it is.

    Along each axis, output o reads through tap k the input

    .. math:: i = (o + p - k d) / s \quad \text{if that is a whole number inside the frame, else nothing}

    (docs/theory.md). Use :meth:`of` to make one.

    Attributes
    ----------
    input_size, kernel_size, stride, padding, output_padding, dilation : (int, int)
        Vertical and horizontal, in pixels.
    """

    input_size: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    output_padding: tuple[int, int]
    dilation: tuple[int, int]

    @classmethod
    def of(
        cls,
        input_size: IntOrPair,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        output_padding: IntOrPair = 0,
        dilation: IntOrPair = 1,
    ) -> Self:
        """Return the window that ``nn.ConvTranspose2d`` means by these arguments.

        Raises
        ------
        OperatorError
            When an argument is out of range, or nothing is left of the output.
        """
        window = cls(
            input_size=pair(input_size, "input_size", 1),
            kernel_size=pair(kernel_size, "kernel_size", 1),
            stride=pair(stride, "stride", 1),
            padding=pair(padding, "padding", 0),
            output_padding=pair(output_padding, "output_padding", 0),
            dilation=pair(dilation, "dilation", 1),
        )
        for axis in (0, 1):
            if window.output_padding[axis] >= max(window.stride[axis], window.dilation[axis]):
                raise OperatorError(
                    f"output_padding {window.output_padding} must be smaller than stride {window.stride} "
                    f"or dilation {window.dilation}"
                )
        if min(window.output_size) < 1:
            raise OperatorError(f"padding {window.padding} leaves nothing of the output; use less")
        return window

    @property
    def output_size(self) -> tuple[int, int]:
        """Vertical and horizontal size of the result, in pixels."""
        return self._length(0), self._length(1)

    def _length(self, axis: int) -> int:
        return (
            (self.input_size[axis] - 1) * self.stride[axis]
            - 2 * self.padding[axis]
            + self.dilation[axis] * (self.kernel_size[axis] - 1)
            + self.output_padding[axis]
            + 1
        )

    def places(self, axis: int) -> NDArray[Any]:
        """Return where every tap of every output reads along one axis: (outputs, taps), -1 for nothing."""
        o, k = np.arange(self._length(axis))[:, None], np.arange(self.kernel_size[axis])
        place, left = np.divmod(o + self.padding[axis] - k * self.dilation[axis], self.stride[axis])
        live: NDArray[Any] = np.where((left == 0) & (place >= 0) & (place < self.input_size[axis]), place, -1)
        return live


@lru_cache(maxsize=64)
def transposed_index(window: TransposedWindow) -> NDArray[Any]:
    """Return the gather table of a transposed convolution in natural order.

    Tap k of output m meets ``weight[:, :, k]`` as it is: the kernel is not flipped.

    Returns
    -------
    ndarray of int32, shape (Ho * Wo, kh * kw), read-only
        Natural input position, -1 where the tap reads nothing.
    """
    y, x = window.places(0)[:, None, :, None], window.places(1)[None, :, None, :]
    index = np.where((y < 0) | (x < 0), -1, y * window.input_size[1] + x)
    table = index.reshape(window.output_size[0] * window.output_size[1], -1).astype(np.int32)
    table.flags.writeable = False
    return table

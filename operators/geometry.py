"""Where a sliding window reads: sizes, strides and borders, before any key is involved."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from operators.errors import OperatorError

IntOrPair = int | tuple[int, int]
Padding = IntOrPair | str
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")

# Small tables are kept because networks repeat them; one of a full-resolution frame is hundreds of megabytes.
_LARGEST_CACHED_TABLE = 1 << 21


def pair(value: IntOrPair, name: str, smallest: int) -> tuple[int, int]:
    """Return ``value`` as (vertical, horizontal) integers.

    Raises
    ------
    OperatorError
        When it is neither an integer nor a pair of integers, or one of them is below ``smallest``.

    Examples
    --------
    >>> pair(3, "kernel_size", 1), pair((3, 5), "kernel_size", 1)
    ((3, 3), (3, 5))
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) == 1:
        both = (both[0], both[0])
    if len(both) != 2 or any(not isinstance(v, int | np.integer) or isinstance(v, bool) or v < smallest for v in both):
        raise OperatorError(f"{name} must be an integer of at least {smallest}, or a pair of them; got {value!r}")
    return int(both[0]), int(both[1])


@dataclass(frozen=True, kw_only=True)
class Window:
    r"""A sliding window over a frame of fixed size.

    Output (oy, ox) reads, for tap (ky, kx), the input at

    .. math:: (o_y s_y - p_{top} + k_y d_y,\; o_x s_x - p_{left} + k_x d_x).

    Use :meth:`of` to make one from the arguments of PyTorch's layers.

    Attributes
    ----------
    input_size, kernel_size, stride, dilation : (int, int)
        Vertical and horizontal, in pixels.
    padding : ((int, int), (int, int))
        (top, bottom), (left, right), in pixels.
    padding_mode : str
        "zeros", "reflect", "replicate" or "circular".
    ceil_mode : bool
        Whether the output size is rounded up, as pooling layers allow.
    """

    input_size: tuple[int, int]
    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    padding_mode: str = "zeros"
    ceil_mode: bool = False

    @classmethod
    def of(
        cls,
        input_size: IntOrPair,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        *,
        padding_mode: str = "zeros",
        ceil_mode: bool = False,
    ) -> Self:
        """Return the window that ``nn.Conv2d`` and the pooling layers mean by these arguments.

        ``padding`` is an integer, a (vertical, horizontal) pair, "valid" or "same"; "same" with an even kernel
        puts the odd row or column at the bottom or right, as PyTorch does.

        Raises
        ------
        OperatorError
            When an argument is out of range, "same" meets a stride, the padding mode needs more pixels than the
            frame has, or the window does not fit into the padded frame.
        """
        size = pair(input_size, "input_size", 1)
        kernel = pair(kernel_size, "kernel_size", 1)
        steps = pair(stride, "stride", 1)
        spread = pair(dilation, "dilation", 1)
        if isinstance(padding, str):
            borders = _named_padding(padding, kernel, steps, spread)
        else:
            vertical, horizontal = pair(padding, "padding", 0)
            borders = ((vertical, vertical), (horizontal, horizontal))
        if padding_mode not in PADDING_MODES:
            raise OperatorError(f"padding_mode must be one of {', '.join(PADDING_MODES)}; got {padding_mode!r}")
        check_borders(size, borders, padding_mode)
        window = cls(
            input_size=size,
            kernel_size=kernel,
            stride=steps,
            dilation=spread,
            padding=borders,
            padding_mode=padding_mode,
            ceil_mode=ceil_mode,
        )
        if min(window.output_size) < 1:
            raise OperatorError(
                f"kernel_size {kernel} with dilation {spread} does not fit into a padded frame of {size}; "
                "use a smaller kernel or a larger frame"
            )
        return window

    @property
    def output_size(self) -> tuple[int, int]:
        """Vertical and horizontal size of the result, in pixels."""
        return self._length(0), self._length(1)

    @property
    def taps(self) -> int:
        """Number of inputs that one output reads, borders included."""
        return self.kernel_size[0] * self.kernel_size[1]

    @property
    def is_pointwise(self) -> bool:
        """Whether output n reads input n and nothing else, as a 1x1 convolution of stride 1 does."""
        return self.taps == 1 and self.stride == (1, 1) and self.padding == ((0, 0), (0, 0))

    def _length(self, axis: int) -> int:
        """Return the output size along one axis."""
        length, step = self.input_size[axis], self.stride[axis]
        before, after = self.padding[axis]
        room = length + before + after - self.dilation[axis] * (self.kernel_size[axis] - 1) - 1
        count = (math.ceil(room / step) if self.ceil_mode else room // step) + 1
        # PyTorch's rule: the last window must start inside the frame or its left border.
        if self.ceil_mode and (count - 1) * step >= length + before:
            count -= 1
        return count

    def positions(self, axis: int) -> NDArray[Any]:
        """Return where every tap of every output lies along one axis, before the border rule.

        Returns
        -------
        ndarray of int64, shape (outputs, taps)
        """
        start = np.arange(self._length(axis)) * self.stride[axis] - self.padding[axis][0]
        steps = np.arange(self.kernel_size[axis]) * self.dilation[axis]
        places: NDArray[Any] = start[:, None] + steps
        return places

    def reads(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Return the natural input position of every tap of the given outputs.

        Parameters
        ----------
        outputs : ndarray of integers, shape (M,)
            Natural output positions oy * Wo + ox.

        Returns
        -------
        ndarray of int32, shape (M, kh * kw)
            y * W + x, or -1 where zero padding is read.
        """
        rows, columns = (self._bordered(axis) for axis in (0, 1))
        down, right = np.divmod(outputs, self.output_size[1])
        y, x = rows[down][:, :, None], columns[right][:, None, :]
        index = np.where((y < 0) | (x < 0), -1, y * self.input_size[1] + x)
        return index.reshape(len(outputs), self.taps).astype(np.int32)

    def _bordered(self, axis: int) -> NDArray[Any]:
        """Return :meth:`positions` with the border rule applied: -1 for padding, else inside the frame."""
        place, length = self.positions(axis), self.input_size[axis]
        inside: NDArray[Any]
        if self.padding_mode == "reflect":
            inside = length - 1 - np.abs(length - 1 - np.abs(place))
        elif self.padding_mode == "replicate":
            inside = np.clip(place, 0, length - 1)
        elif self.padding_mode == "circular":
            inside = place % length
        else:
            inside = np.where((place < 0) | (place >= length), -1, place)
        return inside


def check_borders(size: tuple[int, int], borders: tuple[tuple[int, int], tuple[int, int]], padding_mode: str) -> None:
    """Raise OperatorError when a border rule needs more pixels than the frame has."""
    spare = {"reflect": 1, "circular": 0}.get(padding_mode)
    for length, border in zip(size, borders, strict=True):
        if spare is not None and max(border) > length - spare:
            raise OperatorError(
                f"padding {max(border)} is too wide for padding_mode {padding_mode!r} on {length} pixels; "
                f"at most {length - spare} is possible"
            )


def _named_padding(
    name: str, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the borders that "valid" and "same" stand for."""
    if name == "valid":
        return (0, 0), (0, 0)
    if name != "same":
        raise OperatorError(f"padding must be an integer, a pair, 'same' or 'valid'; got {name!r}")
    if stride != (1, 1):
        raise OperatorError("padding='same' needs stride 1; give the padding as a number instead")
    total = [spread * (size - 1) for spread, size in zip(dilation, kernel, strict=True)]
    return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)


def natural_index(window: Window) -> NDArray[Any]:
    """Return the gather table of a window on a frame in natural order, from a cache when it is small.

    Returns
    -------
    ndarray of int32, shape (Ho * Wo, kh * kw), read-only
        Natural input position of every tap, -1 for zero padding.
    """
    height, width = window.output_size
    if height * width * window.taps <= _LARGEST_CACHED_TABLE:
        return _cached_index(window)
    return _build_index(window)


def _build_index(window: Window) -> NDArray[Any]:
    height, width = window.output_size
    index = window.reads(np.arange(height * width))
    index.flags.writeable = False
    return index


_cached_index = lru_cache(maxsize=256)(_build_index)

"""Pooling operators of a fixed size as tables in natural order: which inputs a window reads, and its divisor."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import IntOrPair, Window, natural_index, pair
from operators.tables import past_the_end

TargetSize = int | tuple[int | None, int | None] | None


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Pooling:
    """One pooling operator on frames of a fixed size, in natural order; holds no secret.

    Attributes
    ----------
    input_size, output_size : (int, int)
        Height and width, in pixels.
    natural : ndarray of int32, shape (M, K)
        Natural input position of every tap of every output; -1 is skipped.
    divisor : ndarray of float64, shape (M,), or None
        What each window's sum is divided by; None pools the maximum.
    library : callable
        The same operator of PyTorch, on natural frames.
    """

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    natural: NDArray[Any]
    divisor: NDArray[Any] | None
    library: Callable[[Tensor], Tensor]

    @cached_property
    def is_global(self) -> bool:
        """Whether one output reads every pixel once, so that no pixel order matters."""
        pixels = np.arange(self.input_size[0] * self.input_size[1])
        return self.output_size == (1, 1) and np.array_equal(np.sort(self.natural[0]), pixels)

    def ordered(self, source: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return natural taps (M, K), N for padding, and divisors (M,) in the order of the outputs' slots."""
        order = np.arange(len(self.natural)) if source is None else source.numpy()
        # take() is twice as quick as an index, and most poolings have no border.
        places = torch.from_numpy(self.natural.take(order, axis=0))
        if self._has_border:
            places = past_the_end(places, self.input_size[0] * self.input_size[1])
        return places, None if self.divisor is None else torch.from_numpy(self.divisor[order])

    @cached_property
    def _has_border(self) -> bool:
        return bool((self.natural < 0).any())


def max_pooling(
    input_size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Pooling:
    """Return max pooling with the arguments of ``nn.MaxPool2d``; borders are skipped, as if -inf.

    Raises
    ------
    OperatorError
        When an argument is out of range.
    """
    window = _window(input_size, kernel_size, stride, padding, dilation, ceil_mode)
    inside = (window.padding[0][0], window.padding[1][0])
    library = partial(
        F.max_pool2d,
        kernel_size=window.kernel_size,
        stride=window.stride,
        padding=inside,
        dilation=window.dilation,
        ceil_mode=ceil_mode,
    )
    return Pooling(
        input_size=window.input_size,
        output_size=window.output_size,
        natural=natural_index(window),
        divisor=None,
        library=library,
    )


def average_pooling(
    input_size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Pooling:
    """Return average pooling with the arguments of ``nn.AvgPool2d``.

    With ``count_include_pad`` the divisor counts the border too, but not what ``ceil_mode`` adds beyond it.

    Raises
    ------
    OperatorError
        When an argument is out of range.
    """
    if divisor_override == 0:
        raise OperatorError("divisor_override must not be 0")
    window = _window(input_size, kernel_size, stride, padding, 1, ceil_mode)
    inside = (window.padding[0][0], window.padding[1][0])
    counts = []
    for axis in (0, 1):
        start = window.positions(axis)[:, 0]
        end = np.minimum(start + window.kernel_size[axis], window.input_size[axis] + inside[axis])
        valid = np.minimum(end, window.input_size[axis]) - np.maximum(start, 0)
        counts.append(end - start if count_include_pad else valid)
    divisor = np.outer(*counts).ravel().astype(np.float64)
    if divisor_override is not None:
        divisor[:] = divisor_override
    library = partial(
        F.avg_pool2d,
        kernel_size=window.kernel_size,
        stride=window.stride,
        padding=inside,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor_override=divisor_override,
    )
    return Pooling(
        input_size=window.input_size,
        output_size=window.output_size,
        natural=natural_index(window),
        divisor=divisor,
        library=library,
    )


def adaptive_pooling(input_size: IntOrPair, output_size: TargetSize, *, average: bool) -> Pooling:
    """Return adaptive average or max pooling: output o of n reads floor(o L / n) to ceil((o + 1) L / n) of L pixels.

    Parameters
    ----------
    input_size : int or (int, int)
        Height and width, in pixels.
    output_size : int or (int, int)
        Of the result; None stands for the input's.
    average : bool
        The average if true, else the maximum.

    Raises
    ------
    OperatorError
        When a size is out of range.
    """
    size = pair(input_size, "input_size", 1)
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    target = pair(tuple(w or s for w, s in zip(wanted, size, strict=True)), "output_size", 1)  # type: ignore[arg-type]  # zip of two pairs is a pair
    natural, counts = _adaptive_windows(size, target)
    pool = F.adaptive_avg_pool2d if average else F.adaptive_max_pool2d
    return Pooling(
        input_size=size,
        output_size=target,
        natural=natural,
        divisor=counts if average else None,
        library=partial(pool, output_size=target),
    )


@lru_cache(maxsize=64)
def _adaptive_windows(size: tuple[int, int], target: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the taps (M, K), short windows filled up with -1, and the number of pixels in each window (M,)."""
    places, counts = [], []
    for length, outputs in zip(size, target, strict=True):
        o = np.arange(outputs)
        start, end = o * length // outputs, -(-(o + 1) * length // outputs)
        taps = start[:, None] + np.arange((end - start).max())
        places.append(np.where(taps < end[:, None], taps, -1))
        counts.append(end - start)
    y, x = places[0][:, None, :, None], places[1][None, :, None, :]
    natural = np.where((y < 0) | (x < 0), -1, y * size[1] + x).reshape(target[0] * target[1], -1).astype(np.int32)
    divisor = np.outer(*counts).ravel().astype(np.float64)
    natural.flags.writeable = divisor.flags.writeable = False
    return natural, divisor


def _window(
    input_size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair,
    ceil_mode: bool,
) -> Window:
    """Return the window of a pooling layer, whose stride defaults to the kernel's size."""
    window = Window.of(
        input_size, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode=ceil_mode
    )
    for size, border in zip(window.kernel_size, window.padding, strict=True):
        if 2 * border[0] > size:
            raise OperatorError(f"padding {border[0]} of a pooling layer must be at most half of its kernel of {size}")
    return window

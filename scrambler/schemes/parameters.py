"""Checks of scheme parameters; every sentence names the parameter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, SchemeError


def top_code(images: NDArray[Any], bits: int | None) -> int:
    """Return the largest code, 2**bits - 1, of images of `bits` bits in a container of 8 or 16.

    Parameters
    ----------
    images : array of uint8 or uint16
        The codes.
    bits : int or None
        Their number of bits; None means all of the container's.

    Raises
    ------
    SchemeError, FrameError
        If the container has fewer bits, or a code needs more.
    """
    width = 8 * images.dtype.itemsize
    if bits is None or bits == width:
        return (1 << width) - 1
    if not is_whole(bits) or not 1 <= bits <= width:
        raise SchemeError(f"bits must be a whole number from 1 to {width} for {images.dtype}, got {bits!r}.")
    top = (1 << bits) - 1
    if images.size and images.max() > top:
        raise FrameError(f"images holds {images.max()}, and bits={bits} ends at {top}: give the images' own bits.")
    return top


def is_whole(number: object) -> bool:
    """Tell whether a parameter is an integer and no truth value."""
    return isinstance(number, (int, np.integer)) and not isinstance(number, bool)


def check_whole(name: str, number: object, least: int, most: int) -> int:
    """Return a whole number in a range.

    Raises
    ------
    SchemeError
        If it is none; the sentence names the parameter.
    """
    if not is_whole(number) or not least <= number <= most:  # type: ignore[operator]  # is_whole says it is an int
        raise SchemeError(f"{name} must be a whole number from {least} to {most}, got {number!r}.")
    return int(number)  # type: ignore[call-overload, no-any-return]  # likewise


def check_positive(name: str, number: object, *, zero: bool = False) -> float:
    """Return a finite number above zero, or from zero on.

    Raises
    ------
    SchemeError
        If it is none; the sentence names the parameter.
    """
    if isinstance(number, (int, float, np.integer, np.floating)) and not isinstance(number, bool):
        value = float(number)
        if np.isfinite(value) and (value > 0 or (zero and value == 0)):
            return value
    raise SchemeError(f"{name} must be a finite number {'from zero on' if zero else 'above zero'}, got {number!r}.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> str:
    """Return one of some words.

    Raises
    ------
    SchemeError
        If it is none of them; the sentence names the parameter.
    """
    if not isinstance(value, str) or value not in choices:
        raise SchemeError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
    return value

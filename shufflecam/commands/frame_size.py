"""The option ``--size``: a frame's width and height."""

import re

from shufflecam.usage import UsageError


def frame_size(text: str) -> tuple[int, int]:
    """Return (H, W) from ``WIDTHxHEIGHT``.

    Raises
    ------
    UsageError
        If it is something else.

    Examples
    --------
    >>> frame_size("4056x3040")
    (3040, 4056)
    """
    sides = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if sides is None:
        raise UsageError(f"--size is WIDTHxHEIGHT, such as 4056x3040, got {text!r}")
    return int(sides[2]), int(sides[1])

"""Weights as operands of the matrix unit: two half-precision numbers each, or three bytes where those lose nothing.

Reading the weights is what a layer of one frame takes longest for, once they are too many for a processor's own cache.
Large ones are therefore kept as whole numbers of 24 bits, q = 4096 h + l, times a power of two an output channel:
h and l, of 12 bits each, are the two halves once more, and are made while the weights are read. Such a weight is right
to 2**-23 of the largest one of its output channel, where two halves are to 2**-24 of its own.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

# Depth of operands that are in the first cache together, in steps of 32 values.
CHUNK = 3
# Measured: below these, unpacking costs more than reading less saves.
_FEWEST_WEIGHTS = 1 << 20
# Of two halves: scaled weights are below 2**14, and the scale itself is a float.
_TOP, _MOST_EXPONENT = 14, 126
# Of three bytes: bits, bits of the lower part, and the exponents between which scales can be kept.
_BITS, _LOW_BITS, _LEAST_EXPONENT, _MOST_APART = 23, 12, -100, 60
# The largest weight of every input channel has at least so many bits; its others are right to 2**-15 of that one.
_FEWEST_BITS = 14


def pack_operands(rows: Tensor, channels: int) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Return weights in the sequence in which :mod:`operators.halves_kernels` reads them.

    That is: for CHUNK times 32 values of the depth each, for 32 output channels each, and for 32 values each, either
    (float16) the halves h and then l, of 16 output channels and of 16 more, two values of the depth side by side; or
    (uint8) the upper 16 bits in the same sequence, and then of the lower 8 bits those of two rows of it side by side.

    Parameters
    ----------
    rows : Tensor of float32, shape (blocks, depth, 32)
        Of every output channel, the weights of all taps, and of all input channels within a tap.
    channels : int
        Input channels.

    Returns
    -------
    operands : ndarray of float16 or uint8
        2 numbers or 3 bytes a weight, the depth filled up with zeros to a multiple of 32.
    factors : ndarray of float32, shape (blocks * 32,)
        What sums of each output channel are to be multiplied by, powers of two.
    scale : float
        What they are to be divided by besides, another one.
    """
    exponents = _exponents(rows) if rows.numel() >= _FEWEST_WEIGHTS else None
    if exponents is not None and _fits_three_bytes(rows, exponents, channels):
        most = int(exponents.max())
        factors = torch.ldexp(torch.ones(exponents.shape), exponents - most).flatten()
        packed = [_three_bytes(torch.ldexp(part, _BITS - exponents)) for part in _parts(rows)]
        return torch.cat(packed).numpy(), factors.numpy(), 2.0 ** (_BITS - _LOW_BITS - most)
    scale = _scale(rows)
    blocks, end = torch.empty(len(rows) * -(-rows.shape[1] // 32) * 2048, dtype=torch.half), 0
    # Part by part: all at once would take several times the weights' memory.
    for part in _parts(rows):
        operands = torch.stack([_in_tiles(half) for half in _split(part * scale)], 2).flatten()
        start, end = end, end + operands.numel()
        blocks[start:end] = operands
    return blocks.numpy(), np.ones(len(rows) * 32, np.float32), scale


def _parts(rows: Tensor) -> list[Tensor]:
    """Return the depth in parts that are read one after another."""
    return list(torch.split(F.pad(rows, (0, 0, 0, -rows.shape[1] % 32)), 32 * CHUNK, 1))


def _in_tiles(part: Tensor) -> Tensor:
    """Return (blocks, depth, 32) as (blocks, steps, 32 rows of two tiles, 32 values): pairs of the depth by columns."""
    tiles = part.reshape(len(part), -1, 16, 2, 2, 16).permute(0, 1, 4, 2, 5, 3)
    return tiles.reshape(len(part), -1, 32, 32)


def _scale(rows: Tensor) -> float:
    """Return the power of two that brings weights below 2**14."""
    largest = float(rows.abs().max()) if rows.numel() else 0.0
    exponent = _TOP - int(np.frexp(largest)[1]) if 0 < largest < np.inf else 0
    return 2.0 ** min(exponent, _MOST_EXPONENT)


def _split(scaled: Tensor) -> tuple[Tensor, Tensor]:
    """Return halves h and l of scaled weights."""
    high = scaled.half()
    return high, (scaled - high.float()).half()


def _exponents(rows: Tensor) -> Tensor | None:
    """Return exponents (blocks, 1, 32) of a power of two above each output channel; None where one is not finite."""
    largest = rows.abs().amax(1, keepdim=True)
    if not largest.isfinite().all():
        return None
    fraction, exponents = torch.frexp(largest)
    # Close below a power of two, h would be rounded up to 2**11, which 12 bits do not hold.
    exponents = exponents + (fraction > 1 - 2.0**-11)
    least = int(exponents.max()) - _MOST_APART
    return exponents.clamp(max(least, _LEAST_EXPONENT))


def _fits_three_bytes(rows: Tensor, exponents: Tensor, channels: int) -> bool:
    """Whether three bytes keep every weight that two halves would, and enough of every input channel's."""
    wrong = torch.zeros(channels, dtype=torch.bool)
    most = torch.zeros(channels)
    by_halves, scale = True, _scale(rows)
    for block, exponent in zip(rows, exponents, strict=True):
        scaled = torch.ldexp(block, _BITS - exponent)
        rounded = scaled.round()
        by_channel = (-1, channels, 32)
        wrong |= (rounded != scaled).reshape(by_channel).any(2).any(0)
        most = torch.maximum(most, rounded.abs().reshape(by_channel).amax((0, 2)))
        if by_halves:
            high, low = _split(block * scale)
            by_halves = torch.equal(high.float() + low.float(), block * scale)
    return not wrong.any() or (not by_halves and bool((most[wrong] >= 2**_FEWEST_BITS).all()))


def _three_bytes(scaled: Tensor) -> Tensor:
    """Return weights (blocks, depth, 32) below 2**23 as operands of three bytes."""
    whole = _in_tiles(scaled.round().int())
    low = ((whole + 2048) & 4095) - 2048
    high = (whole - low) >> _LOW_BITS
    upper = ((high << 4) | ((low >> 8) & 15)).short()
    lower = (low & 255).byte().reshape(*low.shape[:2], 16, 2, 32).transpose(-1, -2)
    return torch.cat([upper.view(torch.uint8).flatten(2), lower.flatten(2)], 2).flatten()

"""Bilinear demosaicing of shuffled Bayer mosaics as a torch operator."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import Window
from operators.rows import check_slot, from_rows, gather_rows, to_rows
from operators.tables import PixelOrder, compose, slot_table, source_table

CFA_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")

# Outputs done at once: their windows take 10 MB a frame.
_OUTPUTS_AT_ONCE = 1 << 18


def bayer_colours(cfa: str) -> NDArray[Any]:
    """Return the colour of each photosite of a Bayer tile: 0 red, 1 green, 2 blue.

    Parameters
    ----------
    cfa : {"RGGB", "BGGR", "GRBG", "GBRG"}
        The tile's upper row, then its lower row.

    Returns
    -------
    ndarray of int64, shape (2, 2)

    Raises
    ------
    OperatorError
        When it is none of the four.

    Examples
    --------
    >>> bayer_colours("GRBG").tolist()
    [[1, 0], [2, 1]]
    """
    if cfa not in CFA_PATTERNS:
        raise OperatorError(f"cfa must be one of {', '.join(CFA_PATTERNS)}; got {cfa!r}")
    return np.array(["RGB".index(letter) for letter in cfa]).reshape(2, 2)


def _kernels(cfa: str) -> NDArray[Any]:
    """Return the 3x3 weights of every tile place and colour, (2 * 2, 3, 9): the nearest of that colour, averaged."""
    colours = bayer_colours(cfa)
    distance = np.array([[2, 1, 2], [1, 0, 1], [2, 1, 2]])
    kernels = np.zeros((2, 2, 3, 3, 3))
    for y, x, colour in np.ndindex(2, 2, 3):
        of_colour = colours[(y + np.arange(-1, 2)[:, None]) % 2, (x + np.arange(-1, 2)) % 2] == colour
        nearest = of_colour & (distance == distance[of_colour].min())
        kernels[y, x, colour] = nearest / nearest.sum()
    return kernels.reshape(4, 3, 9)


def keyed_demosaic(
    mosaic: Tensor,
    cfa: str = "RGGB",
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
) -> Tensor:
    """Return full-resolution RGB from shuffled mosaics; bilinear, 3x3, borders mirrored without repeating the edge.

    A missing colour is the mean of its two or four nearest photosites. The colour of a photosite follows from its
    natural place, so any permutation is allowed, whether or not it keeps the filter's phase (docs: METHODS, section
    13). No natural-order copy of the mosaic is made.

    Parameters
    ----------
    mosaic : Tensor of float32 or float64, shape (B, 1, H, W)
        In the order of ``permutation_in``; H and W at least 2.
    cfa : {"RGGB", "BGGR", "GRBG", "GBRG"}
        Colours of the natural frame's upper left 2x2 photosites.
    permutation_in, permutation_out : permutation of H * W, optional
        Pixel orders of input and output; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of the input's order, or one for each frame; replaces ``permutation_in``.

    Returns
    -------
    Tensor, shape (B, 3, H, W)
        Differentiable in ``mosaic``.

    Raises
    ------
    OperatorError
        When the mosaic has another shape or type, or a permutation has the wrong length.

    Examples
    --------
    >>> keyed_demosaic(torch.tensor([[[[8.0, 4.0], [2.0, 1.0]]]]))[0, :, 0, 0].tolist()
    [8.0, 3.0, 1.0]
    """
    if mosaic.ndim != 4 or mosaic.shape[1] != 1 or not mosaic.is_floating_point():
        raise OperatorError(f"mosaic must be floating point, (B, 1, H, W); got {mosaic.dtype}, {tuple(mosaic.shape)}")
    H, W = mosaic.shape[2:]
    window = Window.of((H, W), 3, padding=1, padding_mode="reflect")
    rows = to_rows(mosaic)
    own = slot_table(permutation_in, H * W) if slot is None else check_slot(slot, mosaic)
    own = None if own is None else own.to(mosaic.device)
    target = source_table(permutation_out, H * W)
    outputs = np.arange(H * W) if target is None else target.numpy()
    kernel = torch.from_numpy(_kernels(cfa)).to(mosaic).reshape(12, 9)
    parts = []
    for first in range(0, H * W, _OUTPUTS_AT_ONCE):
        chosen = outputs[first : first + _OUTPUTS_AT_ONCE]
        index = compose(own, torch.from_numpy(window.reads(chosen)).to(mosaic.device))
        seen = gather_rows(rows, index.flatten(-2)).reshape(len(rows), len(chosen), 9)
        # All four tile places are computed, and the one that the photosite has is kept.
        all_places = F.linear(seen, kernel).reshape(len(rows), len(chosen), 4, 3)
        place = torch.from_numpy(chosen // W % 2 * 2 + chosen % W % 2).to(mosaic.device)
        parts.append(all_places[:, torch.arange(len(chosen), device=mosaic.device), place])
    return from_rows(torch.cat(parts, dim=1), (H, W))

"""From a shuffled RAW mosaic straight to a network's RGB input, in one pass that stores no picture in between."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from operators.demosaic import CFA_PATTERNS
from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.raw_kernels import bayer_cells, bayer_cells_parallel, encode, tent_cells, tent_cells_parallel
from operators.resample import cropped_area
from operators.tables import PixelOrder

# Below this many photosites, starting threads costs more than it saves.
_PARALLEL_PHOTOSITES = 100_000
_MONO = "W"
# How far a photosite looks for other colours where the array is no Bayer array: anywhere in a quad-Bayer or X-Trans
# array each colour lies within three photosites, corners included.
_REACH_PX = 3


def keyed_raw_to_rgb(
    mosaic: ArrayLike,
    size: IntOrPair,
    *,
    slot: NDArray[Any] | None = None,
    cfa: str = "RGGB",
    black_level: ArrayLike = 0.0,
    white_level: float = 65535.0,
    white_balance: ArrayLike = (1.0, 1.0, 1.0),
    color_matrix: ArrayLike | None = None,
    permutation_out: PixelOrder | None = None,
    crop: bool = True,
) -> Tensor:
    r"""Develop a (shuffled) RAW mosaic and shrink it to a network's input, without unshuffling it.

    Photosite n of colour c becomes

    .. math:: v_n = \mathrm{clip}\big(g_c\, (code[slot[n]] - black) / (white - black),\ 0,\ 1\big),

    then demosaicing, the average by area over the output's cell in linear light, the colour matrix, a clip to 0..1 and
    the sRGB curve. The sums run in the same order whatever the key, so the result is bit for bit the plain result,
    moved to the output's order.

    Bayer arrays are demosaiced bilinearly (3x3, borders mirrored without repeating the edge). In any other array, such
    as quad-Bayer and X-Trans, a photosite keeps its own colour and takes the others by normalised convolution:

    .. math:: x_{n,k} = \frac{\sum_m w_{m-n}\,[c(m) = k]\,v_m}{\sum_m w_{m-n}\,[c(m) = k]}, \qquad
              w_{dy,dx} = (4 - |dy|)(4 - |dx|), \; |dy|, |dx| \le 3

    over photosites m inside the frame (H. Knutsson, C.-F. Westin, CVPR 1993). A frame without filters, ``"W"``, is
    grey: no gains, no colour matrix, nothing to demosaic.

    Parameters
    ----------
    mosaic : array of uint8 or uint16, shape (H, W)
        Codes in readout order; H and W at least 2, and at least the tile's side.
    size : int or (int, int)
        Height and width of the result, in pixels; may exceed the mosaic's.
    slot : ndarray of integers, shape (H * W,), optional
        Slot of every natural photosite; None for a mosaic in natural order.
    cfa : str
        Letters R, G and B of the natural frame's upper left n x n photosites, row by row: ``"RGGB"``, 16 for
        quad-Bayer, 36 for X-Trans; or ``"W"``.
    black_level : float or array, shape (n, n)
        Code without light, one for all or by place in the colour filter's tile.
    white_level : float
        Code at saturation.
    white_balance : array, shape (3,)
        Gains of red, green and blue.
    color_matrix : array, shape (3, 3), optional
        From the camera's linear RGB to linear sRGB; None leaves the colours alone.
    permutation_out : permutation of h * w, optional
        Pixel order of the result; None for natural order.
    crop : bool
        Whether the largest centred square is taken, or the whole frame.

    Returns
    -------
    Tensor of float32, shape (3, h, w)
        sRGB-encoded, 0 to 1.

    Raises
    ------
    OperatorError
        When a shape, type, level or permutation does not fit, or a colour lies nowhere near some photosite.

    Examples
    --------
    >>> keyed_raw_to_rgb(np.full((4, 6), 1000, np.uint16), 1, white_level=1000)[:, 0, 0].tolist()
    [1.0, 1.0, 1.0]
    """
    codes = np.asarray(mosaic)
    if codes.ndim != 2 or min(codes.shape) < 2 or codes.dtype not in (np.uint8, np.uint16):
        raise OperatorError(f"mosaic must be uint8 or uint16, (H, W), at least 2 x 2; got {codes.dtype}, {codes.shape}")
    h, w = pair(size, "size", 1)
    H, W = codes.shape
    tile = _tile(cfa)
    if min(H, W) < len(tile):
        raise OperatorError(f"mosaic must be at least {len(tile)} x {len(tile)} for {cfa}; got {codes.shape}")
    response = _response(tile, W, black_level, white_level, white_balance)
    matrix = _numbers(np.eye(3) if color_matrix is None else color_matrix, (3, 3), "color_matrix")
    cells = np.arange(h * w) if permutation_out is None else np.asarray(permutation_out.source)
    if len(cells) != h * w:
        raise OperatorError(f"permutation_out arranges {len(cells)} pixels and the result has {h * w}")
    geometry = (H, W, *cropped_area((H, W), crop), h, w)
    threaded = geometry[4] * geometry[5] >= _PARALLEL_PHOTOSITES and torch.get_num_threads() > 1
    linear = np.empty((3, h * w))
    given = (
        np.ascontiguousarray(codes).reshape(-1),
        _slots(slot, H * W),
        np.ascontiguousarray(cells, dtype=np.int64),
        geometry,
    )
    if cfa in CFA_PATTERNS:
        (bayer_cells_parallel if threaded else bayer_cells)(*given, tile, response, linear)
    else:
        reach = 0 if cfa == _MONO else _REACH_PX
        near = _near_colours(tile, (H, W), reach, cfa)
        (tent_cells_parallel if threaded else tent_cells)(*given, *near, reach, response, linear)
    rgb = np.empty((3, h * w), np.float32)
    encode(linear, np.eye(3) if cfa == _MONO else matrix, rgb)
    return torch.from_numpy(rgb.reshape(3, h, w))


def _tile(cfa: str) -> NDArray[Any]:
    """Return the colour of each photosite of a filter's tile: 0 red, 1 green, 2 blue, 3 none."""
    side = {1: 1, 4: 2, 16: 4, 36: 6}.get(len(cfa))
    if side is None or (set(cfa) != set("RGB") and cfa != _MONO):
        raise OperatorError(
            f"cfa must be one of {', '.join(CFA_PATTERNS)}, the 16 or 36 letters R, G and B of another tile, or W;"
            f" got {cfa!r}"
        )
    return np.array(["RGBW".index(letter) for letter in cfa]).reshape(side, side)


def _near_colours(
    tile: NDArray[Any], frame_size: tuple[int, int], reach: int, cfa: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return what normalised convolution needs to know of a filter array.

    Returns
    -------
    masks : ndarray of float64, shape (n, 3, W + 2 * reach)
        For each row of the tile, 1 where a photosite shows a colour (one without a filter shows all), 0 elsewhere
        and outside the frame.
    inverse : ndarray of float64, shape (kinds of rows, 3, W)
        1 over the sum of weights.
    kind_of_row : ndarray of int64, shape (H,)
    """
    H, W = frame_size
    side = len(tile)
    row_tiles = tile[:, np.arange(W) % side]
    shown = [(row_tiles == c) | (row_tiles == "RGBW".index(_MONO)) for c in range(3)]
    masks = np.pad(np.stack(shown, axis=1).astype(np.float64), ((0, 0), (0, 0), (reach, reach)))
    steps = range(-reach, reach + 1)
    along = sum((reach + 1 - abs(d)) * masks[:, :, reach + d : reach + d + W] for d in steps)
    # Rows of one place in the tile differ only near the frame's upper and lower edge.
    y = np.arange(H)
    kinds, firsts, kind_of_row = np.unique(
        np.stack([y % side, np.minimum(y, reach), np.minimum(H - 1 - y, reach)], axis=1),
        axis=0, return_index=True, return_inverse=True,
    )  # fmt: skip
    weights = np.zeros((len(kinds), 3, W))
    for kind, row in enumerate(firsts):
        for d in steps:
            if 0 <= row + d < H:
                weights[kind] += (reach + 1 - abs(d)) * np.asarray(along)[(row + d) % side]
    if not (weights > 0).all():
        raise OperatorError(f"in a frame of {H} x {W} with the filters {cfa} a colour is more than {reach} away")
    return masks, 1 / weights, kind_of_row.reshape(-1).astype(np.int64)


def _slots(slot: NDArray[Any] | None, size: int) -> NDArray[Any]:
    """Return the slot table as uint32, empty for natural order; raise unless every entry is a slot."""
    if slot is None:
        return np.empty(0, np.uint32)
    table = np.asarray(slot)
    if table.shape != (size,) or table.dtype.kind not in "iu":
        raise OperatorError(f"slot must hold {size} integers, one for each photosite; got {table.dtype}, {table.shape}")
    # Kernels do not check bounds.
    if int(table.min()) < 0 or int(table.max()) >= size:
        raise OperatorError(f"slot must hold numbers from 0 to {size - 1}")
    return np.ascontiguousarray(table, dtype=np.uint32)


def _numbers(values: ArrayLike, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Return finite numbers as float64 of the given shape, or raise."""
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise OperatorError(f"{name} must hold finite numbers of the shape {shape}; got the shape {array.shape}")
    return array


def _response(
    tile: NDArray[Any], width: int, black_level: ArrayLike, white_level: float, white_balance: ArrayLike
) -> NDArray[Any]:
    """Return offset and scale of every photosite in the rows of one tile: (2, n, W)."""
    black = np.asarray(black_level, dtype=np.float64)
    black = _numbers(np.full(tile.shape, black) if black.ndim == 0 else black, tile.shape, "black_level")
    gains = np.append(_numbers(white_balance, (3,), "white_balance"), 1.0)  # no filter, no colour to balance
    if not white_level > black.max():
        raise OperatorError(f"white_level {white_level} must exceed every black level; the highest is {black.max()}")
    of_tile = np.stack([black, gains[tile] / (white_level - black)])
    return np.ascontiguousarray(of_tile[:, :, np.arange(width) % len(tile)])

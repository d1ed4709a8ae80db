"""Grey-world white balance: the mean of the picture is taken for grey."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler import Key
from sensor.cfa import cfa_tile
from sensor.errors import DevelopError
from sensor.raw_frame import RawFrame


def balance_grey_world(frame: RawFrame, key: Key | None = None, *, force: bool = False) -> RawFrame:
    r"""Return the frame with white-balance gains that make its mean grey.

    .. math:: g_c = \frac{\max_k m_k}{m_c}, \qquad
              m_c = \mathrm{mean}\{q_n - b_n : c(n) = c,\; q_n < w\}

    over photosites below white level, because what is clipped has lost its colour. Source: G. Buchsbaum, "A spatial
    processor model for object colour perception", J. Franklin Institute 310 (1980). Needs to know each photosite's
    colour only, so a shuffled frame stays as it is; whole sums are exact, so both orders give the same gains.

    Parameters
    ----------
    frame : RawFrame
        Natural or shuffled, with red, green and blue photosites.
    key : Key, optional
        Needed for a shuffled frame.
    force : bool
        Take any key, even one whose id is not the frame's: for studies of wrong keys.

    Raises
    ------
    MissingKeyError, WrongKeyError
        When the frame is shuffled and the key is missing or another one.
    DevelopError
        For a frame without all three colours, or with a colour that saw nothing below white level.
    """
    tile = cfa_tile(frame.cfa)
    if not {0, 1, 2} <= set(tile.ravel().tolist()):
        raise DevelopError(f"grey-world balance needs red, green and blue photosites, not {frame.cfa}")
    permutation = frame.readout_permutation(key, force=force)
    slot = np.empty(0, np.uint32) if permutation is None else permutation.slot
    sums = np.zeros((*tile.shape, 2), np.int64)
    _add_up(frame.mosaic, slot, permutation is not None, frame.white_level, sums)
    light = sums[:, :, 0] - frame.black_level * sums[:, :, 1]
    means = np.array([light[tile == c].sum() / max(1, sums[:, :, 1][tile == c].sum()) for c in range(3)])
    if not (means > 0).all():
        raise DevelopError("grey-world balance needs some light in every colour, below white level")
    return replace(frame, white_balance=means.max() / means)


@njit(cache=True, nogil=True)
def _add_up(codes: NDArray[Any], slot: NDArray[Any], keyed: bool, white: int, sums: NDArray[Any]) -> None:
    """Set ``sums`` to sum and number of codes below white, for each place in the tile."""
    height, width = codes.shape
    rows, columns, _ = sums.shape
    flat = codes.reshape(height * width)
    for y in range(height):
        for x in range(width):
            n = y * width + x
            code = np.int64(flat[slot[n]] if keyed else flat[n])
            if code < white:
                sums[y % rows, x % columns, 0] += code
                sums[y % rows, x % columns, 1] += 1

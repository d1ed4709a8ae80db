"""Defect correction: a photosite far outside all its neighbours of the same colour gets their median."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from scrambler import Key
from sensor.bands import for_each_band
from sensor.cfa import MONO, cfa_tile
from sensor.errors import DevelopError
from sensor.raw_frame import RawFrame


def correct_defects(
    frame: RawFrame, key: Key | None = None, *, threshold_dn: float = 32.0, force: bool = False
) -> RawFrame:
    r"""Return the frame with dead and stuck photosites mended.

    With :math:`q_1 \dots q_8` the codes of the same place in the eight periods of the colour filter around (two
    photosites away in a Bayer array; fewer at the edges):

    .. math:: q' = \mathrm{median}(q_i) \text{ if } q > \max q_i + t \text{ or } q < \min q_i - t, \text{ else } q

    A shuffled frame is mended as it lies: neighbours are looked up where the readout put them, and the result is in
    the same order, equal to mending the unshuffled frame.

    Parameters
    ----------
    frame : RawFrame
        Natural or shuffled.
    key : Key, optional
        Needed for a shuffled frame.
    threshold_dn : float
        Codes t by which a photosite must stand out, 0 or more.
    force : bool
        Take any key, even one whose id is not the frame's: for studies of wrong keys.

    Returns
    -------
    RawFrame
        In the order of ``frame``.

    Raises
    ------
    MissingKeyError, WrongKeyError
        When the frame is shuffled and the key is missing or another one.
    DevelopError
        For an impossible threshold.
    """
    if not 0 <= threshold_dn < np.inf:
        raise DevelopError(f"threshold_dn must be a number, 0 or more, got {threshold_dn!r}")
    permutation = frame.readout_permutation(key, force=force)
    slot = np.empty(0, np.uint32) if permutation is None else permutation.slot
    rows, columns = cfa_tile(frame.cfa).shape
    # In a Bayer array two photosites; without filters the next one.
    down, right = (1, 1) if frame.cfa == MONO else (rows, columns)
    out = np.empty(frame.shape, np.uint16)
    keyed, threshold, flat = permutation is not None, float(threshold_dn), out.reshape(-1)

    def mend(first: int, end: int) -> None:
        _mend(frame.mosaic, slot, keyed, down, right, threshold, first, end, flat)

    for_each_band(*frame.shape, 1, mend)
    out.flags.writeable = False
    return replace(frame, mosaic=out)


@njit(cache=True, nogil=True)
def _mend(
    codes: NDArray[Any],
    slot: NDArray[Any],
    keyed: bool,
    down: int,
    right: int,
    threshold: float,
    first: int,
    end: int,
    out: NDArray[Any],
) -> None:
    """Fill ``out``, in readout order, with the photosites of rows ``first`` to ``end``; ``codes`` C-contiguous."""
    height, width = codes.shape
    flat = codes.reshape(height * width)
    around = np.empty(8, np.int64)
    for y in range(first, end):
        for x in range(width):
            found = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    near_y, near_x = y + dy * down, x + dx * right
                    if (dy != 0 or dx != 0) and 0 <= near_y < height and 0 <= near_x < width:
                        n = near_y * width + near_x
                        # Sorted as it grows: at most eight.
                        value = np.int64(flat[slot[n]] if keyed else flat[n])
                        at = found
                        while at > 0 and around[at - 1] > value:
                            around[at] = around[at - 1]
                            at -= 1
                        around[at] = value
                        found += 1
            here = np.int64(slot[y * width + x]) if keyed else y * width + x
            code = np.int64(flat[here])
            if found > 0 and (code > around[found - 1] + threshold or code < around[0] - threshold):
                code = (around[(found - 1) // 2] + around[found // 2] + 1) // 2
            out[here] = code

"""What wrong keys make of a frame."""

from typing import TYPE_CHECKING

import numpy as np

from scrambler import Key
from sensor import RawFrame, develop
from shufflecam.figures.measures import neighbour_correlation, ssim
from shufflecam.figures.sheets import Panel, draw_sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_wrong_keys(frame: RawFrame, key: Key, wrong: int = 4, name: str = "frame") -> "Figure":
    """Draw a frame with its key, with its key but one bit, and with random wrong keys.

    Each picture's title has its structural similarity with the plain one, and how neighbours correlate.

    Parameters
    ----------
    frame : RawFrame
        Shuffled.
    key : Key
        The right one.
    wrong : int
        How many random keys.
    name : str
        For the first title.

    Raises
    ------
    MissingKeyError, WrongKeyError
        If ``key`` is not the frame's.
    """
    plain = develop(frame.unshuffle(key))
    one_bit_off = bytearray(key.to_bytes())
    one_bit_off[-1] ^= 1
    tried = {
        f"{name}: as delivered": develop(frame.as_if_natural()),
        "with the key": develop(frame, key),
        "one bit of the key wrong": develop(frame, Key.from_bytes(bytes(one_bit_off)), force=True),
    }
    for number in range(wrong):
        tried[f"wrong key {number + 1}"] = develop(frame, Key.generate(), force=True)
    panels: list[Panel] = [(f"plain\nneighbours {neighbour_correlation(plain):.3f}", plain)]
    panels += [
        (f"{title}\nSSIM {ssim(plain, seen, 1.0):.3f}, neighbours {neighbour_correlation(seen):.3f}", seen)
        for title, seen in tried.items()
    ]
    columns = min(4, len(panels))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    assert all(np.isfinite(picture).all() for picture in tried.values())
    return draw_sheet(rows)

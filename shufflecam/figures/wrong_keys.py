"""What wrong keys make of a frame."""

from typing import TYPE_CHECKING

from scrambler import Key
from sensor import RawFrame, develop
from shufflecam.figures.measures import neighbour_correlation, ssim
from shufflecam.figures.sheets import Panel, draw_sheet
from shufflecam.figures.statistics import colour_planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_wrong_keys(frame: RawFrame, key: Key, wrong: int = 4, name: str = "frame") -> "Figure":
    """Draw a frame with its key, with its key but one bit, and with random wrong keys.

    Each picture's title has its structural similarity with the plain one, and how neighbours of one colour correlate.

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
    one_bit_off = bytearray(key.to_bytes())
    one_bit_off[-1] ^= 1
    tried = {
        "plain": frame.unshuffle(key),
        f"{name}: as delivered": frame.as_if_natural(),
        "with the key": frame.unshuffle(key),
        "one bit of the key wrong": frame.unshuffle(Key.from_bytes(bytes(one_bit_off)), force=True),
    }
    for number in range(wrong):
        tried[f"wrong key {number + 1}"] = frame.unshuffle(Key.generate(), force=True)
    plain, panels = develop(tried["plain"]), list[Panel]()
    for title, seen in tried.items():
        picture = develop(seen)
        # Of the codes: a demosaic makes neighbours alike, whatever they are.
        likeness = f"SSIM {ssim(plain, picture, 1.0):.3f}, neighbours {neighbour_correlation(colour_planes(seen)):.3f}"
        panels.append((f"{title}\n{likeness}", picture))
    columns = min(4, len(panels))
    return draw_sheet([panels[start : start + columns] for start in range(0, len(panels), columns)])

"""RAW mosaics in the colours of their filters."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scrambler import Key
from sensor import RawFrame, srgb_encode
from sensor.cfa import cfa_tile
from shufflecam.figures.sheets import show_picture
from shufflecam.figures.style import PANEL_WIDTH_IN, house_style, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLOSE_PX = 24


def mosaic_colours(frame: RawFrame, key: Key | None = None) -> NDArray[np.float32]:
    """Return a mosaic as a picture: each value in the colour of the filter it was seen through.

    Parameters
    ----------
    frame : RawFrame
        In the order it was read out.
    key : Key, optional
        With it, values of a frame that was shuffled by single pixels get the colour of the photosite they came from;
        without, that of the slot they lie in, which is all that RAW software can do. The other units keep both equal.

    Returns
    -------
    float32, shape (H, W, 3)
        In [0, 1], with the sRGB tone curve; clear photosites are grey.

    Raises
    ------
    WrongKeyError
        If it is another key.
    """
    tile = cfa_tile(frame.cfa)
    height, width = frame.shape
    colour = np.resize(tile, (height, tile.shape[1]))[:, np.arange(width) % tile.shape[1]]
    black = np.resize(frame.black_level, (height, frame.black_level.shape[1]))
    black = black[:, np.arange(width) % frame.black_level.shape[1]]
    if key is not None and frame.is_shuffled:
        order = frame.readout_permutation(key)
        assert order is not None
        colour, black = order.shuffle(colour), order.shuffle(black)
    level = np.clip((frame.mosaic - black) / (frame.white_level - black), 0, 1)
    shade = srgb_encode(level).astype(np.float32)
    picture = np.zeros((height, width, 3), np.float32)
    for channel in range(3):
        seen = (colour == channel) | (colour == 3)
        picture[seen, channel] = shade[seen]
    return picture


def draw_mosaics(frame: RawFrame, key: Key | None = None, name: str = "frame") -> "Figure":
    """Draw a frame's mosaic in the colours of its filters, whole and close up; with the key, the natural one beside it.

    Parameters
    ----------
    frame : RawFrame
        Shuffled or natural.
    key : Key, optional
        Of the frame.
    name : str
        For the titles.

    Raises
    ------
    WrongKeyError
        If it is another key.
    """
    views = []
    if frame.is_shuffled:
        if key is not None:
            views.append((f"{name}: natural order", mosaic_colours(frame.unshuffle(key))))
        views.append((f"{name}: as read out ({frame.pattern}, {frame.unit})", mosaic_colours(frame, key)))
    else:
        views.append((f"{name}: natural order", mosaic_colours(frame)))
    height, width = frame.shape
    top, left = (max(0, (side - _CLOSE_PX) // 2) for side in (height, width))
    close = np.s_[top : top + _CLOSE_PX, left : left + _CLOSE_PX]
    with house_style():
        figure = new_figure(PANEL_WIDTH_IN * len(views), PANEL_WIDTH_IN * (min(height / width, 4) + 1) + 0.6)
        axes = figure.subplots(2, len(views), squeeze=False, height_ratios=[min(height / width, 4), 1])
        for (whole, near), (title, picture) in zip(axes.T, views, strict=True):
            show_picture(whole, picture)
            set_title(whole, title)
            show_picture(near, picture[close])
            set_title(near, f"close up: {picture[close].shape[0]} x {picture[close].shape[1]} values")
    return figure

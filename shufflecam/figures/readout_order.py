"""The order in which a sensor is read, drawn over the sensor."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scrambler import Permutation
from shufflecam.figures.style import (
    COLOUR_MAP,
    PALETTE,
    PANEL_WIDTH_IN,
    FigureError,
    house_style,
    new_figure,
    reduced,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEPS = 48


def draw_readout_order(
    order: Permutation, picture: NDArray[np.floating] | None = None, title: str = "readout", steps: int = _STEPS
) -> "Figure":
    """Draw when each photosite is read, and the way of the first ones.

    The figure is as secret as the plain picture: it shows the order of one frame. It tells nothing of other frames.

    Parameters
    ----------
    order : Permutation
        Of one frame, with its shape set: :meth:`scrambler.Multiplexer.permutation`.
    picture : float array, shape (H, W, 3), optional
        What the sensor sees, drawn faintly below the way.
    title : str
    steps : int
        Length of the way, in slots.

    Raises
    ------
    FigureError
        If the order has no shape.
    """
    if order.shape is None:
        raise FigureError("the order of a readout needs the sensor's shape: give a permutation with shape=(H, W)")
    height, width = order.shape
    when = np.asarray(order.slot, np.float64).reshape(height, width) / max(1, height * width - 1)
    first = np.asarray(order.source[: steps + 1], np.int64)
    down, right = np.divmod(first, width)
    tall = min(max(height / width, 0.3), 3)
    with house_style():
        figure = new_figure(2 * PANEL_WIDTH_IN + 1, PANEL_WIDTH_IN * tall + 0.8)
        times, way = figure.subplots(1, 2)
        # Only every n-th photosite of a large sensor; the axes still count all.
        frame = (-0.5, width - 0.5, height - 0.5, -0.5)
        drawn = times.imshow(
            reduced(when), cmap=COLOUR_MAP, vmin=0, vmax=1, interpolation="nearest", extent=frame, aspect="equal"
        )
        times.set(xlabel="column", ylabel="row")
        figure.colorbar(drawn, ax=times, label="share of the readout", shrink=0.8)
        if picture is not None:
            way.imshow(
                0.55 + 0.45 * np.clip(reduced(picture), 0, 1), cmap="gray", vmin=0, vmax=1, extent=frame, aspect="equal"
            )
        way.plot(right, down, "-", color=PALETTE[0], linewidth=0.8, alpha=0.7)
        way.scatter(right, down, c=np.arange(len(first)), cmap=COLOUR_MAP, s=14, zorder=3, edgecolors="white", lw=0.4)
        way.plot(right[:1], down[:1], "o", color=PALETTE[1], markersize=7, label="first")
        way.set(xlim=frame[:2], ylim=frame[2:], aspect="equal", xlabel="column", ylabel="row")
        set_title(times, f"{title}: when each photosite is read")
        set_title(way, f"the first {len(first)} photosites, in their order")
        way.legend(loc="upper right", fontsize=8)
    return figure

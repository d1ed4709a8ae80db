"""Histograms and neighbours of pictures, before and after a protection."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensor import RawFrame
from sensor.cfa import cfa_tile
from shufflecam.figures.measures import entropy_bits, neighbour_correlation
from shufflecam.figures.sheets import draw_counts
from shufflecam.figures.style import COLOUR_MAP, PANEL_WIDTH_IN, FigureError, house_style, new_figure, set_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 1 << 20
_BINS = 96


def colour_planes(frame: RawFrame) -> NDArray[np.uint16]:
    """Return a mosaic's codes as one plane for each place of the filter's tile: neighbours of one colour.

    Parameters
    ----------
    frame : RawFrame
        In any order.

    Returns
    -------
    uint16, shape (H // n, W // n, n * n)
        n is the side of the tile; rows and columns beyond whole tiles are left out.
    """
    side = cfa_tile(frame.cfa).shape[0]
    height, width = (length // side for length in frame.shape)
    whole = frame.mosaic[: height * side, : width * side]
    return whole.reshape(height, side, width, side).transpose(0, 2, 1, 3).reshape(height, width, side * side)


def draw_statistics(columns: Sequence[tuple[str, NDArray[np.generic]]]) -> "Figure":
    """Draw the histogram of each picture, and every value against that of its right neighbour.

    Parameters
    ----------
    columns : sequence of (title, values)
        Pictures (H, W) or (H, W, C) before and after; channels are never mixed. For RAW frames :func:`colour_planes`.

    Raises
    ------
    FigureError
        If there is nothing to draw, or a picture has fewer than two columns.
    """
    if not columns:
        raise FigureError("statistics need one picture at least")
    for title, values in columns:
        if values.ndim not in (2, 3) or values.shape[1] < 2 or values.size == 0:
            raise FigureError(f"{title}: a picture of shape {values.shape} has no neighbours to compare")
    with house_style():
        figure = new_figure(PANEL_WIDTH_IN * len(columns), 5.6)
        axes = figure.subplots(2, len(columns), squeeze=False, height_ratios=[1, 2])
        for (counts, pairs), (title, values) in zip(axes.T, columns, strict=True):
            low, high = float(values.min()), float(values.max())
            limits = (low, high if high > low else low + 1)
            draw_counts(counts, values, limits)
            counts.set(xlim=limits, xlabel="value", yticks=[])
            set_title(counts, f"{title}\nentropy {entropy_bits(values):.2f} bits a value")
            _draw_pairs(pairs, values, limits)
            right, down, both = (neighbour_correlation(values, *step) for step in ((0, 1), (1, 0), (1, 1)))
            set_title(pairs, f"neighbours correlate: {_said(right)} right,\n{_said(down)} down, {_said(both)} diagonal")
    return figure


def _said(correlation: float) -> str:
    return "none" if np.isnan(correlation) else f"{correlation:.3f}"


def _draw_pairs(axis: "Axes", values: NDArray[np.generic], limits: tuple[float, float]) -> None:
    """Draw a picture's pairs of neighbours, all channels together, as a map of their logarithmic counts."""
    one, other = (side.reshape(-1).astype(np.float64) for side in (values[:, :-1], values[:, 1:]))
    step = -(-one.size // _MOST_POINTS)
    counts, _, _ = np.histogram2d(one[::step], other[::step], bins=_BINS, range=(limits, limits))
    axis.imshow(
        np.log1p(counts).T, origin="lower", extent=(*limits, *limits), cmap=COLOUR_MAP, interpolation="nearest",
        aspect="auto",
    )  # fmt: skip
    axis.set(xlabel="value", ylabel="value of the right neighbour")

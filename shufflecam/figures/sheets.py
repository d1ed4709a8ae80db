"""Sheets: pictures side by side, with their histograms if asked."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shufflecam.figures.style import (
    CHANNEL_COLOURS,
    DASHES,
    PANEL_WIDTH_IN,
    FigureError,
    drawable,
    house_style,
    new_figure,
    reduced,
    save_figure,
    set_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE_IN, _HISTOGRAM_IN = 0.3, 0.9

Panel = tuple[str, NDArray[np.floating] | None]
"""Title, and picture: float (H, W, 3) or (H, W) in [0, 1]; None where there is nothing to see."""


def draw_sheet(rows: Sequence[Sequence[Panel]], histograms: bool = False) -> "Figure":
    """Draw panels in rows.

    Parameters
    ----------
    rows : sequence of rows of (title, picture)
        Pictures are float RGB (H, W, 3) or grey (H, W), in [0, 1]. A panel without a picture shows its title alone.
    histograms : bool
        Draw each picture's histogram of red, green and blue below it.

    Raises
    ------
    FigureError
        If there is nothing to draw.
    """
    if not any(picture is not None for row in rows for _, picture in row):
        raise FigureError("a sheet needs one picture at least")
    columns = max(len(row) for row in rows)
    heights: list[float] = []
    for row in rows:
        tallest = max((p.shape[0] / p.shape[1] for _, p in row if p is not None), default=0.2)
        # A picture of one column would be a figure of a mile.
        heights += [PANEL_WIDTH_IN * min(tallest, 4) + _TITLE_IN, *([_HISTOGRAM_IN] if histograms else [])]
    with house_style():
        figure = new_figure(PANEL_WIDTH_IN * columns, sum(heights))
        axes = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
        for axis in axes.flat:
            axis.set_axis_off()
        step = 2 if histograms else 1
        for number, row in enumerate(rows):
            for column, (title, picture) in enumerate(row):
                axis = axes[step * number, column]
                if picture is None:
                    axis.text(
                        0.5, 0.5, drawable(title), ha="center", va="center", fontsize=10, transform=axis.transAxes
                    )
                    continue
                show_picture(axis, picture)
                set_title(axis, title)
                if histograms:
                    _histogram(axes[step * number + 1, column], picture)
    return figure


def write_figure(path: Path, rows: Sequence[Sequence[Panel]], histograms: bool = False) -> None:
    """Write :func:`draw_sheet` as PNG, PDF or SVG, atomically."""
    save_figure(path, draw_sheet(rows, histograms))


def show_picture(axis: "Axes", picture: NDArray[np.floating]) -> None:
    """Draw a picture in [0, 1], grey or RGB, without a frame."""
    axis.set_axis_off()
    # Nearest: smoothing would average the noise of a shuffled frame into a flat grey.
    axis.imshow(np.clip(reduced(picture), 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _histogram(axis: "Axes", picture: NDArray[np.floating]) -> None:
    """Draw the channels' value counts."""
    axis.set_axis_on()
    axis.set_yticks([])
    axis.set_xlim(0, 1)
    draw_counts(axis, picture, (0.0, 1.0))


def draw_counts(axis: "Axes", values: NDArray[np.generic], limits: tuple[float, float]) -> None:
    """Draw how often values occur: a line for each of three channels, one for everything else."""
    channels = np.moveaxis(values, 2, 0) if values.ndim == 3 and values.shape[2] == 3 else values[None]
    colours = CHANNEL_COLOURS if len(channels) == 3 else ("black",)
    for channel, colour, dashes in zip(channels, colours, DASHES, strict=False):
        counts, edges = np.histogram(channel, bins=64, range=limits)
        axis.stairs(counts, edges, color=colour, linestyle=dashes)

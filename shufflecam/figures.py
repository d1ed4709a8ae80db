"""Figures: pictures side by side, with their histograms if asked."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray

from scrambler.files import atomic_file

_PANEL_WIDTH_IN, _TITLE_IN, _HISTOGRAM_IN = 3.6, 0.3, 0.9

Panel = tuple[str, NDArray[np.floating]]


def write_figure(path: Path, rows: Sequence[Sequence[Panel]], histograms: bool = False) -> None:
    """Write panels as one PNG, atomically.

    Parameters
    ----------
    path : Path
        Ends in ``.png``.
    rows : sequence of rows of (title, picture)
        Pictures are float RGB (H, W, 3) in [0, 1]; equally many in each row.
    histograms : bool
        Draw each picture's histogram of red, green and blue below it.
    """
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    columns = max(len(row) for row in rows)
    heights: list[float] = []
    for row in rows:
        tallest = max(picture.shape[0] / picture.shape[1] for _, picture in row)
        heights += [_PANEL_WIDTH_IN * tallest + _TITLE_IN, *([_HISTOGRAM_IN] if histograms else [])]
    figure = Figure(figsize=(_PANEL_WIDTH_IN * columns, sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
    for axis in axes.flat:
        axis.set_axis_off()
    step = 2 if histograms else 1
    for number, row in enumerate(rows):
        for column, (title, picture) in enumerate(row):
            axis = axes[step * number, column]
            # Nearest: smoothing would average the noise of a shuffled frame into a flat grey.
            axis.imshow(np.clip(picture, 0, 1), interpolation="nearest")
            axis.set_title(title, fontsize=10)
            if histograms:
                _histogram(axes[step * number + 1, column], picture)
    with atomic_file(path) as file:
        figure.savefig(file, format="png", dpi=110)


def _histogram(axis: "matplotlib.axes.Axes", picture: NDArray[np.floating]) -> None:
    """Draw the three channels' value counts."""
    axis.set_axis_on()
    axis.set_yticks([])
    axis.set_xlim(0, 1)
    for channel, colour in enumerate(("tab:red", "tab:green", "tab:blue")):
        counts, edges = np.histogram(picture[:, :, channel], bins=64, range=(0, 1))
        axis.stairs(counts, edges, color=colour)

"""A readout's timeline as a picture."""

import io

import numpy as np

from sensor.readout_timing import ReadoutTimeline

_CLOSE_ROWS = 8
_STAGES = (
    ("select and settle", "settle_s", "convert_s"),
    ("convert", "convert_s", "shift_s"),
    ("shift out", "shift_s", "end_s"),
)
_ONE_BY_ONE = (("select and convert, one photosite after the other", "settle_s", "end_s"),)


def timeline_png(timeline: ReadoutTimeline) -> bytes:
    """Return a PNG: when every row of the sensor is exposed and read, and the first rows' stages close up."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    whole, close = figure.subplots(1, 2)
    # With random access, a row of the readout holds photosites of many rows of the sensor.
    mixed = bool((timeline.row < 0).any())
    row = np.arange(len(timeline.row)) if mixed else timeline.row
    label = "row of the readout" if mixed else "row of the sensor"
    by_row = np.argsort(row)
    reset, end = 1e3 * timeline.reset_s[by_row], 1e3 * timeline.exposure_end_s[by_row]
    whole.barh(np.arange(len(by_row)), end - reset, left=reset, height=1.0, color="0.8", label="exposure")
    whole.plot(1e3 * timeline.settle_s, row, ".", markersize=1, color="C3", label="read")
    whole.set(xlabel="ms since the first row is read", ylabel=label, title="the whole frame")
    shown = range(min(_CLOSE_ROWS, len(row)))
    for number, (name, begin, stop) in enumerate(_ONE_BY_ONE if mixed else _STAGES):
        first, last = 1e6 * getattr(timeline, begin)[: len(shown)], 1e6 * getattr(timeline, stop)[: len(shown)]
        close.barh(shown, last - first, left=first, color=f"C{number}", label=name)
    close.set_yticks(shown, [str(row[place]) for place in shown])
    close.set(xlabel="us since the first row is read", ylabel=label, title="the first rows")
    for axes in (whole, close):
        axes.invert_yaxis()
        axes.legend(loc="upper right", markerscale=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()

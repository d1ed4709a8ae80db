"""Which circuit a readout needs: row decoders, line buffers, a frame memory, a switch network or random access."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrambler import Multiplexer, Permutation
from scrambler.patterns import parse_pattern
from sensor.readout_timing import keeps_rows


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """The way of a frame's photosites from the array to the link.

    Attributes
    ----------
    kind : str
        ``"plain"``; ``"row-addressed"``: rows are selected and latches scanned in the key's order; ``"line buffers"``
        and ``"frame memory"``: rows from the top, the key's order behind the converters; ``"row decoder"`` and
        ``"switch network"``: rows in the key's order, and columns through switches before the converters;
        ``"random access"``: every photosite on its own.
    rows : ndarray of int64, shape (H,)
        Row of the sensor selected at each place; -1 for each with random access.
    buffered_rows : int
        Rows that one bank of the buffers holds, 0 without buffers.
    banks : int
        2 where one bank fills while the other is read.
    """

    kind: str
    rows: NDArray[np.int64]
    buffered_rows: int = 0
    banks: int = 0


def circuit_of(
    multiplexer: Multiplexer | None,
    order: Permutation | None,
    shape: tuple[int, int],
    period: tuple[int, int],
    stage: str,
) -> Circuit:
    """Return the circuit for the order of one frame.

    Parameters
    ----------
    multiplexer : Multiplexer or None
        None reads naturally.
    order : Permutation or None
        What it does to this frame.
    shape, period : (int, int)
        Size of the frame, and of the colour filter's tile.
    stage : str
        ``"post-adc"`` or ``"pre-adc"``.
    """
    height, width = shape
    natural = np.arange(height)
    if multiplexer is None or order is None:
        return Circuit(kind="plain", rows=natural)
    source = order.source.reshape(shape) // width
    card, number = parse_pattern(multiplexer.pattern)
    kind = card.name.partition(":")[0]
    rows = source[:, 0].astype(np.int64)
    if stage == "pre-adc":
        if keeps_rows(source):
            return Circuit(kind="row decoder" if kind == "rows" else "switch network", rows=rows)
        return Circuit(kind="random access", rows=np.full(height, -1))
    if kind in ("rows", "columns", "rows+columns") and keeps_rows(source):
        return Circuit(kind="row-addressed", rows=rows)
    if kind in ("lines", "tiles"):
        cell = 1 if multiplexer.unit_for(rgb=False) == "pixel" else period[0]
        return Circuit(kind="line buffers", rows=natural, buffered_rows=number * cell, banks=2)
    return Circuit(kind="frame memory", rows=natural, buffered_rows=height, banks=1)

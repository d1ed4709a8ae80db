"""What happens when in an emulated readout, one line an event."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIONS = (
    "reset row",
    "end exposure",
    "select row",
    "sample reset",
    "sample signal",
    "start conversion",
    "latch codes",
    "start link",
    "end link",
)
"""In the order in which they happen to a row; two at the same time are listed in this order."""


@dataclass(frozen=True, kw_only=True)
class EventTable:
    """Events in the order of time.

    Attributes
    ----------
    time_s : ndarray of float64, shape (events,)
        Time since the first row is selected.
    action : ndarray of uint8, shape (events,)
        Number in :data:`ACTIONS`.
    place : ndarray of int64, shape (events,)
        Place of the row in the readout.
    row : ndarray of int64, shape (events,)
        Row of the sensor; -1 where a row of the readout holds photosites of several.
    """

    time_s: NDArray[Any]
    action: NDArray[Any]
    place: NDArray[Any]
    row: NDArray[Any]

    @classmethod
    def of(cls, times_s: dict[str, NDArray[Any]], rows: dict[str, NDArray[Any]]) -> "EventTable":
        """Return the table of columns of times, one entry a place, and of the rows they belong to."""
        count = len(next(iter(times_s.values())))
        time = np.concatenate(list(times_s.values()))
        action = np.repeat([ACTIONS.index(name) for name in times_s], count).astype(np.uint8)
        place = np.tile(np.arange(count), len(times_s))
        row = np.concatenate([rows[name] for name in times_s])
        order = np.lexsort((place, action, time))
        return cls(time_s=time[order], action=action[order], place=place[order], row=row[order])

    def __len__(self) -> int:
        return len(self.time_s)

    def to_csv(self) -> str:
        """Return the table as comma-separated text with one heading line."""
        lines = [
            f"{time:.12g},{ACTIONS[action]},{place},{row}"
            for time, action, place, row in zip(
                self.time_s.tolist(), self.action.tolist(), self.place.tolist(), self.row.tolist(), strict=True
            )
        ]
        return "\n".join(["time_s,action,place,row", *lines]) + "\n"

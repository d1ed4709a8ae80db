"""Events as a value change dump (IEEE 1364-2005, section 18), for GTKWave and other wave viewers."""

from pathlib import Path

from scrambler.files import write_atomically
from sensor.emulator.events import ACTIONS, EventTable

_SIGNALS = {"reset_row": 17, "select_row": 17, "place": 17, "sample": 2, "convert": 1, "latch": 1, "link": 1}
_MARKS = dict(zip(_SIGNALS, "!#$%&'(", strict=True))
PS_A_SECOND = 10**12


def write_vcd(events: EventTable, path: str | Path, *, most_places: int = 64) -> None:
    """Write the first rows of a readout as a VCD file, replacing ``path`` in one step.

    Signals: ``reset_row`` and ``select_row`` (rows of the sensor; all ones before the first and for mixed rows),
    ``place`` (of the row in the readout), ``sample`` (1 while the reset level is held, 2 while the signal is),
    ``convert``, ``latch`` (turns over with each row latched) and ``link``.

    Parameters
    ----------
    events : EventTable
        See :attr:`sensor.emulator.Emulation.events`.
    path : str or Path
        File to write. Time 0 of the file, in picoseconds, is the first event.
    most_places : int
        How many rows of the readout to write.
    """
    changes: list[tuple[int, str, int]] = []
    rows = zip(events.time_s, events.action, events.place, events.row, strict=True)
    kept = [(round(t * PS_A_SECOND), ACTIONS[a], int(p), int(r)) for t, a, p, r in rows if p < most_places]
    start = kept[0][0] if kept else 0
    latched = 0
    for time, action, place, row in kept:
        at = time - start
        if action == "reset row":
            changes.append((at, "reset_row", row))
        elif action == "select row":
            changes += [(at, "select_row", row), (at, "place", place), (at, "sample", 0)]
        elif action in ("sample reset", "sample signal"):
            changes.append((at, "sample", 1 if action == "sample reset" else 2))
        elif action == "start conversion":
            changes.append((at, "convert", 1))
        elif action == "latch codes":
            latched ^= 1
            changes += [(at, "convert", 0), (at, "latch", latched)]
        elif action in ("start link", "end link"):
            changes.append((at, "link", int(action == "start link")))
    write_atomically(path, _text(changes).encode("ascii"))


def _text(changes: list[tuple[int, str, int]]) -> str:
    lines = ["$version ShuffleCam $end", "$timescale 1 ps $end", "$scope module readout $end"]
    lines += [f"$var wire {width} {_MARKS[name]} {name} $end" for name, width in _SIGNALS.items()]
    lines += ["$upscope $end", "$enddefinitions $end", "#0", "$dumpvars"]
    idle = {name: -1 if name in ("reset_row", "select_row", "place") else 0 for name in _SIGNALS}
    lines += [_change(name, value) for name, value in idle.items()]
    lines.append("$end")
    at = 0
    # A signal that ends and begins again at one instant ends first.
    for time, name, value in sorted(changes, key=lambda change: change[0]):
        if time != at:
            lines.append(f"#{time}")
            at = time
        lines.append(_change(name, value))
    return "\n".join(lines) + "\n"


def _change(name: str, value: int) -> str:
    width = _SIGNALS[name]
    bits = format(value & ((1 << width) - 1), "b")
    return f"{bits}{_MARKS[name]}" if width == 1 else f"b{bits} {_MARKS[name]}"

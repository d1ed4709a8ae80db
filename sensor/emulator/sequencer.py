"""The sequencer: it starts each row as soon as every stage can take it, and so finds the row time by itself."""

from dataclasses import dataclass

import numpy as np

from sensor.emulator.circuit import Circuit
from sensor.emulator.events import EventTable
from sensor.params import SensorParams
from sensor.readout_timing import ReadoutTimeline, link_time_s


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When everything happens.

    Attributes
    ----------
    timeline : ReadoutTimeline
        What each row did when; its last stage, shifting out, ends in the buffers where there are any.
    events : EventTable
        The same and the link.
    row_time_s, frame_time_s : float
        From one row and from one frame to the next.
    """

    timeline: ReadoutTimeline
    events: EventTable
    row_time_s: float
    frame_time_s: float


def row_schedule(
    params: SensorParams,
    circuit: Circuit,
    shape: tuple[int, int],
    exposure_s: float,
    *,
    cycles_a_conversion: int,
    closed_s: float,
) -> Schedule:
    """Return the schedule of a readout row by row.

    Three stages work on three successive rows. A row is selected when the row before it has left the column lines,
    and so late that it finds the converters and the link free when it gets there; the link's pause comes on top.
    After the last row, the sequencer goes on through the blank rows to the next frame.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    circuit : Circuit
        Rows in their order, and buffers.
    shape : (int, int)
        Size of the frame.
    exposure_s : float
        Exposure time.
    cycles_a_conversion : int
        Clocks of the converters for one conversion.
    closed_s : float
        Time for which the switches of a network stay closed.
    """
    height, width = shape
    settle_s = params.analog_row_s + closed_s
    convert_s = params.conversions_per_read * (cycles_a_conversion / params.converter_clock_hz)
    shift_s = link_time_s(params, width)
    count = height + params.blank_rows + 1
    select, convert, latch, end = (np.zeros(count) for _ in range(4))
    lines_free = converters_free = link_free = 0.0
    for place in range(count):
        start = max(lines_free, converters_free - settle_s, link_free - settle_s - convert_s)
        select[place] = start + (params.line_overhead_s if place else 0.0)
        lines_free = convert[place] = select[place] + settle_s
        converters_free = latch[place] = convert[place] + convert_s
        link_free = end[place] = latch[place] + shift_s
    frame_time_s = float(select[-1])
    row_time_s = float(select[1])
    select, convert, latch, end = (part[:height] for part in (select, convert, latch, end))
    # What a buffer of so many rows holds leaves it when the buffer is full, a row at a time.
    waits_s = circuit.buffered_rows * row_time_s
    exposure_end = select if params.shutter == "rolling" else np.zeros(height)
    timeline = ReadoutTimeline(
        row=circuit.rows,
        reset_s=exposure_end - exposure_s,
        exposure_end_s=exposure_end,
        settle_s=select,
        convert_s=convert,
        shift_s=latch,
        end_s=end,
    )
    # Reset level first, then the charge is transferred: half of the analogue time each.
    times = {
        "reset row": timeline.reset_s,
        "end exposure": timeline.exposure_end_s,
        "select row": select,
        "sample reset": select + params.analog_row_s / 2,
        "sample signal": select + params.analog_row_s,
        "start conversion": convert,
        "latch codes": latch,
        "start link": latch + waits_s,
        "end link": end + waits_s,
    }
    delivered = np.full(height, -1) if circuit.buffered_rows else circuit.rows
    rows = {name: delivered if "link" in name else circuit.rows for name in times}
    return Schedule(
        timeline=timeline, events=EventTable.of(times, rows), row_time_s=row_time_s, frame_time_s=frame_time_s
    )


def random_access_schedule(
    params: SensorParams, shape: tuple[int, int], exposure_s: float, cycles_a_conversion: int
) -> Schedule:
    """Return the schedule of a readout that selects, samples and converts each photosite on its own.

    One entry a row of the readout: from its first photosite's select to its last one's code. The link's pace is the
    converters' own.

    Parameters
    ----------
    params, shape, exposure_s, cycles_a_conversion
        As for :func:`row_schedule`.
    """
    height, width = shape
    convert_s = params.conversions_per_read * (cycles_a_conversion / params.converter_clock_hz)
    pixel_s = params.analog_row_s + convert_s
    starts = np.arange(height) * (width * pixel_s)
    ends = starts + width * pixel_s
    exposure_end = starts if params.shutter == "rolling" else np.zeros(height)
    mixed = np.full(height, -1)
    timeline = ReadoutTimeline(
        row=mixed,
        reset_s=exposure_end - exposure_s,
        exposure_end_s=exposure_end,
        settle_s=starts,
        convert_s=starts + params.analog_row_s,
        shift_s=ends,
        end_s=ends,
    )
    times = {
        "reset row": timeline.reset_s,
        "end exposure": exposure_end,
        "select row": starts,
        "sample reset": starts + params.analog_row_s / 2,
        "sample signal": starts + params.analog_row_s,
        "start conversion": timeline.convert_s,
        "latch codes": ends,
        "start link": starts + pixel_s,
        "end link": ends,
    }
    return Schedule(
        timeline=timeline,
        events=EventTable.of(times, dict.fromkeys(times, mixed)),
        row_time_s=width * pixel_s,
        frame_time_s=height * width * pixel_s,
    )

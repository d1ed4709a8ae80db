"""Figures of the readout circuit, from which timing and energy follow."""

from dataclasses import dataclass

CONVERTERS = ("single-slope", "sar")
SHUTTERS = ("rolling", "global")


@dataclass(frozen=True, kw_only=True)
class CircuitFigures:
    """One converter a column, as in most image sensors; see :mod:`sensor.readout_timing` for the equations.

    Attributes
    ----------
    converter : str
        ``"single-slope"``: counts while one ramp for all columns rises. ``"sar"``: halves the range once a bit.
    converter_clock_hz : float
        Clock of the converters.
    conversions_per_read : int
        2 when reset and signal level are both converted (digital double sampling), else 1.
    analog_row_s : float
        Time to select, reset, transfer and settle one row.
    line_overhead_s : float
        Time the link spends between two rows on anything but pixels.
    blank_rows : int
        Row times between two frames.
    link_lanes : int
        Data lanes to the outside.
    link_bits_per_s : float
        Bits a second of one lane.
    process_nm, supply_v : float
        Process of the pixel array, which sets the wires' capacitance, and supply of its drivers.
    conversion_gain_v_per_e : float
        Volts an electron makes at the column.
    shutter : str
        ``"rolling"``: each row is exposed just before it is read. ``"global"``: all rows together, and their charge
        waits in storage nodes.
    """

    converter: str = "single-slope"
    converter_clock_hz: float = 500e6
    conversions_per_read: int = 2
    analog_row_s: float = 5e-6
    line_overhead_s: float = 0.0
    blank_rows: int = 0
    link_lanes: int = 2
    link_bits_per_s: float = 1e9
    process_nm: float = 90.0
    supply_v: float = 2.8
    conversion_gain_v_per_e: float = 1e-4
    shutter: str = "rolling"


CIRCUIT_RANGES: dict[str, tuple[float, float]] = {
    "converter_clock_hz": (1e3, 1e12),
    "conversions_per_read": (1, 64),
    "analog_row_s": (0, 1),
    "line_overhead_s": (0, 1),
    "blank_rows": (0, 1 << 20),
    "link_lanes": (1, 1024),
    "link_bits_per_s": (1e3, 1e13),
    "process_nm": (1, 10_000),
    "supply_v": (0.1, 100),
    "conversion_gain_v_per_e": (1e-7, 1e-2),
}
"""Smallest and largest value of each figure that is a number."""

"""Gate equivalents of keyed readouts: what Yosys counts in the Verilog that `sensor.rtl` exports.

Measured with Yosys 0.23 by tests/sensor/test_gate_counts.py: generic synthesis down to NAND, NOT and flip-flops, zones
and rounds each on their own. A NAND counts 1, a NOT 2/3, a flip-flop 5. Memories (tables, line buffers) count as bits
and not as gates. Generators are pipelined, one address a clock.
"""

import math
from dataclasses import dataclass

from sensor.errors import CaptureError
from sensor.readout_counts import benes_switches
from sensor.rtl.design import Design

GENERATOR_GATES = {
    "feistel": {64: 20_150, 1520: 36_350, 2028: 47_000, 32_448: 48_700, 1520 * 2028: 54_150},
    "light": {64: 3400, 1520: 7000, 2028: 9900, 32_448: 11_100, 1520 * 2028: 12_050},
}
"""By addresses: 8 x 8 cells, the rows, the columns, 16 rows and all of the IMX477's quads. What the scaling to a radix
costs differs from one radix to the next, by a fifth at most sizes; a power of two is free."""

TOP_GATES = 3150
"""Of ``readout_order`` around its zones: slot counters, and the address in the line buffer or frame memory."""

SCAN_GATES = {
    "rows": 3150, "columns": 5800, "rows+columns": 5200, "frame": 6450, "lines": 7450, "tiles": 6000, "blocks": 5900,
}  # fmt: skip
"""Row scan and column scan of one zone by pattern: counters, segments, pipeline of what goes along with an address."""

LINE_BUFFER_GATES = 420
"""Of ``line_buffer`` beside its two memories."""

SETTING_GATES = 16.7
"""Of one switch's setting in ``benes_network``: a bit shifted in, and one in force."""


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Gate equivalents of one keyed readout.

    Attributes
    ----------
    generators : int
        Address generators; 0 for tables, which are memories.
    scan : int
        Row and column scan.
    line_buffers : int
        Control of the line buffers.
    settings : int
        Registers for the settings of an analogue switch network.
    """

    generators: int = 0
    scan: int = 0
    line_buffers: int = 0
    settings: int = 0

    @property
    def working(self) -> int:
        """Those that work for every photosite."""
        return self.generators + self.scan + self.line_buffers

    @property
    def total(self) -> int:
        """All of them."""
        return self.working + self.settings


def generator_gates(addresses: int, generator: str) -> int:
    """Return the gate equivalents of a generator: those of the measured size that is nearest, as a ratio.

    Raises
    ------
    CaptureError
        If there are no gate counts of such a generator.

    Examples
    --------
    >>> generator_gates(1000, "feistel"), generator_gates(12_000_000, "light")
    (36350, 12050)
    """
    if generator not in GENERATOR_GATES:
        raise CaptureError(
            f"there are no gate counts of generator {generator!r}: choose {' or '.join(GENERATOR_GATES)}"
        )
    measured = GENERATOR_GATES[generator]
    return measured[min(measured, key=lambda size: abs(math.log(size / max(1, addresses))))]


def readout_gates(design: Design, *, switch_ports: int = 0) -> Gates:
    """Return the gates of a design; of each zone, because each has generators of its own.

    Parameters
    ----------
    design : Design
        What is exported.
    switch_ports : int
        Width of an analogue switch network before the converters, 0 without one.
    """
    generators = 0
    for zone in design.zones:
        if zone.orders_rows:
            generators += generator_gates(zone.rows, design.generator)
        if zone.segments:
            generators += generator_gates(zone.length, design.generator)
    return Gates(
        generators=generators,
        scan=TOP_GATES + len(design.zones) * SCAN_GATES[design.kind],
        line_buffers=LINE_BUFFER_GATES if design.buffer_rows else 0,
        settings=round(benes_switches(switch_ports) * SETTING_GATES),
    )

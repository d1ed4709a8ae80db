"""What each keyed readout costs: time, memory, switches, gates, energy, and how many keys it has.

Equations and constants: docs, sensor, section 4; each constant below names its own source.
"""

from dataclasses import dataclass

from scrambler.multiplexer import check_unit
from scrambler.patterns import parse_pattern
from sensor.cfa import cfa_tile
from sensor.params import SensorParams
from sensor.readout_counts import benes_switches, order_bits
from sensor.readout_gates import Gates, readout_gates
from sensor.readout_timing import random_access_time_s, row_time_s
from sensor.rtl.design import Design
from sensor.switch_network import SwitchNetwork

KEY_BITS = 256
"""Bits of the key behind every permutation: no pattern can have more keys than that."""

PATTERNS = ("frame", "rows", "columns", "rows+columns", "lines:16", "tiles:8", "blocks:8")
"""One of each, for the comparison."""

CONVERTER_J_PER_STEP = 100e-15
"""Energy of a column converter for each of its 2**N steps: default of the CamJ energy model."""

LINK_J_PER_BIT = 100e-12 / 8
"""Energy of a MIPI link, 100 pJ a byte (CamJ)."""

WIRE_F_PER_PIXEL = 9e-15
"""Wire capacitance of a row or column line at 130 nm and a pitch of 5 um (CamJ)."""

COLUMN_SWING_V = 1.0
"""Swing of a column line between reset and a bright pixel. Assumed: half of what source followers reach."""

MEMORY_J_PER_BIT = 50e-15
"""Writing and reading one bit of on-chip static memory. Assumed: usual order of magnitude at 65 to 90 nm."""

GATE_J = 1e-15
"""One gate equivalent's switching for one address. Assumed: 2 fJ a transition at 90 nm, half the gates active."""

SWITCH_J = 2e-15
"""Turning one pass gate of the analogue network. Assumed: 0.3 fF of gate capacitance at 2.8 V."""


@dataclass(frozen=True, kw_only=True)
class ReadoutCost:
    """One keyed readout of one sensor.

    Attributes
    ----------
    pattern, unit, stage, circuit : str
        Which readout, and what it is made of.
    row_time_s, frame_time_s, frame_rate_hz : float
        Timing; a readout without rows has a row time of its frame time over the rows.
    memory_bits : int
        Line buffers or frame memory beyond the latches that every column-parallel sensor has.
    switches : int
        2 x 2 switches of an analogue network.
    gates : int
        Gate equivalents of everything digital, measured with Yosys on the exported Verilog.
    gate_parts : Gates
        What they are for, see :mod:`sensor.readout_gates`.
    energy_j : float
        Of one frame.
    key_bits : float
        Bits of key space: log2 of the number of orders, at most 256.
    order_bits : float
        log2 of the number of orders, whatever the key's length.
    leak : str
        What one frame gives away without the key, as measured (docs/security.md).
    """

    pattern: str
    unit: str
    stage: str
    circuit: str
    row_time_s: float
    frame_time_s: float
    frame_rate_hz: float
    memory_bits: int
    switches: int
    gates: int
    gate_parts: Gates
    energy_j: float
    key_bits: float
    order_bits: float
    leak: str


def compare_readouts(
    params: SensorParams,
    *,
    shape: tuple[int, int] | None = None,
    unit: str = "quad",
    patterns: tuple[str, ...] = PATTERNS,
    generator: str = "feistel",
) -> list[ReadoutCost]:
    """Return the cost of every pattern on one sensor, and of a readout without a key first.

    Patterns that today's column-parallel sensors can also do before the converters are given at both stages.

    Parameters
    ----------
    params : SensorParams
        The sensor.
    shape : tuple of int, optional
        Frame size; the sensor's own by default.
    unit : str
        "pixel", "quad" or "plane".
    patterns : tuple of str
        Patterns of :class:`scrambler.Multiplexer`.
    generator : {"feistel", "light"}
        The address generators, of which there is one for each zone of :class:`sensor.rtl.Design`.

    Raises
    ------
    PatternError
        For an unknown pattern or unit.
    CaptureError
        For a generator without measured gates.
    """
    size = (params.height_px, params.width_px) if shape is None else shape
    meter = _Meter(params, size, check_unit(unit), generator)
    costs = [meter.plain()]
    for pattern in patterns:
        costs += meter.keyed(pattern)
    return costs


class _Meter:
    """The sums behind one table."""

    def __init__(self, params: SensorParams, shape: tuple[int, int], unit: str, generator: str) -> None:
        self.generator = generator
        self.params = params
        self.height, self.width = shape
        self.unit = unit
        rows, columns = cfa_tile(params.cfa).shape
        self.period = (rows, columns)
        self.line_bits = self.width * params.bit_depth

    def plain(self) -> ReadoutCost:
        return self._cost("none", "-", "column-parallel", leak="everything")

    def keyed(self, pattern: str) -> list[ReadoutCost]:
        card, size = parse_pattern(pattern)
        kind = card.name.partition(":")[0]
        if kind == "frame" or (self.unit == "plane" and "rows" in kind):
            # With planes, a row of the readout holds photosites of several rows of the sensor.
            return [
                self._cost(pattern, "post-adc", "frame memory", memory=self.height * self.line_bits),
                self._cost(pattern, "pre-adc", "random access", random_access=True),
            ]
        if kind == "rows":
            return [self._cost(pattern, "post-adc", "row decoder")]
        if "columns" in kind:
            return [
                self._cost(pattern, "post-adc", "address generators"),
                self._cost(pattern, "pre-adc", "switch network", switched=True),
            ]
        if kind == "blocks":
            return [self._cost(pattern, "post-adc", "frame memory", memory=self.height * self.line_bits)]
        # Lines and tiles: one set of buffers fills while the other is read.
        buffered = size * (1 if self.unit == "pixel" else self.period[0])
        memory = 2 * buffered * self.line_bits
        return [self._cost(pattern, "post-adc", f"2 x {buffered} line buffers", memory=memory)]

    def _cost(
        self,
        pattern: str,
        stage: str,
        circuit: str,
        *,
        memory: int = 0,
        switched: bool = False,
        random_access: bool = False,
        leak: str | None = None,
    ) -> ReadoutCost:
        params, shape = self.params, (self.height, self.width)
        switches = benes_switches(self.width) if switched else 0
        network = SwitchNetwork() if switched else None
        row_s = row_time_s(params, self.width, network)
        frame_s = (self.height + params.blank_rows) * row_s
        if random_access:
            frame_s = random_access_time_s(params, shape)
            row_s = frame_s / self.height
        gates, bits = Gates(), 0.0
        if pattern != "none":
            design = Design(shape=shape, pattern=pattern, unit=self.unit, period=self.period, generator=self.generator)
            gates = readout_gates(design, switch_ports=self.width if switched else 0)
            bits = order_bits(pattern, shape, self.unit, self.period)
        return ReadoutCost(
            pattern=pattern,
            unit=self.unit,
            stage=stage,
            circuit=circuit,
            row_time_s=row_s,
            frame_time_s=frame_s,
            frame_rate_hz=1 / frame_s,
            memory_bits=memory,
            switches=switches,
            gates=gates.total,
            gate_parts=gates,
            energy_j=self._energy_j(memory, switches, gates.working, random_access=random_access),
            key_bits=min(bits, KEY_BITS),
            order_bits=bits,
            leak=parse_pattern(pattern)[0].leak if leak is None else leak,
        )

    def _energy_j(self, memory: int, switches: int, gates: int, *, random_access: bool) -> float:
        r"""Return :math:`HW (E_p + n E_c + E_k) + N_r C_r V^2 + HWN (E_l + E_m) + H E_s`, in joules."""
        params = self.params
        pixels = self.height * self.width
        wire_f = WIRE_F_PER_PIXEL * params.process_nm / 130 * params.pixel_pitch_um / 5
        column_j = wire_f * self.height * COLUMN_SWING_V * params.supply_v
        converter_j = params.conversions_per_read * CONVERTER_J_PER_STEP * (1 << params.bit_depth)
        row_selects = pixels if random_access else self.height
        row_j = row_selects * wire_f * self.width * params.supply_v**2
        bit_j = LINK_J_PER_BIT + (MEMORY_J_PER_BIT if memory else 0.0)
        return (
            pixels * (column_j + converter_j + gates * GATE_J + params.bit_depth * bit_j)
            + row_j
            + self.height * switches * SWITCH_J
        )

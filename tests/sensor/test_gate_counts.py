"""The gate counts in the readout report: sums by hand, and Yosys on the Verilog that is exported."""

import re
import shutil
import subprocess

import pytest

from scrambler.feistel import ROUNDS, domain_of
from sensor import CaptureError, compare_readouts, sensor_preset
from sensor.readout_counts import benes_switches
from sensor.readout_gates import (
    GENERATOR_GATES,
    LINE_BUFFER_GATES,
    SCAN_GATES,
    SETTING_GATES,
    TOP_GATES,
    generator_gates,
    readout_gates,
)
from sensor.rtl import Design, benes_module, export_rtl
from sensor.rtl.design import bits_for

needs_yosys = pytest.mark.skipif(shutil.which("yosys") is None, reason="yosys is not installed (Debian: yosys)")
IMX477 = (3040, 4056)
DOMAINS = {64: (1, 64), 1520: (1, 1520), 2028: (1, 2028), 32_448: (1, 32_448), 1520 * 2028: (1520, 2028)}


def test_gates_are_those_of_every_zone_and_generator():
    # 1520 x 2028 quads; tiles of 8 leave half a tile at the right: a zone with generators of its own.
    generators = {zone.length for zone in Design(shape=IMX477, pattern="tiles:8").zones}
    assert generators == {64, 32}
    tiles = readout_gates(Design(shape=IMX477, pattern="tiles:8"))
    assert tiles.generators == 2 * GENERATOR_GATES["feistel"][64]
    assert tiles.scan == TOP_GATES + 2 * SCAN_GATES["tiles"]
    assert tiles.line_buffers == LINE_BUFFER_GATES
    both = readout_gates(Design(shape=IMX477, pattern="rows+columns"), switch_ports=64)
    assert both.generators == GENERATOR_GATES["feistel"][1520] + GENERATOR_GATES["feistel"][2028]
    assert both.settings == round(352 * SETTING_GATES)
    assert both.total == both.working + both.settings
    # Four colour planes are four zones.
    planes = readout_gates(Design(shape=IMX477, pattern="frame", unit="plane"))
    assert planes.generators == 4 * GENERATOR_GATES["feistel"][1520 * 2028]


def test_the_report_has_the_gates_of_every_pattern():
    params = sensor_preset("imx477")
    costs = compare_readouts(params)
    assert costs[0].gates == 0
    for cost in costs[1:]:
        assert cost.gates == cost.gate_parts.total > SCAN_GATES["rows"]
        assert (cost.gate_parts.settings > 0) == (cost.switches > 0)
    light = compare_readouts(params, generator="light")
    assert all(one.gates < other.gates for one, other in zip(light[1:], costs[1:], strict=True))


def test_a_generator_without_counts_is_refused():
    with pytest.raises(CaptureError, match="no gate counts of generator 'table': choose feistel or light"):
        generator_gates(64, "table")


def gates_of(folder, sources, top, parameters=()):
    """Return the gate equivalents of each module, synthesised on its own."""
    setting = " ".join(f"-set {name} {value}" for name, value in parameters)
    script = (
        f"read_verilog {' '.join(sources)}; {f'chparam {setting} {top};' if setting else ''}"
        f" hierarchy -check -top {top}; proc; opt -nodffe -nosdff;"
        " select -assert-none t:$dlatch; memory -nomap; techmap; opt -nodffe -nosdff;"
        " dfflegalize -cell $_DFF_P_ 01; opt -nodffe -nosdff; abc -g NAND; opt_clean; tee -q -o stat.txt stat"
    )
    done = subprocess.run(["yosys", "-q", "-p", script], cwd=folder, capture_output=True, text=True, check=True)
    assert "Warning" not in done.stdout + done.stderr
    weights = {"$_NAND_": 1.0, "$_NOT_": 2 / 3, "$_DFF_P_": 5.0}
    counts, module = {}, ""
    for line in (folder / "stat.txt").read_text().splitlines():
        if line.startswith("==="):
            module = line.strip("= ")
            counts[module] = 0.0
        elif found := re.match(r"\s+(\$\w+)\s+(\d+)$", line):
            counts[module] += weights.get(found[1], 0.0) * int(found[2])
    return counts


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize("pattern", SCAN_GATES)
def test_yosys_finds_the_gates_of_the_scans(tmp_path, pattern):
    name = {"lines": "lines:16", "tiles": "tiles:8", "blocks": "blocks:8"}.get(pattern, pattern)
    design = Design(shape=IMX477, pattern=name)
    export_rtl(design, tmp_path, most_slots=16)
    counts = gates_of(tmp_path, ["readout_order.v", "keyed_round.v", "keyed_bijection.v"], "readout_order")
    assert counts["readout_order"] == pytest.approx(TOP_GATES, rel=0.06)
    zones = [gates for module, gates in counts.items() if module.startswith("zone_of")]
    assert len(zones) == len(design.zones)
    assert zones == pytest.approx([SCAN_GATES[pattern]] * len(zones), rel=0.06)


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize("addresses", DOMAINS)
@pytest.mark.parametrize("generator", GENERATOR_GATES)
def test_yosys_finds_the_gates_of_the_generators(tmp_path, generator, addresses):
    export_rtl(Design(shape=(4, 4), pattern="rows"), tmp_path)
    domain = domain_of(*DOMAINS[addresses])
    moves = int(domain.rest > 0)

    def one_round(odd, moves):
        parameters = {
            "HIGH": domain.high, "LOW": domain.low, "REST": domain.rest, "HB": bits_for(domain.high),
            "LB": bits_for(domain.low - 1), "ODD": odd, "MOVES": moves, "LIGHT": int(generator == "light"),
        }  # fmt: skip
        return sum(gates_of(tmp_path, ["keyed_round.v"], "keyed_round", parameters.items()).values())

    pairs = ROUNDS[generator] // 2
    total = one_round(0, 1) + pairs * one_round(1, moves) + (pairs - 1) * one_round(0, moves)
    assert total == pytest.approx(GENERATOR_GATES[generator][addresses], rel=0.02)


@pytest.mark.slow
@needs_yosys
@pytest.mark.parametrize(("ports", "bits"), [(64, 12), (17, 10)])
def test_yosys_finds_the_gates_of_a_switch_network(tmp_path, ports, bits):
    (tmp_path / "benes_network.v").write_text(benes_module(ports, bits))
    found = gates_of(tmp_path, ["benes_network.v"], "benes_network")["benes_network"]
    registers = 5 * ports * bits
    # Of one switch for each bit of its ports: two multiplexers of 3 gates. An analogue network has none of them.
    multiplexers = 6.0 * bits
    expected = benes_switches(ports) * (SETTING_GATES + multiplexers) + registers
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.slow
@needs_yosys
def test_yosys_finds_the_gates_of_a_line_buffers_control(tmp_path):
    export_rtl(Design(shape=(4, 4), pattern="rows"), tmp_path)
    size = 32 * 4056
    parameters = {"SIZE": size, "AB": bits_for(size - 1), "BITS": 12}
    [found] = gates_of(tmp_path, ["line_buffer.v"], "line_buffer", parameters.items()).values()
    assert found == pytest.approx(LINE_BUFFER_GATES, rel=0.02)

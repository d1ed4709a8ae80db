"""``shufflecam readout``: what each keyed readout of a sensor costs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import Json, OptionalKeyFile, Sensor

if TYPE_CHECKING:
    from scrambler.generators import GeneratorCard
    from sensor import ReadoutCost


def readout(
    sensor: Sensor = "imx477",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    exposure: Annotated[float, typer.Option("--exposure", help="Seconds, for the timeline.", min=0, max=1e5)] = 0.01,
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Pattern of the timeline; needs --key. Default: rows+columns.")
    ] = None,
    key: OptionalKeyFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the timeline of one frame: CSV, JSON, PNG.", metavar="DIR")
    ] = None,
    generator: Annotated[
        str, typer.Option("--generator", help="Address generators: feistel, or light (no security claim).")
    ] = "feistel",
    as_json: Json = False,
) -> None:
    """Compare all readout patterns of a sensor: timing, memory, switches, gates, energy, key bits, measured leak.

    Gates are those that Yosys counts in the Verilog of `shufflecam rtl`, shown part by part in a second table.

    With --out, writes when each row is reset, exposed, settled, converted and shifted out; with --key too, in the
    row order of a fresh keyed frame.

    Example: shufflecam readout --sensor imx477
    """
    from scrambler import GENERATORS
    from sensor import compare_readouts, sensor_preset
    from shufflecam.console import print_table
    from shufflecam.usage import UsageError, usage

    if pattern is not None and key is None:
        raise UsageError("a pattern is drawn with a key: give --key too, or leave --pattern out")
    params = sensor_preset(sensor)
    with usage():
        costs = compare_readouts(params, unit=unit, generator=generator)
    if as_json:
        for cost in costs:
            typer.echo(json.dumps(asdict(cost)))
    else:
        print_table(
            (
                "pattern", "stage", "circuit", "row us", "frame ms", "frames/s", "memory KiB", "switches", "gates",
                "energy mJ", "key bits", "order bits", "leak of one frame",
            ),
            [_cells(cost) for cost in costs],
            title=f"{params.title}: {params.width_px} x {params.height_px}, {params.bit_depth} bit, unit {unit}",
        )  # fmt: skip
        print_table(
            ("pattern", "stage", "generators", "row and column scan", "line buffer control", "switch settings"),
            [_gate_cells(cost) for cost in costs[1:]],
            title=f"Gate equivalents, measured with Yosys 0.23 on the exported Verilog; generator {generator}",
        )
        print_table(
            (
                "generator", "memory", "fixed points", "equal in the next nonce", "chi-squared p", "neighbours kept",
                "neighbour correlation", "strength",
            ),
            [_generator_cells(card) for card in GENERATORS.values()],
            title="Address generators, 20,000 orders of 8 x 12 cells; by chance 1, 1, any p above 0.001, 1, -0.0105",
        )  # fmt: skip
    if out is not None:
        _write_timeline(sensor, pattern or "rows+columns", unit, exposure, key, out)


def _cells(cost: "ReadoutCost") -> tuple[str, ...]:
    return (
        cost.pattern, cost.stage, cost.circuit, f"{1e6 * cost.row_time_s:.2f}", f"{1e3 * cost.frame_time_s:.1f}",
        f"{cost.frame_rate_hz:.3g}", f"{cost.memory_bits / 8192:.0f}", str(cost.switches), str(cost.gates),
        f"{1e3 * cost.energy_j:.3f}", f"{cost.key_bits:.0f}", f"{cost.order_bits:.4g}", cost.leak,
    )  # fmt: skip


def _gate_cells(cost: "ReadoutCost") -> tuple[str, ...]:
    parts = cost.gate_parts
    counts = (parts.generators, parts.scan, parts.line_buffers, parts.settings)
    return (cost.pattern, cost.stage, *(str(count) for count in counts))


def _generator_cells(card: "GeneratorCard") -> tuple[str, ...]:
    seen = card.measured
    return (
        card.name, card.memory, f"{seen.fixed_points:.3f}", f"{seen.agreements:.3f}", f"{seen.chi_squared_p:.2f}",
        f"{seen.neighbours:.3f}", f"{seen.correlation:.4f}", card.strength,
    )  # fmt: skip


def _write_timeline(sensor: str, pattern: str, unit: str, exposure: float, key: Path | None, out: Path) -> None:
    """Write one frame's timeline as CSV, JSON and PNG."""
    from scrambler import Key, Multiplexer, new_nonce
    from scrambler.files import write_atomically
    from sensor import readout_row_order, readout_timeline, sensor_preset
    from sensor.readout_figure import timeline_png
    from shufflecam.console import stderr
    from shufflecam.inputs import folder_of
    from shufflecam.usage import usage

    params = sensor_preset(sensor)
    order = None
    if key is not None:
        secret = Key.load(key)
        with usage():
            multiplexer = Multiplexer(secret, pattern=pattern, unit=unit)
        order = readout_row_order(multiplexer, params, (params.height_px, params.width_px), new_nonce())
    timeline = readout_timeline(params, exposure, row_order=order)
    with folder_of(out / "timeline.csv"):
        write_atomically(out / "timeline.csv", timeline.to_csv().encode())
        write_atomically(out / "timeline.json", timeline.to_json().encode() + b"\n")
        write_atomically(out / "timeline.png", timeline_png(timeline))
    stderr.print(f"wrote the timeline of one frame to {out}", markup=False)

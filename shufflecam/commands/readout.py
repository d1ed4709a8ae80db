"""``shufflecam readout``: what each keyed readout of a sensor costs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import Json, OptionalKeyFile, Sensor

if TYPE_CHECKING:
    from sensor import ReadoutCost


def readout(
    sensor: Sensor = "imx477",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    exposure: Annotated[float, typer.Option("--exposure", help="Seconds, for the timeline.")] = 0.01,
    pattern: Annotated[str, typer.Option("--pattern", help="Pattern of the timeline; needs --key.")] = "rows+columns",
    key: OptionalKeyFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the timeline of one frame: CSV, JSON, PNG.", metavar="DIR")
    ] = None,
    generator: Annotated[
        str | None, typer.Option("--generator", help="Gates of an exported generator: feistel or light.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare all readout patterns of a sensor: timing, memory, switches, gates, energy, key bits, measured leak.

    With --out, writes when each row is reset, exposed, settled, converted and shifted out; with --key too, in the
    row order of a fresh keyed frame.

    Example: shufflecam readout --sensor imx477
    """
    from sensor import compare_readouts, sensor_preset
    from shufflecam.console import print_table

    params = sensor_preset(sensor)
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
    if out is not None:
        _write_timeline(sensor, pattern, unit, exposure, key, out)


def _cells(cost: "ReadoutCost") -> tuple[str, ...]:
    return (
        cost.pattern, cost.stage, cost.circuit, f"{1e6 * cost.row_time_s:.2f}", f"{1e3 * cost.frame_time_s:.1f}",
        f"{cost.frame_rate_hz:.3g}", f"{cost.memory_bits / 8192:.0f}", str(cost.switches), str(cost.gates),
        f"{1e3 * cost.energy_j:.3f}", f"{cost.key_bits:.0f}", f"{cost.order_bits:.4g}", cost.leak,
    )  # fmt: skip


def _write_timeline(sensor: str, pattern: str, unit: str, exposure: float, key: Path | None, out: Path) -> None:
    """Write one frame's timeline as CSV, JSON and PNG."""
    from scrambler import Key, Multiplexer, new_nonce
    from scrambler.files import write_atomically
    from sensor import readout_row_order, readout_timeline, sensor_preset
    from sensor.readout_figure import timeline_png
    from shufflecam.console import stderr
    from shufflecam.inputs import folder_of

    params = sensor_preset(sensor)
    order = None
    if key is not None:
        multiplexer = Multiplexer(Key.load(key), pattern=pattern, unit=unit)
        order = readout_row_order(multiplexer, params, (params.height_px, params.width_px), new_nonce())
    timeline = readout_timeline(params, exposure, row_order=order)
    with folder_of(out / "timeline.csv"):
        write_atomically(out / "timeline.csv", timeline.to_csv().encode())
        write_atomically(out / "timeline.json", timeline.to_json().encode() + b"\n")
        write_atomically(out / "timeline.png", timeline_png(timeline))
    stderr.print(f"wrote the timeline of one frame to {out}", markup=False)

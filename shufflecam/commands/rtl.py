"""``shufflecam rtl``: a keyed readout as synthesizable Verilog."""

from typing import Annotated

import typer

from shufflecam.commands.options import OutFolder, Sensor


def rtl(
    out: OutFolder,
    sensor: Sensor = "imx477",
    pattern: Annotated[
        str, typer.Option("--pattern", help="frame, rows, columns, rows+columns or lines:L.")
    ] = "rows+columns",
    unit: Annotated[str, typer.Option("--unit", help="pixel or quad: what moves as one piece.")] = "quad",
    generator: Annotated[
        str, typer.Option("--generator", help="feistel, table, or light (no security claim).")
    ] = "feistel",
) -> None:
    """Write Verilog of a sensor's keyed readout: address generators, scans, line buffers, switch network, test benches.

    The folder's README says how to simulate it, and golden.json holds vectors that need no tool.

    Example: shufflecam rtl --sensor imx477 --pattern rows+columns --out rtl
    """
    from scrambler.generators import check_generator
    from sensor import sensor_preset
    from sensor.cfa import cfa_tile
    from sensor.rtl import Design, export_rtl
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of

    params = sensor_preset(sensor)
    rows, columns = cfa_tile(params.cfa).shape
    design = Design(
        shape=(params.height_px, params.width_px), pattern=pattern, unit=unit, period=(rows, columns),
        generator=check_generator(generator),
    )  # fmt: skip
    with folder_of(out / "README.md"):
        export_rtl(design, out, bits=params.bit_depth)
    stdout.print(f"wrote Verilog, test benches and vectors to {out}", markup=False)

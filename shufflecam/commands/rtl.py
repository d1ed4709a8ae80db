"""``shufflecam rtl``: a keyed readout as synthesizable Verilog."""

from typing import Annotated

import typer

from shufflecam.commands.options import OutFolder, Sensor


def rtl(
    out: OutFolder,
    sensor: Sensor = "imx477",
    pattern: Annotated[str, typer.Option("--pattern", help="Readout pattern.")] = "rows+columns",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    generator: Annotated[
        str, typer.Option("--generator", help="feistel, table, or light (no security claim).")
    ] = "feistel",
    size: Annotated[
        str | None, typer.Option("--size", help="Frame; default: the sensor's.", metavar="WIDTHxHEIGHT")
    ] = None,
    ports: Annotated[int, typer.Option("--ports", help="Width of the switch network.", min=2, max=4096)] = 64,
) -> None:
    """Write Verilog of a sensor's keyed readout: address generators, scans, line buffers, switch network, test benches.

    The folder's README says how to simulate it, and golden.json holds vectors that need no tool.

    Example: shufflecam rtl --sensor imx477 --pattern rows+columns --out rtl
    """
    from sensor import sensor_preset
    from sensor.cfa import cfa_tile
    from sensor.rtl import Design, export_rtl
    from shufflecam.commands.frame_size import frame_size
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of
    from shufflecam.usage import usage

    params = sensor_preset(sensor)
    rows, columns = cfa_tile(params.cfa).shape
    shape = (params.height_px, params.width_px) if size is None else frame_size(size)
    with usage():
        design = Design(shape=shape, pattern=pattern, unit=unit, period=(rows, columns), generator=generator)
    with folder_of(out / "README.md"):
        export_rtl(design, out, bits=params.bit_depth, ports=ports)
    stdout.print(f"wrote Verilog, test benches and vectors to {out}", markup=False)

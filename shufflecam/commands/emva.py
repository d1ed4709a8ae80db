"""``shufflecam emva``: an EMVA 1288 report of a sensor preset, or of a folder of frames."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import OutFolder, Sensor


def emva(
    out: OutFolder,
    sensor: Sensor = "imx477",
    folder: Annotated[
        Path | None, typer.Option("--frames", help="Measure the frames of this folder instead.", metavar="DIR")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep-frames", help="Write the frames and their descriptor too.")] = False,
    gain: Annotated[float, typer.Option("--gain", help="Amplifier gain, times base gain.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Which individual camera.")] = 0,
    height: Annotated[int, typer.Option("--height", help="Rows of the frames.", min=16)] = 256,
    width: Annotated[int, typer.Option("--width", help="Columns of the frames.", min=16)] = 320,
) -> None:
    """Measure a sensor as EMVA 1288 says, beside what was put in; write JSON, a table and figures.

    With --keep-frames, the folder also holds the frames and the descriptor file that the standard's own tool reads.
    With --frames, measures such a folder of any camera.

    Example: shufflecam emva --sensor imx477 --out report
    """
    from sensor import Camera, measure_emva1288, sensor_preset
    from sensor.emva_bench import bench_series
    from sensor.emva_frames import write_emva_folder
    from sensor.emva_report import emva_rows, save_emva_report
    from shufflecam.console import print_table, stdout
    from shufflecam.inputs import folder_of
    from shufflecam.usage import UsageError, usage

    if folder is not None and keep:
        raise UsageError("--keep-frames writes a simulated camera's frames; those of --frames are there already")
    params = sensor_preset(sensor)
    with usage():
        camera = Camera(params, seed=seed, gain=gain)
    times = "" if gain == 1 else f", amplified {gain:g} times"
    title = f"{params.title}{times}" if folder is None else folder.name
    measured = measure_emva1288(camera, shape=(height, width)) if folder is None else measure_emva1288(folder)
    with folder_of(out / "emva1288.json"):
        save_emva_report(measured, out, title)
        if keep:
            write_emva_folder(bench_series(camera, (height, width)), out, bit_depth=params.bit_depth)
    print_table(("figure", "unit", "measured", "true", "off by %"), emva_rows(measured), title=title)
    stdout.print(f"wrote the report to {out}", markup=False)

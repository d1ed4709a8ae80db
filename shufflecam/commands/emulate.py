"""``shufflecam emulate``: a capture through the emulated readout, with its events and waves."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import OptionalKeyFile, OutFolder, Seed, Sensor, camera_seed


def emulate(
    picture: Annotated[Path, typer.Argument(help="Picture to capture.", metavar="PICTURE")],
    out: OutFolder,
    key: OptionalKeyFile = None,
    sensor: Sensor = "imx477",
    pattern: Annotated[
        str | None, typer.Option("--pattern", help="Readout pattern; needs --key. Default: rows+columns.")
    ] = None,
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    stage: Annotated[str, typer.Option("--stage", help="post-adc or pre-adc.")] = "post-adc",
    generator: Annotated[str, typer.Option("--generator", help="table, feistel or light.")] = "table",
    exposure: Annotated[float, typer.Option("--exposure", help="Seconds.", min=0, max=1e5)] = 0.01,
    seed: Seed = None,
) -> None:
    """Capture a picture through the emulated readout: frame, events, timeline, and waves (VCD).

    Example: shufflecam emulate photo.jpg --key door.key --pattern rows --out em
    """
    import os
    from zlib import crc32

    from scrambler import Key, Multiplexer, seeded_nonce
    from scrambler.files import write_atomically
    from sensor import Camera, sensor_preset
    from sensor.emulator import ReadoutEmulator, write_vcd
    from sensor.readout_figure import timeline_png
    from shufflecam.console import stdout
    from shufflecam.inputs import folder_of
    from shufflecam.sources import read_scene
    from shufflecam.usage import UsageError, usage

    # Noise and nonce of a seed are those of `shufflecam capture`.
    where = os.fsencode(picture.resolve())
    mux, nonce = None, None
    if key is not None:
        secret = Key.load(key)
        with usage():
            mux = Multiplexer(secret, pattern=pattern or "rows+columns", unit=unit, generator=generator)
        nonce = None if seed is None else seeded_nonce(secret, seed, where.hex())
    elif pattern is not None:
        raise UsageError("a pattern is drawn with a key: give --key too, or leave --pattern out")
    params = sensor_preset(sensor)
    with usage():
        camera = Camera(params, mux, camera_seed(seed), stage=stage)
    emulation = ReadoutEmulator(camera).capture(read_scene(picture), exposure, crc32(where), nonce)
    with folder_of(out / "frame.dng"):
        emulation.frame.save(out / "frame.dng")
        write_atomically(out / "events.csv", emulation.events.to_csv().encode())
        write_atomically(out / "timeline.png", timeline_png(emulation.timeline))
        write_vcd(emulation.events, out / "readout.vcd")
    counts = emulation.counts
    stdout.print(
        f"{emulation.circuit}: row {1e6 * emulation.row_time_s:.2f} us, frame {1e3 * emulation.frame_time_s:.2f} ms, "
        f"{counts.conversions} conversions, {counts.memory_bits} bits of memory, {counts.switches} switches; "
        f"wrote {out}",
        markup=False,
    )

"""``shufflecam stream``: shuffled frames at the sensor's own pace, as raw octets on standard output."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import KeyFile, Seed, Sensor, camera_seed

_FFMPEG_BITS = (10, 12, 14, 16)
"""Resolutions that FFmpeg has a grey format for, in words of 16 bits."""


def stream(
    inputs: Annotated[
        list[Path],
        typer.Argument(help="Pictures of one size, shown in turn; of a video its first 300 frames.", metavar="IN..."),
    ],
    key: KeyFile,
    sensor: Sensor = "imx477",
    packing: Annotated[str, typer.Option("--packing", help="mipi (RAW10, RAW12, ...), words or dense.")] = "words",
    pattern: Annotated[str, typer.Option("--pattern", help="Readout pattern.")] = "frame",
    unit: Annotated[str, typer.Option("--unit", help="pixel, quad or plane: what moves as one piece.")] = "quad",
    generator: Annotated[str, typer.Option("--generator", help="table, feistel or light.")] = "table",
    exposure: Annotated[float, typer.Option("--exposure", help="Seconds.", min=0, max=1e5)] = 0.01,
    frames: Annotated[int | None, typer.Option("--frames", help="Stop after so many; default: never.", min=1)] = None,
    paced: Annotated[
        bool, typer.Option("--paced/--fast", help="At the sensor's frame rate, or without waiting.")
    ] = True,
    nonces: Annotated[
        Path | None, typer.Option("--nonces", help="Write each frame's nonce to this file.", metavar="FILE")
    ] = None,
    seed: Seed = None,
) -> None:
    """Send shuffled frames to standard output, for FFmpeg, GStreamer or a loopback device.

    What the octets do not hold (size, frame rate, nonces) goes to standard error and to --nonces; of packing words
    also how FFmpeg reads them. `shufflecam raw --size` makes DNG of what was kept in a file.

    Example: shufflecam stream photo.jpg --key door.key --frames 10 > frames.raw
    """
    import os
    import sys
    from contextlib import ExitStack

    from scrambler import Key, Multiplexer, seeded_nonce
    from sensor import Camera, RawFileError, RawFrame, sensor_preset
    from sensor.frame_source import FrameSource, write_stream
    from sensor.mipi_packing import check_packing
    from sensor.moving_scene import read_video
    from shufflecam.console import stderr
    from shufflecam.sources import read_scene
    from shufflecam.usage import UsageError, usage
    from shufflecam.videos import is_video

    secret, params = Key.load(key), sensor_preset(sensor)
    with usage():
        camera = Camera(params, Multiplexer(secret, pattern=pattern, unit=unit, generator=generator), camera_seed(seed))
        check_packing(packing, params.bit_depth)
    scenes = [scene for path in inputs for scene in (read_video(path)[0] if is_video(path) else [read_scene(path)])]
    where = b"\0".join(os.fsencode(path.resolve()) for path in inputs).hex()

    def seeded(number: int) -> bytes:
        assert seed is not None
        return seeded_nonce(secret, seed, f"stream/{number}/{where}")

    source = FrameSource(
        camera=camera, scenes=scenes, exposure_s=exposure, frames=frames, paced=paced,
        nonces=None if seed is None else seeded,
    )  # fmt: skip
    height, width = source.shape
    bits, rate = params.bit_depth, 1 / source.period_s
    if sys.stdout.isatty():
        raise UsageError("frames are no text for a terminal: send them on, with > frames.raw or | ffmpeg")
    stderr.print(
        f"{width} x {height} {params.cfa}, {bits} bit, packing {packing}, {rate:.3f} frames/s, key {secret.id}",
        markup=False,
    )
    if packing == "words" and bits in _FFMPEG_BITS:
        stderr.print(
            f"ffmpeg -f rawvideo -pixel_format gray{bits}le -video_size {width}x{height} -framerate {rate:.3f} -i -",
            markup=False, soft_wrap=True,
        )  # fmt: skip
    with ExitStack() as stack:
        listed = None if nonces is None else stack.enter_context(nonces.open("w", encoding="ascii"))

        def told(frame: RawFrame) -> None:
            if listed is not None and frame.nonce is not None:
                listed.write(frame.nonce.hex() + "\n")
                listed.flush()

        try:
            write_stream(source, sys.stdout.buffer, packing, told)
        except BrokenPipeError:
            # The reader has had enough; Python would complain again when it closes the pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            raise RawFileError(f"the stream cannot be written ({error.strerror})") from None

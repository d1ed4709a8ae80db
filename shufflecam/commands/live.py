"""``shufflecam live``: a stream, captured, shuffled and labelled."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import Model, OptionalKeyFile, Sensor


def live(
    source: Annotated[
        str, typer.Argument(help="A camera's number, a video, or a folder of pictures.", metavar="SOURCE")
    ],
    key: OptionalKeyFile = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write a video: .mp4, .avi or .mkv.", metavar="VIDEO")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No page: only the video and the figures.")] = False,
    frames: Annotated[int | None, typer.Option("--frames", help="Stop after so many.", min=1, metavar="N")] = None,
    sensor: Sensor = "imx477",
    model: Model = "cifar10-airbench94",
    width: Annotated[int, typer.Option("--width", help="Make wider pictures so wide, in pixels.", min=2)] = 640,
    rate: Annotated[float, typer.Option("--rate", help="Frames per second of the video.", min=1, max=240)] = 25,
) -> None:
    """Send a stream through the simulated camera: the plain and the shuffled view, labels with and without the key.

    The page is served to this machine alone; its address is printed. It shows plain pictures. Without --key a fresh
    key is made and not kept. Ctrl-C ends the stream.

    Example: shufflecam live photos/ --headless --frames 3 --out live.avi
    """
    import secrets
    from contextlib import ExitStack
    from itertools import islice

    from scrambler import Key
    from sensor import Camera
    from shufflecam.chain import Labeller
    from shufflecam.console import print_table, stderr, stdout
    from shufflecam.inputs import folder_of
    from shufflecam.live import LiveCamera, LivePage, Rate, VideoFile, drawn, pictures_of
    from shufflecam.usage import usage

    secret = Key.generate() if key is None else Key.load(key)
    camera = LiveCamera(Camera(sensor, seed=secrets.randbits(64)), secret, Labeller.load(model), width)
    taken, alike = Rate(), 0
    with ExitStack() as stack:
        video = None
        if out is not None:
            stack.enter_context(folder_of(out))
            with usage():
                video = VideoFile(out, rate)
            stack.enter_context(video)
        page = None if headless else stack.enter_context(LivePage().served())
        if page is not None:
            stdout.print(f"open {page.address} in a browser; Ctrl-C ends the stream", markup=False)
        try:
            for picture in islice(pictures_of(source), frames):
                frame = camera.take(picture)
                alike += frame.with_key.name == frame.without_key.name
                sheet = drawn(frame, taken.count())
                if video is not None:
                    video.add(sheet)
                if page is not None:
                    page.show(sheet)
                if stderr.is_terminal:
                    stderr.print(f"{taken.frames}: {frame.with_key.name}, without a key {frame.without_key.name}")
        except KeyboardInterrupt:
            stderr.print("stopped")
    print_table(
        ("frames", "frames/s", "same label without the key", "key id"),
        [(str(taken.frames), f"{taken.mean_per_s:.2f}", f"{alike} of {taken.frames}", secret.id)],
    )
    if out is not None and taken.frames:
        stdout.print(f"wrote {out}", markup=False)

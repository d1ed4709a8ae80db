"""A camera that keeps delivering: shuffled frames at the sensor's own pace, to an iterator or as octets."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import BinaryIO

from sensor.camera import Camera
from sensor.cfa import cfa_tile
from sensor.errors import CaptureError
from sensor.headerless import frame_octets
from sensor.mipi_packing import check_packing
from sensor.params import REFERENCE_EXPOSURE_S
from sensor.raw_frame import RawFrame
from sensor.readout_timing import frame_time_s
from sensor.scene import Scene


@dataclass(frozen=True, kw_only=True)
class FrameSource:
    """Frames of a camera, one after the other; iterate over it.

    Frame k is delivered no sooner than k frame times of the sensor after the first: what a slower consumer or a
    slower simulation is late, later frames do not make up for by coming too early. Each frame has a nonce of its own,
    and the noise of its number.

    Attributes
    ----------
    camera : Camera
        What exposes and reads out.
    scenes : sequence of Scene
        Shown one after the other, again and again; the frames of all have one size.
    exposure_s : float
        Exposure time; the frame time is at least that.
    frames : int or None
        How many; None never ends.
    nonces : callable, optional
        Gives the nonce of a frame's number, for tests and studies; fresh ones by default.
    paced : bool
        False delivers as fast as frames are made.
    clock, sleep : callable
        Seconds that only rise, and a pause of so many seconds.

    Examples
    --------
    >>> import numpy as np
    >>> source = FrameSource(camera=Camera("imx477"), scenes=[Scene.from_array(np.ones((4, 6)))], frames=2, paced=False)
    >>> [frame.shape for frame in source]
    [(4, 6), (4, 6)]
    """

    camera: Camera
    scenes: Sequence[Scene]
    exposure_s: float = REFERENCE_EXPOSURE_S
    frames: int | None = None
    nonces: Callable[[int], bytes] | None = None
    paced: bool = True
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def shape(self) -> tuple[int, int]:
        """Size (H, W) of the frames.

        Raises
        ------
        CaptureError
            If there is no scene, or scenes of several sizes: nothing in a stream of octets tells where a frame ends.
        """
        if self.camera.shape is not None:
            return self.camera.shape
        rows, columns = cfa_tile(self.camera.params.cfa).shape
        sizes = {scene.cut(rows, columns).shape for scene in self.scenes}
        if not sizes:
            raise CaptureError("a frame source needs at least one scene")
        if len(sizes) > 1:
            listed = ", ".join(f"{width} x {height}" for height, width in sorted(sizes))
            raise CaptureError(f"the frames of a stream have one size, and these scenes give several: {listed}")
        return sizes.pop()

    @property
    def period_s(self) -> float:
        """Time from one frame to the next."""
        return max(frame_time_s(self.camera.params, self.shape), self.exposure_s)

    def __iter__(self) -> Iterator[RawFrame]:
        period_s = self.period_s
        due: float | None = None
        for number, scene in enumerate(islice(cycle(self.scenes), self.frames)):
            nonce = None if self.nonces is None else self.nonces(number)
            frame = self.camera.capture(scene, self.exposure_s, frame=number, nonce=nonce)
            if self.paced:
                now = self.clock()
                due = now if due is None else max(due, now)
                if due > now:
                    self.sleep(due - now)
                due += period_s
            yield frame


def write_stream(
    frames: Iterable[RawFrame], file: BinaryIO, packing: str, told: Callable[[RawFrame], None] | None = None
) -> int:
    """Write the packed rows of frame after frame, each flushed, and return how many.

    Parameters
    ----------
    frames : iterable of RawFrame
        Such as a :class:`FrameSource`.
    file : binary file
        Such as a pipe to FFmpeg or GStreamer, or a loopback device.
    packing : {"mipi", "words", "dense"}
        See :data:`sensor.mipi_packing.PACKINGS`.
    told : callable, optional
        Called with every frame after it has been written: for its nonce, which the octets do not hold.

    Raises
    ------
    RawFileError
        For a packing that the frames' bits do not have.
    BrokenPipeError
        When the reader has gone.
    """
    count = 0
    for frame in frames:
        check_packing(packing, frame.bit_depth)
        file.write(frame_octets(frame, packing).data)
        file.flush()
        if told is not None:
            told(frame)
        count += 1
    return count

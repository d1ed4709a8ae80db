"""Videos as scenes: frame by frame, or as a shutter sees them that runs while they move."""

from collections import deque
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import cv2

from sensor import Camera, ReadoutTimeline, Scene, moving_scene, readout_row_order, readout_timeline
from sensor.cfa import cfa_tile
from sensor.moving_scene import frame_period_s
from sensor.srgb import srgb_table
from shufflecam.videos import video_frames


def video_scenes(path: Path) -> Iterator[Scene]:
    """Yield a video's frames as scenes."""
    for picture in video_frames(path):
        yield Scene(picture, srgb_table(255))


def scene_windows(path: Path, camera: Camera, exposure_s: float) -> Iterator[tuple[list[Scene], float]]:
    """Yield, for each frame of a video, what is in front of the lens until the last row that begins with it is read.

    Yields
    ------
    scenes : list of Scene
        This frame and those that follow within exposure and readout; fewer at the end of the video.
    period_s : float
        Time from one to the next.
    """
    video = cv2.VideoCapture(str(path))
    period_s = frame_period_s(video)
    video.release()
    rows, columns = cfa_tile(camera.params.cfa).shape
    window: deque[Scene] = deque()
    most = 0
    for scene in video_scenes(path):
        window.append(scene.cut(rows, columns))
        if most == 0:
            last_s = row_timeline(camera, exposure_s, window[0].shape, None).exposure_end_s[-1]
            most = 1 + ceil((exposure_s + last_s) / period_s)
        if len(window) == most:
            yield list(window), period_s
            window.popleft()
    while window:
        yield list(window), period_s
        window.popleft()


def row_timeline(camera: Camera, exposure_s: float, shape: tuple[int, int], nonce: bytes | None) -> ReadoutTimeline:
    """Return when each row is exposed; before the converters, in the keyed order of a frame with this nonce.

    There, the pattern must be one that keeps rows together.
    """
    mux = camera.multiplexer
    if mux is None or camera.stage == "post-adc":
        return readout_timeline(camera.params, exposure_s, shape=shape)
    return readout_timeline(
        camera.params,
        exposure_s,
        shape=shape,
        row_order=None if nonce is None else readout_row_order(mux, camera.params, shape, nonce),
        network=None if mux.pattern == "rows" else camera.network,
    )


def seen_by_rows(window: list[Scene], period_s: float, camera: Camera, exposure_s: float, nonce: bytes | None) -> Scene:
    """Return the still scene that exposes the camera as the window does, the first row's exposure beginning with it."""
    timeline = row_timeline(camera, exposure_s, window[0].shape, nonce)
    return moving_scene(window, period_s, timeline, start_s=-exposure_s)

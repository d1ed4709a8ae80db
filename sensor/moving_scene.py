"""Scenes that move while the shutter runs: what each row sees, and videos as scenes."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sensor.errors import SceneError
from sensor.readout_timing import ReadoutTimeline
from sensor.scene import Scene
from sensor.srgb import srgb_table


def moving_scene(scenes: Sequence[Scene], period_s: float, timeline: ReadoutTimeline, *, start_s: float = 0.0) -> Scene:
    r"""Return the still scene that exposes a sensor as a moving one does.

    Picture k is in front of the lens from :math:`t_0 + kT` to :math:`t_0 + (k + 1)T`; the first before that, the last
    after. Each row sees the mean over its own exposure, from reset to read:

    .. math:: s_y = \sum_k \frac{|[r_y, e_y] \cap [t_0 + kT,\; t_0 + (k + 1)T]|}{e_y - r_y}\; x_{k, y}

    With a rolling shutter rows see different times, and in a keyed row order neighbours do; with a global one all see
    the same.

    Parameters
    ----------
    scenes : sequence of Scene
        Of the frame's size, in the order of time.
    period_s : float
        Time T from one to the next.
    timeline : ReadoutTimeline
        See :func:`sensor.readout_timeline`; with :func:`sensor.readout_row_order` and the nonce of the capture for a
        keyed one.
    start_s : float
        Time :math:`t_0` of the first picture, on the timeline's clock.

    Returns
    -------
    Scene
        To be captured with the timeline's exposure time.

    Raises
    ------
    SceneError
        For no scenes, scenes of other sizes, or a period that is not above 0.

    Examples
    --------
    >>> from sensor import readout_timeline, sensor_preset
    >>> timeline = readout_timeline(sensor_preset("imx477"), 0.01, shape=(2, 4056))
    >>> moving_scene([Scene.from_array(np.zeros((2, 4056))), Scene.from_array(np.ones((2, 4056)))], 0.01, timeline)
    Scene(2 x 4056)
    """
    height = len(timeline.row)
    if not scenes or {scene.shape for scene in scenes} != {(height, scenes[0].shape[1])}:
        raise SceneError(f"a moving scene is one or more scenes of equal size with the {height} rows of the timeline")
    if not 0 < period_s < np.inf:
        raise SceneError(f"period_s must be above 0, got {period_s!r}")
    by_row = np.argsort(timeline.row)
    reset, end = timeline.reset_s[by_row], timeline.exposure_end_s[by_row]
    edges = start_s + period_s * np.arange(len(scenes) + 1)
    edges[0], edges[-1] = -np.inf, np.inf
    light: NDArray[np.float64] | None = None
    for scene, begin, stop in zip(scenes, edges[:-1], edges[1:], strict=True):
        seen = np.minimum(end, stop) - np.maximum(reset, begin)
        # Without any exposure time, a row sees the picture of the moment it is read.
        share = np.where(
            end > reset, np.maximum(seen, 0) / np.maximum(end - reset, 1e-300), (begin <= end) & (end < stop)
        )
        if share.any():
            part = share[:, None, None] * scene.rows(0, height)
            light = part if light is None else light + part
    assert light is not None
    return Scene(np.ascontiguousarray(light, np.float32))


def read_video(path: str | Path, *, most_frames: int = 300) -> tuple[list[Scene], float]:
    """Read a video file as scenes, through OpenCV.

    Parameters
    ----------
    path : str or Path
        Any file that OpenCV's decoders take; 8-bit sRGB inside.
    most_frames : int
        Reading stops after this many.

    Returns
    -------
    scenes : list of Scene
    period_s : float
        Time from one to the next; 1/25 s when the file does not tell.

    Raises
    ------
    SceneError
        Naming the file, when it is missing or no video.
    """
    where = Path(path)
    if not where.is_file():
        raise SceneError(f"{path}: there is no such video file")
    table = srgb_table(255)
    video = cv2.VideoCapture(str(where))
    scenes: list[Scene] = []
    try:
        period_s = frame_period_s(video)
        while len(scenes) < most_frames:
            done, picture = video.read()
            if not done:
                break
            scenes.append(Scene(np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)), table))
    finally:
        video.release()
    if not scenes:
        raise SceneError(f"{path}: not a video that can be read")
    return scenes, period_s


def frame_period_s(video: cv2.VideoCapture) -> float:
    """Return the time from one frame of an opened video to the next; 1/25 s when it does not tell."""
    rate = float(video.get(cv2.CAP_PROP_FPS))
    return 1 / rate if 0 < rate < 1e6 else 1 / 25

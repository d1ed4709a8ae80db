"""What becomes of a stream's pictures: captured, shuffled, labelled, and drawn side by side."""

import time
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler import Key, Multiplexer
from sensor import Camera, Scene, develop
from sensor.srgb import srgb_table
from shufflecam.chain import Label, Labeller

Picture = NDArray[np.uint8]

_TEXT_PX, _FONT_SCALE = 26, 0.55
_LEAST_PX, _MARGIN_PX = 240, 6


@dataclass(frozen=True)
class LiveFrame:
    """One picture's way through the camera.

    Attributes
    ----------
    plain, delivered : uint8 array (H, W, 3)
        What the sensor saw, and what it delivers.
    with_key, without_key : Label
        The keyed network's answer, and the plain network's on the shuffled frame.
    """

    plain: Picture
    delivered: Picture
    with_key: Label
    without_key: Label


class LiveCamera:
    """A simulated camera that shuffles every picture under a fresh nonce, and labels it.

    Parameters
    ----------
    camera : Camera
        Without a multiplexer.
    key : Key
    labeller : Labeller
    width_px : int
        Wider pictures are made this wide before they are captured.
    exposure_s : float
    """

    def __init__(
        self, camera: Camera, key: Key, labeller: Labeller, width_px: int = 640, exposure_s: float = 0.01
    ) -> None:
        self._camera, self._key, self._labeller = camera, key, labeller
        self._width_px, self._exposure_s = width_px, exposure_s
        self._number = 0

    def take(self, picture: Picture) -> LiveFrame:
        """Capture one picture, uint8 sRGB (H, W, 3)."""
        height, width = picture.shape[:2]
        if width > self._width_px:
            size = (self._width_px, max(2, round(height * self._width_px / width)))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        scene = Scene(np.ascontiguousarray(picture), srgb_table(255))
        natural = self._camera.capture(scene, self._exposure_s, frame=self._number)
        self._number += 1
        frame = natural.shuffle(Multiplexer(self._key))
        return LiveFrame(
            plain=develop(natural, dtype=np.uint8),
            delivered=develop(frame.as_if_natural(), dtype=np.uint8),
            with_key=self._labeller.label(frame, self._key),
            without_key=self._labeller.label_as_natural(frame),
        )


def drawn(frame: LiveFrame, frames_per_s: float) -> Picture:
    """Return a frame as a viewer shows it: plain and delivered side by side, their labels and the rate below.

    Returns
    -------
    uint8 array (H, W, 3)
        With even sides, as videos need.
    """
    height, width = frame.plain.shape[:2]
    # Labels need room, however small the picture.
    times = max(1, -(-_LEAST_PX // min(height, width)))
    panels = [np.kron(one, np.ones((times, times, 1), np.uint8)) for one in (frame.plain, frame.delivered)]
    height, width = panels[0].shape[:2]
    sheet = np.full((height + 2 * _TEXT_PX + height % 2, 2 * width + _MARGIN_PX, 3), 24, np.uint8)
    sheet[:height, :width], sheet[:height, width + _MARGIN_PX :] = panels
    for column, name, label in ((0, "with the key", frame.with_key), (1, "without a key", frame.without_key)):
        left = column * (width + _MARGIN_PX) + _MARGIN_PX
        _write(sheet, f"{name}: {label.name} ({label.probability:.2f})", left, height + _TEXT_PX - 8)
    _write(sheet, f"{frames_per_s:.1f} frames/s", _MARGIN_PX, height + 2 * _TEXT_PX - 8)
    return sheet


def _write(sheet: Picture, text: str, left: int, bottom: int) -> None:
    cv2.putText(sheet, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, _FONT_SCALE, (240, 240, 240), 1, cv2.LINE_AA)


class Rate:
    """Frames per second, over the last frames and over all but the first, which has to set everything up."""

    def __init__(self) -> None:
        self._first = self._last = time.perf_counter()
        self._smooth_s = 0.0
        self.frames = 0

    def count(self) -> float:
        """Count a frame, and return the rate of the last ones."""
        now = time.perf_counter()
        took, self._last = now - self._last, now
        self._smooth_s = took if self.frames < 2 else 0.8 * self._smooth_s + 0.2 * took
        if not self.frames:
            self._first = now
        self.frames += 1
        return 1 / max(self._smooth_s, 1e-9)

    @property
    def mean_per_s(self) -> float:
        """Of all frames but the first; 0 if there are no others."""
        return (self.frames - 1) / max(self._last - self._first, 1e-9) if self.frames > 1 else 0.0

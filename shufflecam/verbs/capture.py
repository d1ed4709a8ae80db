"""Pictures and videos to shuffled frames; RAW files shuffled after the fact."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from shufflecam.inputs import Input
from shufflecam.jobs.work import Do, Made, Work, write_hashed

if TYPE_CHECKING:
    from sensor import RawFrame, Scene


@dataclass(frozen=True, kw_only=True)
class Capture(Work):
    """Capture pictures and videos, and shuffle RAW files.

    Attributes
    ----------
    sensor, sensor_hash : str
        Preset, or preset file and its SHA-256.
    exposure_s : float
        Exposure time.
    pattern, unit : str
        Of the multiplexer.
    stage : str
        ``"post-adc"``, or ``"pre-adc"``: what the camera itself reads out in keyed order.
    gain : float
        Amplifier gain, times base gain.
    light, lens : str or None
        Lamp and lens, see :mod:`shufflecam.optics`.
    seed : int or None
        Fixes nonces; None draws fresh ones.
    camera_seed : int
        Which individual of the sensor it is: all workers of a job simulate the same.
    """

    sensor: str
    sensor_hash: str
    exposure_s: float
    pattern: str
    unit: str
    stage: str = "post-adc"
    gain: float = 1.0
    light: str | None = None
    lens: str | None = None
    seed: int | None
    camera_seed: int

    verb: ClassVar[str] = "capture"

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {
            "sensor": self.sensor, "sensor_hash": self.sensor_hash, "exposure_s": self.exposure_s,
            "pattern": self.pattern, "unit": self.unit, "stage": self.stage, "gain": self.gain,
            "light": self.light, "lens": self.lens, "seed": self.seed,
        }  # fmt: skip

    def start(self) -> Do:
        """Make camera and multiplexer."""
        from scrambler import Multiplexer, seeded_nonce
        from scrambler.errors import ShuffleCamError
        from sensor import Camera, Scene
        from sensor.raw_writer import dng_parts
        from shufflecam.optics import scene_optics
        from shufflecam.sources import is_picture, read_frame, read_scene
        from shufflecam.videos import drop_frames, frame_path, is_video

        assert self.key is not None
        secret = self.key.load()
        multiplexer = Multiplexer(secret, pattern=self.pattern, unit=self.unit)
        natural = Camera(self.sensor, seed=self.camera_seed, gain=self.gain)
        before_adc = self.stage != "post-adc"
        camera = Camera(self.sensor, multiplexer, seed=self.camera_seed, gain=self.gain, stage=self.stage)
        optics = scene_optics(self.light, self.lens, camera.params)

        def nonce_of(where: bytes) -> bytes | None:
            """Return the nonce that the seed fixes; None lets a fresh one be drawn."""
            return None if self.seed is None else seeded_nonce(secret, self.seed, where.hex())

        def captured(scene: Scene, where: bytes) -> "RawFrame":
            # The noise, too, follows from the path alone, whatever other files the folder holds.
            if before_adc:
                return camera.capture(optics(scene), self.exposure_s, crc32(where), nonce_of(where))
            # The same frame, bit for bit; but a large picture leaves memory before its frame is shuffled.
            frame = natural.capture(optics(scene), self.exposure_s, crc32(where))
            del scene
            return frame.shuffle(multiplexer, nonce=nonce_of(where))

        def frame_of(path: Path, where: bytes) -> "RawFrame":
            if is_picture(path):
                return captured(read_scene(path), where)
            if before_adc:
                raise ShuffleCamError(f"{path}: the codes of a RAW file can only be shuffled at stage post-adc")
            return read_frame(path).shuffle(multiplexer, nonce=nonce_of(where))

        def do(item: Input, out: Path) -> Made:
            where = os.fsencode(item.path.resolve())
            if is_video(item.path):
                folder, written = item.output(out, ""), set[Path]()
                for number, scene in enumerate(_video_scenes(item.path)):
                    path = frame_path(folder, number, ".dng")
                    folder.mkdir(parents=True, exist_ok=True)
                    captured(scene, where + b"/%d" % number).save(path)
                    written.add(path)
                drop_frames(folder, written)
                return Made(folder, facts={"frames": len(written)})
            frame, target = frame_of(item.path, where), item.output(out, ".dng")
            digest = write_hashed(target, dng_parts(frame, target))
            return Made(target, frame.nonce, digest=digest)

        return do


def _video_scenes(path: Path) -> "Iterator[Scene]":
    """Yield a video's frames as scenes."""
    from sensor import Scene
    from sensor.srgb import srgb_table
    from shufflecam.videos import video_frames

    for picture in video_frames(path):
        yield Scene(picture, srgb_table(255))

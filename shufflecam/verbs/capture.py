"""Pictures and videos to shuffled frames; RAW files shuffled after the fact."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from shufflecam.inputs import Input, true_name
from shufflecam.jobs.work import Do, Made, Work, write_hashed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sensor import RawFrame


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
    motion : bool
        Whether the rows of a video's frames see the moments of their own exposure, or all the same picture.
    hdr : tuple of float
        Exposure times to merge into one frame of 16 bits, instead of ``exposure_s``; empty for one exposure.
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
    motion: bool = False
    hdr: tuple[float, ...] = ()
    seed: int | None
    camera_seed: int

    verb: ClassVar[str] = "capture"

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {
            "sensor": self.sensor, "sensor_hash": self.sensor_hash, "exposure_s": self.exposure_s,
            "pattern": self.pattern, "unit": self.unit, "stage": self.stage, "gain": self.gain,
            "light": self.light, "lens": self.lens, "motion": self.motion, "hdr": list(self.hdr), "seed": self.seed,
        }  # fmt: skip

    def start(self) -> Do:
        """Make camera and multiplexer."""
        from scrambler import Multiplexer, new_nonce, seeded_nonce
        from scrambler.errors import ShuffleCamError
        from sensor import Camera, Scene, merge_exposures
        from sensor.raw_writer import dng_parts
        from shufflecam.optics import scene_optics
        from shufflecam.sources import is_picture, read_frame, read_scene
        from shufflecam.verbs.capture_video import scene_windows, seen_by_rows, video_scenes
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

        def captured(scene: Scene, where: bytes, nonce: bytes | None) -> "RawFrame":
            # The noise, too, follows from the path alone, whatever other files the folder holds.
            scene = optics(scene)
            if before_adc:
                return camera.capture(scene, self.exposure_s, crc32(where), nonce)
            # The same frame, bit for bit; but a large picture leaves memory before its frame is shuffled.
            if self.hdr:
                names = (where + b"/exposure %d" % number for number in range(len(self.hdr)))
                shots = zip(self.hdr, names, strict=True)
                frame = merge_exposures([natural.capture(scene, time_s, crc32(name)) for time_s, name in shots])
            else:
                frame = natural.capture(scene, self.exposure_s, crc32(where))
            del scene
            return frame.shuffle(multiplexer, nonce=nonce)

        def video_captured(path: Path, where: bytes) -> "Iterator[RawFrame]":
            if not self.motion:
                for number, scene in enumerate(video_scenes(path)):
                    name = where + b"/%d" % number
                    yield captured(scene, name, nonce_of(name))
                return
            for number, (window, period_s) in enumerate(scene_windows(path, camera, self.exposure_s)):
                name = where + b"/%d" % number
                # Before the converters the order of the rows, and so what they see, depends on it.
                nonce = nonce_of(name) or (new_nonce() if before_adc else None)
                yield captured(seen_by_rows(window, period_s, camera, self.exposure_s, nonce), name, nonce)

        def frame_of(path: Path, where: bytes) -> "RawFrame":
            if is_picture(path):
                return captured(read_scene(path), where, nonce_of(where))
            if before_adc:
                raise ShuffleCamError(f"{path}: the codes of a RAW file can only be shuffled at stage post-adc")
            if self.hdr:
                raise ShuffleCamError(f"{path}: a RAW file is exposed already; --hdr is for pictures and videos")
            return read_frame(path).shuffle(multiplexer, nonce=nonce_of(where))

        def do(item: Input, out: Path) -> Made:
            where = true_name(item.path)
            if is_video(item.path):
                folder, written = item.output(out, ""), set[Path]()
                for number, frame in enumerate(video_captured(item.path, where)):
                    path = frame_path(folder, number, ".dng")
                    folder.mkdir(parents=True, exist_ok=True)
                    frame.save(path)
                    written.add(path)
                drop_frames(folder, written)
                return Made(folder, facts={"frames": len(written)})
            frame, target = frame_of(item.path, where), item.output(out, ".dng")
            digest = write_hashed(target, dng_parts(frame, target))
            return Made(target, frame.nonce, digest=digest)

        return do

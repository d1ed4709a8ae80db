"""A figure of what each party sees of a frame."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from shufflecam.inputs import Input
from shufflecam.jobs.work import Do, Made, Work

if TYPE_CHECKING:
    from scrambler import Key
    from sensor import RawFrame
    from shufflecam.figures import Panel


@dataclass(frozen=True, kw_only=True)
class Show(Work):
    """Draw a figure of each input.

    Attributes
    ----------
    sensor, sensor_hash : str
        Preset that captures pictures, or preset file and its SHA-256.
    """

    sensor: str
    sensor_hash: str

    verb: ClassVar[str] = "show"

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {"sensor": self.sensor, "sensor_hash": self.sensor_hash}

    def start(self) -> Do:
        """Load the key and make the camera."""
        from sensor import Camera
        from shufflecam.figures import write_figure
        from shufflecam.sources import natural_frame

        secret = None if self.key is None else self.key.load()
        camera = Camera(self.sensor)

        def do(item: Input, out: Path) -> Made:
            row = views(natural_frame(item.path, camera), item.path.name, secret)
            target = item.output(out, ".png")
            target.parent.mkdir(parents=True, exist_ok=True)
            write_figure(target, [row], histograms=True)
            return Made(target)

        return do


def views(frame: "RawFrame", name: str, key: "Key | None") -> "list[Panel]":
    """Return the panels of one frame: those that can be drawn with what is known."""
    from scrambler import Key, Multiplexer
    from sensor import develop
    from shufflecam.chain import seen_without_key

    if not frame.is_shuffled:
        key = key or Key.generate()
        frame = frame.shuffle(Multiplexer(key))
    delivered = (f"{name}: as delivered", develop(seen_without_key(frame)))
    if key is None:
        return [delivered]
    plain = frame.unshuffle(key)
    return [
        ("plain", develop(plain)),
        delivered,
        ("with the key", develop(frame, key)),
        ("wrong key", develop(frame, Key.generate(), force=True)),
    ]

"""Shuffled frames and protected pictures back to pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from shufflecam.inputs import Input
from shufflecam.jobs.work import Do, Made, Work


@dataclass(frozen=True, kw_only=True)
class Reveal(Work):
    """Develop frames, and undo protections."""

    verb: ClassVar[str] = "reveal"

    def parameters(self) -> dict[str, Any]:
        """Return nothing: the files say it all."""
        return {}

    def start(self) -> Do:
        """Load the key."""
        from sensor import develop
        from shufflecam.pictures import write_png
        from shufflecam.protected_file import ENDINGS, reveal_protected, save_picture
        from shufflecam.sources import read_frame

        assert self.key is not None
        secret = self.key.load()

        def do(item: Input, out: Path) -> Made:
            target = item.output(out, ".png")
            if item.path.suffix.lower() in ENDINGS:
                plain = reveal_protected(item.path, secret)
                target.parent.mkdir(parents=True, exist_ok=True)
                save_picture(target, plain)
                return Made(target)
            frame = read_frame(item.path)
            picture = develop(frame, secret)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_png(target, picture)
            return Made(target, frame.nonce)

        return do

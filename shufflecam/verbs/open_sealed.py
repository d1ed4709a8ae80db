"""Sealed files back to frames."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from shufflecam.inputs import Input
from shufflecam.jobs.work import Do, Made, Work


@dataclass(frozen=True, kw_only=True)
class Open(Work):
    """Open sealed files."""

    verb: ClassVar[str] = "open"

    def parameters(self) -> dict[str, Any]:
        """Return nothing: the files say it all."""
        return {}

    def start(self) -> Do:
        """Load the key."""
        from scrambler import open_sealed as open_values
        from shufflecam.sealed_frame import frame_of

        assert self.key is not None
        secret = self.key.load()

        def do(item: Input, out: Path) -> Made:
            unsealed = open_values(item.path, secret)
            frame = frame_of(unsealed.values, unsealed.metadata)
            target = item.output(out, ".dng")
            target.parent.mkdir(parents=True, exist_ok=True)
            frame.save(target)
            return Made(target, frame.nonce)

        return do

"""Frames into sealed files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from shufflecam.inputs import Input, true_name
from shufflecam.jobs.work import Do, Made, Work
from shufflecam.sealed_frame import frame_metadata


@dataclass(frozen=True, kw_only=True)
class Seal(Work):
    """Seal frames, natural ones shuffled first.

    Attributes
    ----------
    seed : int or None
        Fixes nonces; None draws fresh ones.
    """

    seed: int | None

    verb: ClassVar[str] = "seal"

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {"seed": self.seed}

    def start(self) -> Do:
        """Load the key."""
        from scrambler import Multiplexer, new_nonce, seeded_nonce
        from scrambler import seal as seal_values
        from shufflecam.sources import read_frame

        assert self.key is not None
        secret = self.key.load()

        def nonce_for(use: str, path: Path) -> bytes:
            if self.seed is None:
                return new_nonce()
            return seeded_nonce(secret, self.seed, use + true_name(path).hex())

        def do(item: Input, out: Path) -> Made:
            frame = read_frame(item.path)
            if not frame.is_shuffled:
                frame = frame.shuffle(Multiplexer(secret), nonce_for("", item.path))
            target = item.output(out, ".sealed")
            # A foreign RAW file may hold codes above its own bit depth.
            bits = max(frame.bit_depth, int(frame.mosaic.max()).bit_length())
            metadata, nonce = frame_metadata(frame), nonce_for("sealed/", item.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            seal_values(target, frame.mosaic, secret, metadata=metadata, bits=bits, nonce=nonce)
            return Made(target, frame.nonce)

        return do

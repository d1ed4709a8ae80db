"""Frames and protected pictures to labels, in shuffled order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from shufflecam.inputs import Input
from shufflecam.jobs.work import Do, Made, Work


@dataclass(frozen=True, kw_only=True)
class LabelFrames(Work):
    """Label frames.

    Attributes
    ----------
    model, model_hash : str
        Trained network, or weights file and its SHA-256.
    """

    model: str
    model_hash: str

    verb: ClassVar[str] = "label"

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {"model": self.model, "model_hash": self.model_hash}

    def start(self) -> Do:
        """Load the key and the network."""
        from shufflecam.chain import Label, Labeller
        from shufflecam.protected_file import ENDINGS
        from shufflecam.protected_labels import ProtectedLabeller
        from shufflecam.sources import read_frame

        secret = None if self.key is None else self.key.load()
        labeller = Labeller.load(self.model)
        protected = ProtectedLabeller(labeller)

        def made(answer: Label, key_id: str | None, nonce: bytes | None) -> Made:
            facts = {"label": answer.name, "probability": answer.probability, "key_id": key_id}
            return Made(nonce=nonce, facts=facts)

        def do(item: Input, out: Path) -> Made:
            if item.path.suffix.lower() in ENDINGS:
                return made(*protected.label(item.path, secret))
            frame = read_frame(item.path)
            return made(labeller.label(frame, secret), frame.key_id, frame.nonce)

        return do

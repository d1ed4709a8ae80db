"""Pictures, RAW files and the frames of videos under a published protection."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from shufflecam.inputs import Input, true_name
from shufflecam.jobs.work import Do, Made, Work
from shufflecam.parameters import json_parameters


@dataclass(frozen=True, kw_only=True)
class Protect(Work):
    """Protect pictures, developed RAW files and the frames of videos by a scheme.

    Attributes
    ----------
    scheme : str
        Its name.
    options : tuple of (str, value)
        Its parameters.
    seed : int or None
        Fixes nonces; None draws fresh ones.
    accounted : bool
        Releases are counted against a privacy budget, which one process must do.
    """

    scheme: str
    options: tuple[tuple[str, Any], ...]
    seed: int | None
    accounted: bool

    verb: ClassVar[str] = "protect"

    @property
    def in_order(self) -> bool:
        """Whether one process must do all inputs: where releases share a budget."""
        return self.accounted

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {"scheme": self.scheme, "options": json_parameters(self.options), "seed": self.seed}

    def start(self) -> Do:
        """Load the key and make the scheme."""
        from scrambler import seeded_nonce
        from scrambler.schemes import NoisyScheme
        from shufflecam.named_scheme import named_scheme
        from shufflecam.protected_file import ending, save_protected
        from shufflecam.sources import read_plain
        from shufflecam.videos import drop_frames, frame_path, is_video, video_frames

        secret = None if self.key is None else self.key.load()
        protection = named_scheme(self.scheme, secret, dict(self.options))
        seeded = self.seed is not None and protection.card.nonce == "per image"

        def protected(image: Any, where: bytes) -> Any:
            if not seeded:
                return protection.protect(image)
            assert secret is not None
            assert self.seed is not None
            return protection.protect(image, nonce=seeded_nonce(secret, self.seed, where.hex()))

        def do(item: Input, out: Path) -> Made:
            where = true_name(item.path)
            if is_video(item.path):
                folder, written = item.output(out, ""), set[Path]()
                for number, image in enumerate(video_frames(item.path)):
                    one = protected(image, where + b"/%d" % number)
                    path = frame_path(folder, number, ending(one.values))
                    folder.mkdir(parents=True, exist_ok=True)
                    save_protected(path, one, dict(self.options), secret)
                    written.add(path)
                drop_frames(folder, written)
                return Made(folder, facts={"frames": len(written)})
            image = read_plain(item.path)
            result = protected(image, where)
            facts = {}
            if isinstance(protection, NoisyScheme):
                facts = {
                    "guarantee": str(protection.guarantee(image.shape, image.dtype)),
                    "epsilon_most_on_one_image": protection.ledger.most_on_one_image,
                    "epsilon_total": protection.ledger.total,
                }
            target = item.output(out, ending(result.values))
            target.parent.mkdir(parents=True, exist_ok=True)
            save_protected(target, result, dict(self.options), secret)
            return Made(target, result.nonces[0] if len(result.nonces) == 1 else None, facts)

        return do

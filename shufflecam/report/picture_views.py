"""What there is to see of one input of a job: plain, protected, revealed, and how alike they are."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler import Key, open_sealed
from scrambler.errors import MissingKeyError, ShuffleCamError, WrongKeyError
from sensor import RawFrame, develop
from shufflecam.figures import colour_planes, entropy_bits, neighbour_correlation, psnr_db, ssim, stretched
from shufflecam.inputs import RAW_FILES, named
from shufflecam.jobs import MANIFEST, Record, read_manifest
from shufflecam.protected_file import ENDINGS, is_protected, load_protected, reveal_protected
from shufflecam.report.jobs_found import Job
from shufflecam.sealed_frame import frame_of
from shufflecam.sources import is_picture, read_frame, read_picture
from shufflecam.videos import is_video, video_frames

Picture = NDArray[np.uint8]

_SEALED = ".sealed"
_MAKES_PROTECTED = ("capture", "protect", "seal")
_MOST_ORIGINS = 8
_METRIC_SIDE_PX = 1024
_CROPPED_PX = 8
"""A capture leaves out what is no whole period of the colour filter; no more than that is taken off to compare."""


@dataclass
class PictureViews:
    """One input's pictures.

    Attributes
    ----------
    plain, protected, revealed : uint8 array (H, W, 3) or None
        None where there is nothing to show.
    metrics : dict of str to float
        In dB, bits and shares; of the central 1024 x 1024 pixels of larger pictures.
    notes : list of str
        Why a picture is missing.
    wrong_key : bool
        Whether one is missing because the key given is another one.
    """

    plain: Picture | None = None
    protected: Picture | None = None
    revealed: Picture | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wrong_key: bool = False


class ViewReader:
    """Reads what a report shows of an input; a file that is gone or damaged makes a note, no error.

    Parameters
    ----------
    key : Key or None
        Without it nothing is revealed that `reveal` did not already write.
    """

    def __init__(self, key: Key | None) -> None:
        self._key = key
        self._origins: dict[Path, dict[Path, Path]] = {}

    def read(self, job: Job, record: Record) -> PictureViews:
        """Return the pictures of one finished input."""
        views, source = PictureViews(), Path(record.input)
        output = None if record.output is None else job.folder / record.output
        protected = output if record.verb in _MAKES_PROTECTED and output is not None else source
        codes: NDArray[Any] | None = None
        try:
            with named(self._origin(source)):
                views.plain = _plain(self._origin(source))
        except ShuffleCamError as error:
            views.notes.append(_without_path(error, self._origin(source)))
        try:
            with named(protected):
                views.protected, codes = _protected(_one_file(protected))
        except ShuffleCamError as error:
            views.notes.append(_without_path(error, protected))
        try:
            if record.verb == "reveal" and output is not None:
                with named(output):
                    views.revealed = _eight_bit(read_picture(_one_file(output)))
            elif views.protected is not None:
                with named(protected):
                    views.revealed = self._revealed(_one_file(protected))
        except ShuffleCamError as error:
            views.wrong_key = isinstance(error, WrongKeyError) or isinstance(error.__cause__, WrongKeyError)
            views.notes.append(_without_path(error, protected))
        views.metrics = _metrics(views, codes)
        return views

    def _origin(self, path: Path) -> Path:
        """Return the file that a job's input was made of, as far back as manifests tell."""
        for _ in range(_MOST_ORIGINS):
            earlier = self._made_of(path)
            if earlier is None:
                break
            path = earlier
        return path

    def _made_of(self, path: Path) -> Path | None:
        folder = next((above for above in path.parents if (above / MANIFEST).is_file()), None)
        if folder is None:
            return None
        if folder not in self._origins:
            self._origins[folder] = {
                folder / record.output: Path(record.input)
                for record in read_manifest(folder).values()
                if record.output is not None
            }
        return self._origins[folder].get(path)

    def _revealed(self, path: Path) -> Picture | None:
        if path.suffix.lower() in ENDINGS:
            if load_protected(path)[0].key_id is not None and self._key is None:
                raise MissingKeyError("revealed only with the key")
            # A scheme without a key takes any.
            return _eight_bit(reveal_protected(path, self._key or Key.generate()))
        if self._key is None:
            raise MissingKeyError("revealed only with the key")
        if path.suffix == _SEALED:
            unsealed = open_sealed(path, self._key)
            return develop(frame_of(unsealed.values, unsealed.metadata), self._key, dtype=np.uint8)
        return develop(read_frame(path), self._key, dtype=np.uint8)


def _without_path(error: ShuffleCamError, path: Path) -> str:
    """Return an error's sentence with the file's name only: a report travels, and folders are nobody's business."""
    return str(error).replace(str(path), path.name)


def _one_file(path: Path) -> Path:
    """Return a file, or the first frame in a video's folder."""
    return min(path.iterdir()) if path.is_dir() else path


def _plain(path: Path) -> Picture | None:
    """Return a picture, a natural frame or the first frame of a video; None for what is protected already."""
    if is_video(path):
        return next(video_frames(path))
    if path.suffix.lower() in RAW_FILES:
        frame = read_frame(path)
        return None if frame.is_shuffled else develop(frame, dtype=np.uint8)
    if not is_picture(path) or (path.suffix.lower() in ENDINGS and is_protected(path)):
        return None
    return _eight_bit(read_picture(path))


def _protected(path: Path) -> tuple[Picture | None, NDArray[Any] | None]:
    """Return what somebody without the key sees, and the values behind it, whose neighbours are of one kind."""
    if path.suffix == _SEALED:
        octets = np.frombuffer(path.read_bytes(), np.uint8)
        side = max(1, math.isqrt(octets.size))
        square = octets[: side * (octets.size // side)].reshape(-1, side)
        return _eight_bit(square), square
    if path.suffix.lower() in ENDINGS:
        if not is_protected(path):
            return None, None
        values = load_protected(path)[0].values
        return _eight_bit(values), values
    frame: RawFrame = read_frame(path)
    return develop(frame.as_if_natural(), dtype=np.uint8), colour_planes(frame)


def _eight_bit(values: NDArray[Any]) -> Picture:
    """Return any picture's values as 8-bit RGB."""
    shown = np.rint(255 * stretched(values)).astype(np.uint8)
    return shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)


def _metrics(views: PictureViews, codes: NDArray[Any] | None) -> dict[str, float]:
    found: dict[str, float] = {}
    if views.plain is not None:
        plain = _centre(views.plain)
        found["plain_entropy_bits"] = entropy_bits(plain)
        found["plain_neighbours"] = neighbour_correlation(plain)
    if views.protected is not None and codes is not None:
        found["protected_entropy_bits"] = entropy_bits(_centre(views.protected))
        found["protected_neighbours"] = neighbour_correlation(_centre(codes))
    for name, other in (("protected", views.protected), ("revealed", views.revealed)):
        pair = None if views.plain is None or other is None else _comparable(views.plain, other)
        if pair is not None:
            found[f"{name}_ssim"] = ssim(*pair)
            found[f"{name}_psnr_db"] = psnr_db(*pair)
    return found


def _comparable(plain: Picture, other: Picture) -> tuple[Picture, Picture] | None:
    """Return two pictures of one size, or None where a scheme changes it."""
    sizes = list(zip(plain.shape[:2], other.shape[:2], strict=True))
    if any(abs(one - two) > _CROPPED_PX for one, two in sizes):
        return None
    height, width = (min(pair) for pair in sizes)
    return _centre(plain[:height, :width]), _centre(other[:height, :width])


def _centre(values: NDArray[Any]) -> NDArray[Any]:
    top, left = (max(0, (side - _METRIC_SIDE_PX) // 2) for side in values.shape[:2])
    return values[top : top + _METRIC_SIDE_PX, left : left + _METRIC_SIDE_PX]

"""The frames of an EMVA 1288 session: from a camera on the bench, or from a folder; and into a folder.

A folder holds one descriptor file beside its pictures, as the standard's own evaluation tool reads it: lines ``v``
version, ``n`` bits width height, ``b`` exposure photons or ``d`` exposure (in nanoseconds, photons a photosite) for a
series in the light or in the dark, and then ``i`` name for each of its pictures. Dark series of exposure times that no
light was taken at, which that tool refuses, stand in a second file of the same format. Source of the format: the open
``emva1288`` project (github.com/EMVA1288/emva1288).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from scrambler.files import write_atomically
from sensor.errors import CaptureError
from sensor.image_file import read_image

DESCRIPTOR = "EMVA1288.txt"
DARK_DESCRIPTOR = "dark-current.txt"
_MAX_LINES = 100_000


@dataclass(frozen=True, kw_only=True)
class EmvaSeries:
    """Frames of the same light and exposure.

    Attributes
    ----------
    exposure_s : float
        Exposure time.
    photons : float
        Mean photons a photosite; 0 in the dark.
    count : int
        Number of frames, at least 2. Pairs serve temporal noise, longer series the spatial patterns.
    frames : callable
        Yields the frames in natural order, uint16, shape (H, W), one after the other.
    """

    exposure_s: float
    photons: float
    count: int
    frames: Callable[[], Iterator[NDArray[np.uint16]]]


def read_emva_folder(folder: str | Path) -> list[EmvaSeries]:
    """Return the series of a folder, in the order of its descriptor file; pictures are read when they are used.

    Parameters
    ----------
    folder : str or Path
        A folder that holds ``EMVA1288.txt``, or one other ``.txt`` file; or the descriptor file itself.

    Raises
    ------
    CaptureError
        Naming the file and line, when there is no descriptor or it cannot be understood.
    """
    path = _descriptor(Path(folder))
    series = _read_descriptor(path)
    beside = path.with_name(DARK_DESCRIPTOR)
    return series + _read_descriptor(beside) if beside.is_file() else series


def _read_descriptor(path: Path) -> list[EmvaSeries]:
    series: list[EmvaSeries] = []
    shape: tuple[int, int] | None = None
    current: tuple[float, float] | None = None
    names: list[Path] = []

    def close() -> None:
        if current is None:
            return
        if len(names) < 2:
            raise CaptureError(f"{path}: the series before line {number} has {len(names)} pictures; two are the least")
        series.append(_folder_series(*current, list(names), shape))
        names.clear()

    number = 0
    for number, words in _lines(path):
        kind, values = words[0], words[1:]
        opens = (kind, len(values)) in (("b", 2), ("d", 1))
        if opens:
            close()
        try:
            if opens:
                exposure, photons = float(values[0]), float(values[1]) if kind == "b" else 0.0
                if not (0 <= exposure < np.inf and 0 <= photons < np.inf):
                    raise ValueError
                current = (exposure * 1e-9, photons)
            elif kind == "i" and current is not None:
                # Names may hold blanks and Windows separators.
                names.append(path.parent / " ".join(values).replace("\\", "/"))
            elif kind == "n" and len(values) == 3:
                shape = (int(values[2]), int(values[1]))
            elif kind != "v":
                raise ValueError
        except ValueError:
            raise CaptureError(
                f"{path}: line {number} is not part of an EMVA 1288 descriptor: {' '.join(words)}"
            ) from None
    close()
    if not series:
        raise CaptureError(f"{path}: this descriptor names no pictures")
    return series


def write_emva_folder(series: list[EmvaSeries], folder: str | Path, *, bit_depth: int) -> None:
    """Write series as 16-bit PNGs with their descriptor file, which comes last.

    Parameters
    ----------
    series : list of EmvaSeries
        At least one.
    folder : str or Path
        Must exist.
    bit_depth : int
        Resolution, for the descriptor.
    """
    where = Path(folder)
    lit = {one.exposure_s for one in series if one.photons > 0}
    main: list[str] = []
    darks: list[str] = []
    for number, one in enumerate(series):
        lines = main if one.exposure_s in lit else darks
        exposure = f"{one.exposure_s * 1e9:.17g}"
        for place, frame in enumerate(one.frames()):
            if not lines:
                lines += ["v 3.1", f"n {bit_depth} {frame.shape[1]} {frame.shape[0]}"]
            if place == 0:
                lines.append(f"d {exposure}" if one.photons == 0 else f"b {exposure} {one.photons:.17g}")
            name = f"series{number:03d}_{place:02d}.png"
            done, encoded = cv2.imencode(".png", frame)
            if not done:
                raise CaptureError(f"{where / name}: the frame could not be encoded as PNG")
            write_atomically(where / name, encoded.tobytes())
            lines.append(f"i {name}")
    if darks:
        write_atomically(where / DARK_DESCRIPTOR, ("\n".join(darks) + "\n").encode("ascii"))
    write_atomically(where / DESCRIPTOR, ("\n".join(main) + "\n").encode("ascii"))


def _descriptor(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.is_dir():
        raise CaptureError(f"{path}: there is no such folder; give a folder of EMVA 1288 frames, or a sensor.Camera")
    own = path / DESCRIPTOR
    found = [own] if own.is_file() else sorted(path.glob("*.txt"))
    if len(found) != 1:
        raise CaptureError(f"{path}: the folder must hold one descriptor file (.txt), it holds {len(found)}")
    return found[0]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and words of the lines that say something."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if number > _MAX_LINES:
                    raise CaptureError(f"{path}: over {_MAX_LINES} lines; this is no EMVA 1288 descriptor")
                words = line.split()
                if words and not words[0].startswith("#"):
                    yield number, words
    except UnicodeDecodeError:
        raise CaptureError(f"{path}: a descriptor is a text file, this is not") from None
    except OSError as error:
        raise CaptureError(f"{path}: cannot read the descriptor ({error.strerror})") from None


def _folder_series(exposure_s: float, photons: float, names: list[Path], shape: tuple[int, int] | None) -> EmvaSeries:
    def frames() -> Iterator[NDArray[np.uint16]]:
        for name in names:
            picture = read_image(name)
            if picture.ndim != 2 or (shape is not None and picture.shape != shape):
                expected = "grey" if shape is None else f"grey, {shape[1]} x {shape[0]}"
                raise CaptureError(f"{name}: the descriptor promises pictures that are {expected}; got {picture.shape}")
            yield picture.astype(np.uint16)

    return EmvaSeries(exposure_s=exposure_s, photons=photons, count=len(names), frames=frames)

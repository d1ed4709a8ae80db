"""Folders of frames for :func:`sensor.calibrate`: dark ones by exposure time, flat ones by level of light."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sensor.errors import CaptureError, RawFileError
from sensor.image_file import read_image
from sensor.raw_frame import RawFrame

_PICTURES = {".png", ".tif", ".tiff", ".pgm"}
_UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


@dataclass(frozen=True, eq=False)
class FrameStack:
    """Frames of one exposure and one level of light.

    Attributes
    ----------
    folder : Path
        Where they lie.
    codes : ndarray of uint16, shape (L, H, W)
        All of them.
    exposure_s : float or None
        Exposure time, where files or folder tell.
    cfa : str or None
        Colour filter array; None for pictures, which do not tell.
    bit_depth : int or None
        Resolution; None for pictures.
    """

    folder: Path
    codes: NDArray[np.uint16]
    exposure_s: float | None
    cfa: str | None
    bit_depth: int | None


def read_frame_stacks(folder: str | Path) -> list[FrameStack]:
    """Read the frames of a folder: a stack from each folder within, or one from the folder itself.

    Frames are RAW files, which tell their exposure time, or grey pictures of codes (PNG, TIFF, PGM; 8 or 16 bit), for
    which the folder's name does: ``10ms``, ``0.5s``, ``250us``.

    Parameters
    ----------
    folder : str or Path
        Such as ``darks`` with ``darks/1ms/a.dng``.

    Returns
    -------
    list of FrameStack
        By folder name.

    Raises
    ------
    CaptureError
        Naming the folder or file, when there are no frames, or frames of different sizes or exposures in one stack.
    RawFileError, SceneError
        For a file that cannot be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise CaptureError(f"{folder}: there is no such folder of frames")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and any(_files(path))]
    if not folders and any(_files(root)):
        folders = [root]
    if not folders:
        raise CaptureError(f"{folder}: no frames in this folder or in the folders within")
    return [_stack(path) for path in folders]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith("."))


def _stack(folder: Path) -> FrameStack:
    frames: list[NDArray[np.uint16]] = []
    kinds: set[tuple[float | None, str | None, int | None, tuple[int, ...]]] = set()
    for path in _files(folder):
        codes, exposure_s, cfa, bit_depth = _frame(path)
        kinds.add((exposure_s, cfa, bit_depth, codes.shape))
        if len(kinds) > 1:
            raise CaptureError(f"{path}: size, exposure time or colour filters differ from the frames before it")
        frames.append(codes)
    exposure_s, cfa, bit_depth, _ = kinds.pop()
    if exposure_s is None:
        exposure_s = _exposure_of(folder.name)
    return FrameStack(folder, np.stack(frames), exposure_s, cfa, bit_depth)


def _frame(path: Path) -> tuple[NDArray[np.uint16], float | None, str | None, int | None]:
    if path.suffix.lower() in _PICTURES:
        picture = read_image(path)
        if picture.ndim != 2:
            raise CaptureError(f"{path}: a picture of codes is grey; this one has colours, so it was developed already")
        return picture.astype(np.uint16), None, None, None
    try:
        frame = RawFrame.load(path)
    except RawFileError as error:
        raise RawFileError(f"{error}; a folder of frames holds RAW files and grey pictures only") from None
    if frame.is_shuffled:
        raise CaptureError(f"{path}: this frame is shuffled; unshuffle it with its key first")
    return frame.mosaic, frame.exposure_s, frame.cfa, frame.bit_depth


def _exposure_of(name: str) -> float | None:
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-?\d+)?) ?(s|ms|us)", name)
    return float(found[1]) * _UNITS_S[found[2]] if found else None


def calibration_stacks(
    darks: str | Path, flats: str | Path
) -> tuple[dict[float, NDArray[np.uint16]], list[NDArray[np.uint16]], FrameStack]:
    """Read the two folders of a calibration.

    Parameters
    ----------
    darks, flats : str or Path
        See :func:`read_frame_stacks`. Dark stacks of the same exposure time are put together.

    Returns
    -------
    darks : dict of float to ndarray
    flats : list of ndarray
        Both as :func:`sensor.calibrate` takes them.
    first : FrameStack
        The first dark stack, which tells the frames' size, filters and resolution.

    Raises
    ------
    CaptureError
        When a dark stack does not tell its exposure time; else as for :func:`read_frame_stacks`.
    """
    by_time: dict[float, NDArray[np.uint16]] = {}
    stacks = read_frame_stacks(darks)
    for stack in stacks:
        if stack.exposure_s is None:
            raise CaptureError(
                f"{stack.folder}: neither files nor folder tell the exposure time; name the folder like 10ms or 0.5s"
            )
        before = by_time.get(stack.exposure_s)
        by_time[stack.exposure_s] = stack.codes if before is None else _joined(before, stack)
    lit = read_frame_stacks(flats)
    kinds = {(stack.cfa, stack.bit_depth) for stack in (*stacks, *lit)}
    if len(kinds) > 1:
        raise CaptureError(
            f"{flats}: these frames have other colour filters or another bit depth than those of {darks}"
        )
    return by_time, [stack.codes for stack in lit], stacks[0]


def _joined(before: NDArray[np.uint16], stack: FrameStack) -> NDArray[np.uint16]:
    try:
        return np.concatenate([before, stack.codes])
    except ValueError:
        raise CaptureError(f"{stack.folder}: frames of another size than those of the same exposure time") from None

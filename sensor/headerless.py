"""Headerless raw files and streams: nothing but packed rows, as cameras, FPGAs and capture tools write them."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from scrambler.files import atomic_file
from sensor.cfa import cfa_tile
from sensor.errors import RawFileError
from sensor.mipi_packing import pack, row_octets, unpack
from sensor.raw_file import MAX_PX
from sensor.raw_frame import RawFrame


def frame_octets(frame: RawFrame, packing: str) -> NDArray[np.uint8]:
    """Return a frame's packed rows, shape (H, octets a row); what :func:`write_headerless` writes."""
    return pack(frame.mosaic, frame.bit_depth, packing)


def write_headerless(frame: RawFrame, path: str | Path, packing: str) -> None:
    """Write a frame's codes and nothing else, replacing ``path`` in one step; inverse of :func:`read_headerless`.

    Size, colours, levels and, for a shuffled frame, the nonce are not in the file: keep them elsewhere.

    Parameters
    ----------
    frame : RawFrame
        Frame, in the order it was read out.
    path : str or Path
        File to write.
    packing : {"mipi", "words", "dense"}
        See :data:`sensor.mipi_packing.PACKINGS`.

    Raises
    ------
    RawFileError
        For a packing that the frame's bits do not have, or a file that cannot be written.
    """
    octets = frame_octets(frame, packing)
    try:
        with atomic_file(path) as file:
            file.write(octets.data)
    except OSError as error:
        raise RawFileError(f"{path}: cannot write the file ({error.strerror})") from None


def read_headerless(
    path: str | Path,
    *,
    shape: tuple[int, int],
    cfa: str,
    bits: int,
    packing: str,
    black_level: float = 0.0,
    white_level: int | None = None,
) -> RawFrame:
    """Read one frame of packed rows; inverse of :func:`write_headerless`.

    Parameters
    ----------
    path : str or Path
        File.
    shape : (int, int)
        Frame size (H, W), in photosites.
    cfa : str
        Letters of the colour filter's tile, see :func:`sensor.cfa.cfa_tile`.
    bits : int
        Resolution, 8 to 16.
    packing : {"mipi", "words", "dense"}
        See :data:`sensor.mipi_packing.PACKINGS`.
    black_level : float
        Code of no light.
    white_level : int, optional
        Code of a saturated photosite; the top code by default.

    Returns
    -------
    RawFrame
        Natural, with white balance and colours left as the camera's own.

    Raises
    ------
    RawFileError
        Naming the file, when it is missing, its size is not that of one frame, or its codes do not fit.
    """
    try:
        wanted = frame_size_octets(shape, bits, packing)
        if not Path(path).is_file() and Path(path).exists():
            raise RawFileError("this is no file")
        given = Path(path).stat().st_size
        if given != wanted:
            cut = "the file is cut short" if given < wanted else "the file is too long"
            raise RawFileError(f"{cut}: {_frame_takes(shape, bits, packing)}, and it has {given}")
        return _frame(np.fromfile(path, np.uint8), shape, cfa, bits, packing, black_level, white_level)
    except OSError as error:
        raise RawFileError(f"{path}: cannot read the file ({error.strerror})") from None
    except ValueError as error:
        raise RawFileError(f"{path}: {error}") from None


def read_stream(
    file: BinaryIO,
    *,
    shape: tuple[int, int],
    cfa: str,
    bits: int,
    packing: str,
    black_level: float = 0.0,
    white_level: int | None = None,
) -> Iterator[RawFrame]:
    """Yield frame after frame until the stream ends; inverse of :func:`sensor.frame_source.write_stream`.

    Parameters
    ----------
    file : binary file
        Such as a pipe, or a file with several frames.
    shape, cfa, bits, packing, black_level, white_level
        As for :func:`read_headerless`.

    Raises
    ------
    RawFileError
        When the stream ends inside a frame, or its codes do not fit.
    """
    wanted = frame_size_octets(shape, bits, packing)
    number = 0
    while octets := _octets(file, wanted):
        if len(octets) < wanted:
            raise RawFileError(
                f"the stream is cut short in frame {number}: {_frame_takes(shape, bits, packing)}, and it has"
                f" {len(octets)} more"
            )
        yield _frame(np.frombuffer(octets, np.uint8), shape, cfa, bits, packing, black_level, white_level)
        number += 1


def _octets(file: BinaryIO, count: int) -> bytes:
    """Return the next octets of a stream: so many, or fewer at its end."""
    parts: list[bytes] = []
    while count and (part := file.read(count)):  # a pipe gives what it has
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def frame_size_octets(shape: tuple[int, int], bits: int, packing: str) -> int:
    """Return how many octets a frame takes.

    Raises
    ------
    RawFileError
        For a packing that there is not, or a frame without photosites or with too many.
    """
    height, width = shape
    if min(shape) < 1 or height * width > MAX_PX:
        raise RawFileError(f"a frame of {height} x {width} photosites is not supported")
    return height * row_octets(width, bits, packing)


def _frame_takes(shape: tuple[int, int], bits: int, packing: str) -> str:
    wanted = frame_size_octets(shape, bits, packing)
    return f"{shape[1]} x {shape[0]} photosites of {bits} bits, packing {packing}, take {wanted} octets"


def _frame(
    octets: NDArray[np.uint8],
    shape: tuple[int, int],
    cfa: str,
    bits: int,
    packing: str,
    black_level: float,
    white_level: int | None,
) -> RawFrame:
    """Return the frame in so many octets."""
    tile = cfa_tile(cfa)
    return RawFrame(
        mosaic=unpack(octets.reshape(shape[0], -1), shape[1], bits, packing),
        cfa=cfa,
        bit_depth=bits,
        black_level=np.full(tile.shape, black_level),
        white_level=(1 << bits) - 1 if white_level is None else white_level,
        white_balance=np.ones(3),
        color_matrix=np.eye(3),
    )

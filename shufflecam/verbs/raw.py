"""RAW files into headerless ones, and headerless ones into DNG."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from shufflecam.inputs import Input, folder_of
from shufflecam.jobs.work import Do, Made, Work

HEADERLESS = frozenset({".bin", ".raw"})
"""Endings of the headerless files that are taken from folders."""


@dataclass(frozen=True, kw_only=True)
class Pack(Work):
    """Write RAW files as packed rows.

    Attributes
    ----------
    packing : str
        See :data:`sensor.mipi_packing.PACKINGS`.
    """

    packing: str

    verb: ClassVar[str] = "pack"

    def parameters(self) -> dict[str, Any]:
        """Return the packing."""
        return {"packing": self.packing}

    def start(self) -> Do:
        """Return what writes one file."""
        from sensor.headerless import write_headerless
        from shufflecam.sources import read_frame

        def do(item: Input, out: Path) -> Made:
            frame, target = read_frame(item.path), item.output(out, ".bin")
            with folder_of(target):
                write_headerless(frame, target, self.packing)
            return Made(target, frame.nonce)

        return do


@dataclass(frozen=True, kw_only=True)
class Unpack(Work):
    """Write packed rows as DNG, one frame or several of them.

    Attributes
    ----------
    shape, cfa, bits, packing, black_level
        As for :func:`sensor.headerless.read_headerless`.
    """

    shape: tuple[int, int]
    cfa: str
    bits: int
    packing: str
    black_level: float

    verb: ClassVar[str] = "unpack"

    def parameters(self) -> dict[str, Any]:
        """Return the format."""
        return self._format()

    def _format(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "key"}

    def start(self) -> Do:
        """Return what writes one file, or one stream's folder."""
        from sensor.errors import RawFileError
        from sensor.headerless import frame_size_octets, read_headerless, read_stream
        from shufflecam.videos import drop_frames, frame_path

        one = frame_size_octets(self.shape, self.bits, self.packing)

        def do(item: Input, out: Path) -> Made:
            given = item.path.stat().st_size
            if given > one and given % one:
                raise RawFileError(
                    f"{item.path}: a frame of this size, bits and packing takes {one} octets, and the file has {given}:"
                    " not a whole number of frames"
                )
            if given <= one:
                frame, target = read_headerless(item.path, **self._format()), item.output(out, ".dng")
                with folder_of(target):
                    frame.save(target)
                return Made(target)
            folder = item.output(out, "")
            written: set[Path] = set()
            with item.path.open("rb") as file:
                for number, frame in enumerate(read_stream(file, **self._format())):
                    target = frame_path(folder, number, ".dng")
                    with folder_of(target):
                        frame.save(target)
                    written.add(target)
            drop_frames(folder, written)
            return Made(folder)

        return do

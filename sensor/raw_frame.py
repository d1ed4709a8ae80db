"""A RAW frame: the codes a sensor delivered, in the order it delivered them, and what is needed to read them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from scrambler import GENERATORS, Key, Multiplexer, Permutation, new_nonce
from scrambler.errors import MissingKeyError, WrongKeyError
from sensor.cfa import cfa_tile
from sensor.errors import RawFileError, RawFrameError
from sensor.raw_reader import load_raw
from sensor.raw_writer import save_dng

STAGES = ("post-adc", "pre-adc")


@dataclass(frozen=True, kw_only=True, eq=False)
class RawFrame:
    """One frame as it left the camera.

    The mosaic lies in readout order. In a natural frame that is the order of the photosites; in a shuffled one,
    slot j holds photosite ``source[j]``, and ``key_id``, ``nonce``, ``pattern`` and ``unit`` say which shuffle it was.
    All other attributes describe photosites, in natural order.

    Attributes
    ----------
    mosaic : ndarray of uint16, shape (H, W)
        Codes; read-only.
    cfa : str
        Letters of the colour filter's tile at the first photosite, see :func:`sensor.cfa.cfa_tile`.
    bit_depth : int
        Resolution, 8 to 16.
    black_level : ndarray of float64, shape of the tile
        Code of no light, for each place in the tile.
    white_level : int
        Code of a saturated photosite.
    white_balance : ndarray of float64, shape (3,)
        Gains of red, green and blue, above 0; with 1 as the smallest, saturated colours all clip to white.
    color_matrix : ndarray of float64, shape (3, 3)
        White-balanced camera colours to linear sRGB.
    exposure_s, gain_dn_per_e, read_noise_e : float or None
        Exposure time, system gain, read noise; None when a file does not tell.
    sensor : str
        Name of the sensor or camera.
    key_id, pattern, unit : str or None
        Id of the key, readout pattern and unit of a shuffled frame; None for a natural one.
    nonce : bytes or None
        The 16 public bytes of this frame's shuffle.
    stage : str or None
        Where the multiplexer of a shuffled frame sat, ``"post-adc"`` (what a shuffled frame is taken for when nothing
        is said) or ``"pre-adc"``; None for a natural one.
    generator : str or None
        Address generator of a shuffled frame, ``"table"`` when nothing is said; None for a natural one.
    orientation : int
        How the picture is to be turned for looking at it, 1 to 8 as in TIFF, see :func:`sensor.orientation.upright`.
        The mosaic lies as the sensor does.
    """

    mosaic: NDArray[np.uint16]
    cfa: str
    bit_depth: int
    black_level: NDArray[np.float64]
    white_level: int
    white_balance: NDArray[np.float64]
    color_matrix: NDArray[np.float64]
    exposure_s: float | None = None
    gain_dn_per_e: float | None = None
    read_noise_e: float | None = None
    sensor: str = ""
    key_id: str | None = None
    nonce: bytes | None = None
    pattern: str | None = None
    unit: str | None = None
    stage: str | None = None
    generator: str | None = None
    orientation: int = 1

    def __post_init__(self) -> None:
        tile = cfa_tile(self.cfa)
        mosaic = np.asarray(self.mosaic)
        if mosaic.ndim != 2 or mosaic.dtype != np.uint16 or mosaic.size == 0:
            raise RawFrameError(f"a mosaic is uint16 of shape (H, W), got {mosaic.dtype} of shape {mosaic.shape}")
        for name in ("bit_depth", "white_level", "orientation"):
            self._number(name, int)
        for name in ("exposure_s", "gain_dn_per_e", "read_noise_e"):
            if getattr(self, name) is not None:
                self._number(name, float)
        if not 8 <= self.bit_depth <= 16:
            raise RawFrameError(f"bit_depth must be 8 to 16, got {self.bit_depth}")
        if not 1 <= self.orientation <= 8:
            raise RawFrameError(f"orientation must be 1 to 8, as in TIFF, got {self.orientation}")
        black = np.asarray(self.black_level, np.float64)
        black = self._frozen("black_level", np.full(tile.shape, black) if black.ndim == 0 else black, tile.shape)
        if not black.max() < self.white_level <= (1 << self.bit_depth) - 1 or black.min() < 0:
            raise RawFrameError(
                f"black level {black.max():g} and white level {self.white_level} must rise within {self.bit_depth} bits"
            )
        gains = self._frozen("white_balance", self.white_balance, (3,))
        if gains.min() <= 0:
            raise RawFrameError("white_balance gains must be above 0")
        self._frozen("color_matrix", self.color_matrix, (3, 3))
        readout = (self.key_id, self.nonce, self.pattern, self.unit)
        if any(part is None for part in readout) and any(part is not None for part in readout):
            raise RawFrameError("key_id, nonce, pattern and unit of a shuffled frame belong together")
        if self.key_id is not None and self.stage is None:
            object.__setattr__(self, "stage", STAGES[0])
        if self.key_id is not None and self.generator is None:
            object.__setattr__(self, "generator", "table")
        if self.generator is not None and (self.key_id is None or self.generator not in GENERATORS):
            raise RawFrameError(
                f"the generator of a shuffled frame is one of {', '.join(GENERATORS)}, got {self.generator!r}"
            )
        if self.stage is not None and (self.key_id is None or self.stage not in STAGES):
            raise RawFrameError(f"the stage of a shuffled frame is one of {', '.join(STAGES)}, got {self.stage!r}")
        if self.key_id is not None and not re.fullmatch("[0-9a-f]{16}", self.key_id):
            raise RawFrameError(f"key_id must be 16 hexadecimal digits, got {self.key_id!r}")
        if self.nonce is not None and len(self.nonce) != 16:
            raise RawFrameError(f"a nonce is 16 bytes, got {len(self.nonce)}")
        object.__setattr__(self, "mosaic", _unchanging(mosaic))

    def _number(self, name: str, kind: type[int] | type[float]) -> None:
        """Store an attribute as a plain number of its kind; NumPy's numbers are welcome."""
        value = getattr(self, name)
        kinds = (int, np.integer) if kind is int else (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < math.inf:
            raise RawFrameError(f"{name} must be a number of type {kind.__name__}, not negative, got {value!r}")
        object.__setattr__(self, name, kind(value))

    def _frozen(self, name: str, value: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Store a read-only float64 copy of an attribute, of the shape it must have."""
        array = np.array(value, np.float64)
        if array.shape != shape or not np.isfinite(array).all():
            raise RawFrameError(f"{name} must be finite and of shape {shape}, got shape {array.shape}")
        array.flags.writeable = False
        object.__setattr__(self, name, array)
        return array

    def __repr__(self) -> str:
        height, width = self.shape
        readout = ", ".join(
            str(part) for part in (self.pattern, self.unit, self.stage, self.generator) if part != "table"
        )
        order = f"shuffled ({readout}) by key {self.key_id}" if self.is_shuffled else "natural"
        return f"RawFrame({height} x {width} {self.cfa}, {self.bit_depth} bit, {self.sensor or 'unknown'}, {order})"

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, in photosites."""
        height, width = self.mosaic.shape
        return height, width

    @property
    def is_shuffled(self) -> bool:
        """Whether the mosaic lies in shuffled order."""
        return self.key_id is not None

    def readout_permutation(self, key: Key | None, *, force: bool = False) -> Permutation | None:
        """Return the order this frame was read out in; None for a natural frame.

        Parameters
        ----------
        key : Key
            The key of the camera; may be None for a natural frame.
        force : bool
            Take any key, even one whose id is not the frame's: for studies of wrong keys.

        Raises
        ------
        MissingKeyError
            When the frame is shuffled and there is no key.
        WrongKeyError
            When the key's id is not the frame's.
        """
        if self.key_id is None or self.nonce is None or self.pattern is None:
            return None
        if key is None:
            raise MissingKeyError(f"this frame is shuffled; give the key with id {self.key_id}")
        if key.id != self.key_id and not force:
            raise WrongKeyError(f"this frame was shuffled with key {self.key_id}, the key given is {key.id}")
        rows, columns = cfa_tile(self.cfa).shape
        return Multiplexer(key, pattern=self.pattern, unit=self.unit, generator=self.generator or "table").permutation(
            self.shape, self.nonce, period=(rows, columns)
        )

    def unshuffle(self, key: Key | None, *, force: bool = False) -> Self:
        """Return the frame in natural order, bit for bit what the sensor converted; inverse of :meth:`shuffle`.

        Parameters and errors as for :meth:`readout_permutation`. A natural frame is returned as it is.
        """
        permutation = self.readout_permutation(key, force=force)
        if permutation is None:
            return self
        return self._in_natural_order(_owned(permutation.unshuffle(self.mosaic)))

    def as_if_natural(self) -> Self:
        """Return the frame as software that knows nothing of the shuffle takes it: slots for photosites."""
        return self._in_natural_order(self.mosaic)

    def _in_natural_order(self, mosaic: NDArray[np.uint16]) -> Self:
        return self._with(mosaic, dict.fromkeys(("key_id", "nonce", "pattern", "unit", "stage", "generator")))

    def with_codes(self, mosaic: NDArray[np.uint16]) -> Self:
        """Return a frame like this one with other codes, uint16 of shape (H, W): for cameras, whose frames are alike.

        Nothing else changes, so nothing else is checked again.
        """
        return self._with(_unchanging(mosaic), {})

    def _with(self, mosaic: NDArray[np.uint16], readout: Mapping[str, object]) -> Self:
        frame = object.__new__(type(self))
        vars(frame).update(vars(self), mosaic=mosaic, **readout)
        return frame

    def shuffle(self, multiplexer: Multiplexer, nonce: bytes | None = None) -> Self:
        """Return the frame as if the sensor had read it out through ``multiplexer``.

        Parameters
        ----------
        multiplexer : Multiplexer
            Key, pattern and unit; without a unit, whole colour-filter periods move (``"quad"``).
        nonce : bytes, optional
            16 bytes never used before with this key; drawn anew when not given, which is what keeps the key safe.

        Raises
        ------
        RawFrameError
            When the frame is shuffled already.
        FixedNonceError
            When the multiplexer has shuffled 16 other frames under this nonce.
        """
        if self.is_shuffled:
            raise RawFrameError("this frame is shuffled already; unshuffle it first")
        if nonce is None:
            nonce = new_nonce()
        else:
            multiplexer.count(nonce, self.mosaic)
        unit = multiplexer.unit_for(rgb=False)
        rows, columns = cfa_tile(self.cfa).shape
        permutation = multiplexer.permutation(self.shape, nonce, unit=unit, period=(rows, columns))
        readout = {
            "key_id": multiplexer.key.id,
            "nonce": nonce,
            "pattern": multiplexer.pattern,
            "unit": unit,
            "stage": "post-adc",
            "generator": multiplexer.generator,
        }
        return self._with(_owned(permutation.shuffle(self.mosaic)), readout)

    def save(self, path: str | Path, *, packed: bool = False) -> None:
        """Write the frame as DNG, replacing ``path`` in one step; see :func:`sensor.raw_writer.save_dng`."""
        save_dng(self, path, packed=packed)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a RAW file, ours or any other that LibRaw opens; see :func:`sensor.raw_reader.load_raw`."""
        try:
            return cls(**load_raw(path))
        except RawFrameError as error:
            raise RawFileError(f"{path}: {error}") from None


def _unchanging(mosaic: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return an array that nobody can write to: itself or a copy."""
    if mosaic.flags.writeable or not mosaic.flags.c_contiguous:
        mosaic = np.array(mosaic, order="C")
        mosaic.flags.writeable = False
    return mosaic


def _owned(mosaic: Any) -> NDArray[np.uint16]:
    """Mark a new array read-only, so that the frame need not copy it."""
    array = np.ascontiguousarray(mosaic, np.uint16)
    array.flags.writeable = False
    return array

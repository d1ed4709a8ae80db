"""`Multiplexer`: the readout circuit that shuffles photosites under a key, in the patterns that hardware can do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler.cell_moves import CellMoves
from scrambler.cells import UNITS, Cells, cells_of
from scrambler.errors import FrameError, NonceError, PatternError
from scrambler.frame_size import check_shape, count_and_shape
from scrambler.generators import TABLE, check_generator, grid_order
from scrambler.key import Key, part_seed, require_key
from scrambler.keyed import READOUT, keyed_permutation, permutation_seed
from scrambler.nonce import FixedNonceGuard, check_nonce, guarded_nonces, nonces_for
from scrambler.patterns import PatternCard, parse_pattern
from scrambler.permutation import Permutation

BAYER = (2, 2)


@dataclass(frozen=True)
class Multiplexer:
    """A keyed readout: for every frame's nonce, a permutation of its photosites.

    A frame is cut into cells by `unit`, and `pattern` moves each kind of cell on its own grid:

    * unit "pixel": every photosite is a cell.
    * unit "quad": one period of the colour filter is a cell and moves whole. Where the period does not divide the
      frame, the narrower cells at the right edge are one kind, the flatter ones at the bottom another, and the corner
      stays.
    * unit "plane": the photosites at each position of the period are a grid of their own; nothing is left over.

    "quad" and "plane" keep every photosite on its colour, so the mosaic stays a legal mosaic. The numbers in
    "tiles:T", "blocks:T" and "lines:L" count cells: T = 4 with quads of 2 x 2 covers 8 x 8 photosites. Incomplete
    tiles at the edges are shuffled inside themselves, incomplete blocks among their own kind, and the last of the line
    buffers holds the rows that are left.

    Parameters
    ----------
    key : Key
        The secret; neither ``repr`` nor a pickle shows it.
    pattern : str
        One of :func:`list_patterns`; "frame", the default, is the only one that is not weak.
    unit : {"pixel", "quad", "plane"}, optional
        None means "quad" for mosaics and "pixel" for RGB.
    generator : {"table", "feistel", "light"}
        The circuit that draws the orders, see :mod:`scrambler.generators`: another one, other orders. "table" is
        exactly uniform; "feistel" needs no table however large the frame; "light" has no security claim.
    guard : FixedNonceGuard
        Counts the frames that share a nonce, over the multiplexer's life; several multiplexers of a job may have one.

    Raises
    ------
    MissingKeyError, PatternError
        If the key is missing, or there is no such pattern, unit or generator.

    Examples
    --------
    >>> mux = Multiplexer(Key.from_bytes(bytes(32)), pattern="tiles:2")
    >>> shuffled, nonce = mux.shuffle(np.arange(16).reshape(4, 4))
    >>> bool((mux.unshuffle(shuffled, nonce) == np.arange(16).reshape(4, 4)).all())
    True
    """

    key: Key
    pattern: str = "frame"
    unit: str | None = None
    generator: str = TABLE
    guard: FixedNonceGuard = field(default_factory=FixedNonceGuard, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_key(self.key, "a multiplexer")
        parse_pattern(self.pattern)
        if self.unit is not None:
            check_unit(self.unit)
        check_generator(self.generator)

    @property
    def leak(self) -> str:
        """What one frame gives away to somebody without the key; worth printing for every pattern but "frame"."""
        return parse_pattern(self.pattern)[0].leak

    def unit_for(self, *, rgb: bool) -> str:
        """Return the unit used for RGB frames or for mosaics."""
        return self.unit or ("pixel" if rgb else "quad")

    def permutation(
        self, size: tuple[int, int], nonce: bytes, unit: str | None = None, period: tuple[int, int] = BAYER
    ) -> Permutation:
        """Return the permutation of one frame.

        Parameters
        ----------
        size : (int, int)
            Frame size (H, W).
        nonce : bytes, 16 long
            The frame's nonce.
        unit : {"pixel", "quad", "plane"}, optional
            Instead of the multiplexer's own; None means its own, and "quad" if it has none.
        period : (int, int)
            Period of the colour filter: (2, 2) Bayer, (4, 4) quad-Bayer, (6, 6) X-Trans. Unit "pixel" ignores it.

        Returns
        -------
        Permutation
            With its shape set. Pattern "frame" with unit "pixel" is ``keyed_permutation(key, H * W, nonce,
            label="readout")``.

        Raises
        ------
        NonceError, PatternError, PermutationError
            If nonce, unit, period or size are missing or impossible.
        """
        unit = check_unit(unit or self.unit_for(rgb=False))
        card, number = parse_pattern(self.pattern)
        _, shape = count_and_shape(size)
        if shape is None:
            raise PatternError(f"size of a frame is (H, W), got {size!r}.")
        if nonce is None:
            raise NonceError("a readout needs nonce=, 16 bytes that are fresh for every frame: new_nonce() draws one.")
        if card.name == "frame" and unit == "pixel" and self.generator == TABLE:
            return keyed_permutation(self.key, shape, nonce)
        period = (1, 1) if unit == "pixel" else check_period(period)
        seed = self._seed(card, number, shape, nonce, unit, period)
        kinds = [
            (cells, _draw(card, cells.grid, number, part_seed(seed, cells.name), self.generator))
            for cells in _kinds(shape, unit, period)
        ]
        if unit == "pixel" and kinds:  # the cells are the photosites: nothing moves beside them
            return kinds[0][1].with_shape(shape)
        return Permutation.of_mover(CellMoves(shape, kinds), shape)

    def seed(
        self, size: tuple[int, int], nonce: bytes, unit: str | None = None, period: tuple[int, int] = BAYER
    ) -> bytes:
        """Return the 32 secret bytes that a frame's address generators follow; parameters as for :meth:`permutation`.

        Each kind of cells has a part of them, see :func:`scrambler.key.part_seed`. They give the frame away, and are
        meant for emulated hardware.
        """
        unit = check_unit(unit or self.unit_for(rgb=False))
        card, number = parse_pattern(self.pattern)
        period = (1, 1) if unit == "pixel" else check_period(period)
        return self._seed(card, number, check_shape(size), nonce, unit, period)

    def _seed(
        self, card: PatternCard, number: int, shape: tuple[int, int], nonce: bytes, unit: str, period: tuple[int, int]
    ) -> bytes:
        (height, width), (down, right) = shape, period
        geometry = f"size={height}x{width};unit={unit} {down}x{right};pattern={card.name} {number}"
        if self.generator != TABLE:
            geometry += f";generator={self.generator} v1"
        return permutation_seed(self.key, check_nonce(nonce), READOUT, geometry)

    def shuffle(
        self,
        frame: Any,
        nonce: bytes | None = None,
        fixed_nonce: bool = False,
        allow_many: bool = False,
        *,
        unit: str | None = None,
        period: tuple[int, int] = BAYER,
    ) -> tuple[NDArray[Any], bytes]:
        """Return the frame in shuffled order, and its nonce; inverse of :meth:`unshuffle`.

        Parameters
        ----------
        frame : array, shape (H, W) or (H, W, C)
            A mosaic, or RGB whose channels move together; any type.
        nonce : bytes, 16 long, optional
            Drawn fresh when missing.
        fixed_nonce, allow_many : bool
            Let this frame share a nonce with earlier ones, and with more than 16 of them: for studies only.
        unit, period
            As for :meth:`permutation`; for RGB, no unit at all means "pixel".

        Raises
        ------
        FixedNonceError
            If an earlier frame had this nonce, and nobody asked for that.
        """
        (nonce,) = guarded_nonces(
            None if nonce is None else [nonce], [frame], self.guard, fixed_nonce=fixed_nonce, allow_many=allow_many
        )
        return self._apply(frame, nonce, unit, period, inverse=False), nonce

    def unshuffle(
        self, frame: Any, nonce: bytes, *, unit: str | None = None, period: tuple[int, int] = BAYER
    ) -> NDArray[Any]:
        """Return the frame in natural order; inverse of :meth:`shuffle`, with the same parameters."""
        return self._apply(frame, nonce, unit, period, inverse=True)

    def count(self, nonce: bytes, frame: Any) -> None:
        """Count a frame that is read out under a nonce by other means, as a camera does.

        Parameters
        ----------
        nonce : bytes, 16 long
        frame : array
            In any order that the same frame always has.

        Raises
        ------
        FixedNonceError
            If 16 other frames had this nonce, unless the multiplexer's guard has ``allow_many=True``.

        Warns
        -----
        FixedNonceWarning
            If another frame had it.
        """
        self.guard.admit([check_nonce(nonce)], [frame], fixed_nonce=True)

    def shuffle_batch(
        self,
        frames: Any,
        nonces: bytes | Sequence[bytes] | None = None,
        fixed_nonce: bool = False,
        allow_many: bool = False,
        *,
        unit: str | None = None,
        period: tuple[int, int] = BAYER,
    ) -> tuple[Any, list[bytes]]:
        """Return frames in shuffled order, and their nonces; inverse of :meth:`unshuffle_batch`.

        Parameters
        ----------
        frames : array, shape (B, H, W) or (B, H, W, C), or sequence of frames
            A sequence may mix sizes, and gives a list.
        nonces : bytes, sequence of bytes, or None
            One for each frame, one for all, or None to draw fresh ones.
        fixed_nonce, allow_many : bool
            Let frames share a nonce, and more than 16 of them over the multiplexer's life: for studies only.

        Raises
        ------
        FixedNonceError
            If frames share a nonce that nobody asked for.
        """
        each = guarded_nonces(nonces, frames, self.guard, fixed_nonce=fixed_nonce, allow_many=allow_many)
        return self._apply_batch(frames, each, unit, period, inverse=False), each

    def unshuffle_batch(
        self, frames: Any, nonces: bytes | Sequence[bytes], *, unit: str | None = None, period: tuple[int, int] = BAYER
    ) -> Any:
        """Return frames in natural order; inverse of :meth:`shuffle_batch`."""
        if nonces is None:
            raise NonceError("unshuffling needs nonces=, those that shuffling returned.")
        return self._apply_batch(frames, nonces_for(nonces, len(frames)), unit, period, inverse=True)

    def _apply_batch(
        self, frames: Any, nonces: list[bytes], unit: str | None, period: tuple[int, int], *, inverse: bool
    ) -> Any:
        if not isinstance(frames, np.ndarray):
            return [
                self._apply(one, nonce, unit, period, inverse=inverse)
                for one, nonce in zip(frames, nonces, strict=True)
            ]
        out = np.empty_like(frames, order="C")
        for one, nonce, target in zip(frames, nonces, out, strict=True):
            target[...] = self._apply(one, nonce, unit, period, inverse=inverse)
        return out

    def _apply(
        self, frame: Any, nonce: bytes, unit: str | None, period: tuple[int, int], *, inverse: bool
    ) -> NDArray[Any]:
        frame = np.asarray(frame)
        if frame.ndim not in (2, 3):
            raise FrameError(f"a frame has the shape (H, W) or (H, W, C), got {frame.shape}.")
        rgb = frame.ndim == 3
        height, width = frame.shape[:2]
        permutation = self.permutation((height, width), nonce, unit or self.unit_for(rgb=rgb), period)
        apply = permutation.unshuffle if inverse else permutation.shuffle
        shuffled: NDArray[Any] = apply(frame, channels_last=rgb)
        return shuffled


@lru_cache(maxsize=64)
def _kinds(shape: tuple[int, int], unit: str, period: tuple[int, int]) -> tuple[Cells, ...]:
    """Return a frame's cells; kept, because the frames of a camera are alike."""
    return tuple(cells_of(shape, unit, period))


def _draw(card: PatternCard, grid: tuple[int, int], number: int, seed: bytes, generator: str) -> Permutation:
    """Return the permutation of a grid of cells."""
    if card.name == "frame":
        return grid_order(generator, seed, *grid)
    return Permutation.of_valid(card.draw(*grid, number, seed, generator))


def check_unit(unit: object) -> str:
    """Return the unit.

    Raises
    ------
    PatternError
        If there is no such unit.
    """
    if not isinstance(unit, str) or unit not in UNITS:
        raise PatternError(f"there is no unit {unit!r}: choose one of {', '.join(UNITS)}.")
    return unit


def check_period(period: object) -> tuple[int, int]:
    """Return the period of a colour filter.

    Raises
    ------
    PatternError
        If it is not a pair of whole numbers from 1 to 64.
    """
    if (
        isinstance(period, Sequence)
        and len(period) == 2
        and all(isinstance(side, (int, np.integer)) and 1 <= side <= 64 for side in period)
    ):
        return int(period[0]), int(period[1])
    raise PatternError(f"period is a pair of whole numbers from 1 to 64, such as (2, 2) for Bayer, got {period!r}.")

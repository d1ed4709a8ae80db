"""What a readout needs as hardware: its numbers, its round keys and tables, and the addresses it has to deliver."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler import Multiplexer
from scrambler.feistel import Domain, domain_of, round_keys
from scrambler.generators import TABLE
from scrambler.key import Key, part_seed
from scrambler.patterns import parse_pattern
from sensor.errors import CaptureError

EXPORTED = ("frame", "rows", "columns", "rows+columns", "lines")


def bits_for(largest: int) -> int:
    """Return the bits of a register that holds 0 to `largest`.

    >>> bits_for(0), bits_for(7), bits_for(8)
    (1, 3, 4)
    """
    return max(1, int(largest).bit_length())


@dataclass(frozen=True, kw_only=True)
class Design:
    """One address generator of one sensor.

    Attributes
    ----------
    shape : (int, int)
        Frame size (H, W).
    pattern : str
        "frame", "rows", "columns", "rows+columns" or "lines:L".
    unit : str
        "pixel" or "quad".
    period : (int, int)
        Period of the colour filter, which a quad covers.
    generator : str
        See :func:`scrambler.list_generators`.

    Raises
    ------
    CaptureError
        For what is not exported: other patterns, planes, sizes that are not whole cells, frames over 16 times as wide
        as high.
    """

    shape: tuple[int, int]
    pattern: str
    unit: str = "quad"
    period: tuple[int, int] = (2, 2)
    generator: str = "feistel"

    def __post_init__(self) -> None:
        if self.kind not in EXPORTED:
            raise CaptureError(
                f"pattern {self.pattern!r} is not exported as hardware: choose frame, rows, columns, rows+columns"
                " or lines:L"
            )
        if self.unit not in ("pixel", "quad"):
            raise CaptureError(f"unit {self.unit!r} is not exported as hardware: choose pixel or quad")
        if any(side % step or side < 2 * step for side, step in zip(self.shape, self.cell, strict=True)):
            raise CaptureError(
                f"a frame of {self.shape[0]} x {self.shape[1]} is not two or more whole cells of"
                f" {self.cell[0]} x {self.cell[1]} each way, and only such are exported as hardware"
            )
        if max(self.shape) > 65535:
            raise CaptureError("a side of an exported frame has at most 65535 photosites")
        if self.kind == "frame" and self.generator != TABLE and domain_of(self.rows, self.columns).low != self.columns:
            raise CaptureError("a frame over 16 times as wide as high, or the reverse, is exported with tables only")

    @cached_property
    def kind(self) -> str:
        """The pattern without its number."""
        return parse_pattern(self.pattern)[0].name.partition(":")[0]

    @cached_property
    def lines(self) -> int:
        """Rows of cells that one line buffer holds; 0 for other patterns."""
        return min(parse_pattern(self.pattern)[1], self.rows) if self.kind == "lines" else 0

    @property
    def cell(self) -> tuple[int, int]:
        """Photosites of a cell, down and right."""
        return self.period if self.unit == "quad" else (1, 1)

    @property
    def rows(self) -> int:
        """Rows of cells."""
        return self.shape[0] // self.cell[0]

    @property
    def columns(self) -> int:
        """Columns of cells."""
        return self.shape[1] // self.cell[1]

    @property
    def orders_rows(self) -> bool:
        """Whether a row address generator is part of it."""
        return self.kind in ("rows", "rows+columns")

    @property
    def segments(self) -> int:
        """How often the second generator gets new keys in one frame; 0 without one."""
        return {"frame": 1, "rows": 0, "lines": -(-self.rows // max(1, self.lines))}.get(self.kind, self.rows)

    def length(self, segment: int) -> int:
        """Return how many cells a segment has."""
        if self.kind == "frame":
            return self.rows * self.columns
        if self.kind == "lines":
            return (min((segment + 1) * self.lines, self.rows) - segment * self.lines) * self.columns
        return self.columns

    def domain(self, segment: int) -> Domain:
        """Return the domain of a segment's bijection."""
        grid = (self.rows, self.columns) if self.kind == "frame" else (1, self.length(segment))
        return domain_of(*grid)

    @property
    def row_domain(self) -> Domain:
        """The domain of the row address generator."""
        return domain_of(1, self.rows)


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What one frame feeds into the hardware, and what has to come out.

    Attributes
    ----------
    row_words : list of int
        Key bus of the row address generator, one word; or its table; empty without one.
    words : list of list of int
        For each segment, its key bus, one word; or its table.
    expected : ndarray of uint32, shape (H * W,)
        Row times 65536 plus column of the photosite read into each slot.
    """

    row_words: list[int]
    words: list[list[int]]
    expected: NDArray[Any]


def vectors_of(design: Design, key: Key, nonce: bytes) -> Vectors:
    """Return the vectors of one frame.

    Parameters
    ----------
    design : Design
        The hardware.
    key : Key
        For tests: what is returned gives its orders away.
    nonce : bytes, 16 long
        The frame's nonce.
    """
    mux = Multiplexer(key, pattern=design.pattern, unit=design.unit, generator=design.generator)
    source = mux.permutation(design.shape, nonce, period=design.period).source
    row, column = np.divmod(source, np.uint32(design.shape[1]))
    seed = part_seed(mux.seed(design.shape, nonce, period=design.period), "whole")
    if design.generator == TABLE:
        row_words, words = _tables(design, row, column)
    else:
        name = {"frame": None, "lines": "lines"}.get(design.kind, "lines")
        own = seed if name is None else part_seed(seed, name)
        words = [[_bus(design, design.domain(s), own, s)] for s in range(design.segments)]
        row_words = [_bus(design, design.row_domain, part_seed(seed, "rows"), 0)] if design.orders_rows else []
    return Vectors(row_words=row_words, words=words, expected=row * np.uint32(65536) + column)


def _bus(design: Design, domain: Domain, seed: bytes, segment: int) -> int:
    """Return a segment's key bus as one number; `keyed_bijection.v` says what lies where."""
    high_bits, low_bits = bits_for(domain.high), bits_for(max(domain.low - 1, 0))
    bus, at = 0, 0
    for k0, k1, high, low in round_keys(design.generator, seed, first=segment)[0].tolist():
        for value, width in (
            (k0, 32), (k1, 32), (high * domain.high >> 32, high_bits), (low * domain.low >> 32, low_bits),
        ):  # fmt: skip
            bus |= value << at
            at += width
    return bus


def _tables(design: Design, row: NDArray[Any], column: NDArray[Any]) -> tuple[list[int], list[list[int]]]:
    """Return the row table, and each segment's table, from the photosites read into the slots."""
    down, right = design.cell
    rows = row.reshape(design.shape)[::down, ::right] // down
    columns = column.reshape(design.shape)[::down, ::right] // right
    row_table = rows[:, 0].tolist() if design.orders_rows else []
    if design.kind == "frame":
        return row_table, [(rows * design.columns + columns).ravel().tolist()]
    if design.kind == "lines":
        first = np.arange(design.rows)[:, None] // design.lines * design.lines
        local = ((rows - first) * design.columns + columns).reshape(design.rows, -1)
        return row_table, [
            local[s * design.lines : (s + 1) * design.lines].ravel().tolist() for s in range(design.segments)
        ]
    # A segment is a row of the sensor, wherever it is read.
    return row_table, [columns[place].tolist() for place in np.argsort(rows[:, 0])] if design.segments else []

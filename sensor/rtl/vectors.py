"""What one frame feeds into the address generators, and the addresses they have to deliver."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler import Multiplexer
from scrambler.feistel import Domain, round_keys
from scrambler.generators import TABLE
from scrambler.key import Key, part_seed
from sensor.rtl.design import Design, Zone, bits_for


@dataclass(frozen=True, kw_only=True)
class ZoneWords:
    """What one zone's generators are loaded with.

    Attributes
    ----------
    row_words : list of int
        Key bus of the row address generator, one word; or its table; empty without one.
    words : list of list of int
        For each segment, its key bus, one word; or its table.
    """

    row_words: list[int]
    words: list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What one frame feeds into the hardware, and what has to come out.

    Attributes
    ----------
    zones : list of ZoneWords
        For each zone of the design.
    expected : ndarray of uint32, shape (H * W,)
        Row times 65536 plus column of the photosite read into each slot.
    """

    zones: list[ZoneWords]
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
    row, column = (part.reshape(design.shape) for part in np.divmod(source, np.uint32(design.shape[1])))
    seed = mux.seed(design.shape, nonce, period=design.period)
    if design.generator == TABLE:
        zones = [_tables(zone, row, column) for zone in design.zones]
    else:
        zones = [_buses(design.generator, zone, seed) for zone in design.zones]
    return Vectors(zones=zones, expected=(row * np.uint32(65536) + column).ravel())


def _buses(generator: str, zone: Zone, seed: bytes) -> ZoneWords:
    """Return a zone's key buses, from the frame's seed."""
    rows = []
    if zone.orders_rows:
        own = part_seed(part_seed(seed, zone.parts[0]), "rows")
        rows = [_bus(zone.row_domain, words) for words in round_keys(generator, own).tolist()]
    own = seed
    for name in zone.parts:
        own = part_seed(own, name)
    keys = round_keys(generator, own, first=zone.first_segment, segments=zone.segments).tolist()
    return ZoneWords(row_words=rows, words=[[_bus(zone.domain, words)] for words in keys])


def _bus(domain: Domain, words: list[list[int]]) -> int:
    """Return a segment's key bus as one number; `keyed_bijection.v` says what lies where."""
    high_bits, low_bits = bits_for(domain.high), bits_for(domain.low - 1)
    bus, at = 0, 0
    for k0, k1, high, low in words:
        for value, width in (
            (k0, 32), (k1, 32), (high * domain.high >> 32, high_bits), (low * domain.low >> 32, low_bits),
        ):  # fmt: skip
            bus |= value << at
            at += width
    return bus


def _tables(zone: Zone, row: NDArray[Any], column: NDArray[Any]) -> ZoneWords:
    """Return a zone's tables, from the photosites read into the frame's slots, both of shape (H, W)."""
    (down, right), (height, width) = zone.step, zone.shape
    slots = (
        slice(zone.top, zone.top + (height - 1) * down + 1, down),
        slice(zone.left, zone.left + (width - 1) * right + 1, right),
    )
    # Cells read into the cells of slots, counted in the zone.
    rows = ((row[slots] - zone.top) // down)[:: zone.cell[0], :: zone.cell[1]] // zone.cell[0]
    columns = ((column[slots] - zone.left) // right)[:: zone.cell[0], :: zone.cell[1]] // zone.cell[1]
    row_words = rows[:, 0].tolist() if zone.orders_rows else []
    if not zone.segments:
        return ZoneWords(row_words=row_words, words=[])
    if zone.orders_rows:  # a segment is a row of the sensor, wherever it is read
        return ZoneWords(row_words=row_words, words=[columns[place].tolist() for place in np.argsort(rows[:, 0])])
    first = np.arange(zone.rows)[:, None] // zone.deep * zone.deep
    return ZoneWords(
        row_words=row_words, words=((rows - first) * zone.wide + columns).reshape(zone.segments, -1).tolist()
    )

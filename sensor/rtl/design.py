"""What a readout needs as hardware: its zones, and the address generators of each."""

from dataclasses import dataclass
from functools import cached_property

from scrambler.cells import Cells, blocks, cells_of
from scrambler.feistel import Domain, domain_of
from scrambler.generators import TABLE, check_generator
from scrambler.multiplexer import check_period, check_unit
from scrambler.patterns import parse_pattern
from sensor.errors import CaptureError

LARGEST_SIDE = 65535


def bits_for(largest: int) -> int:
    """Return the bits of a register that holds 0 to `largest`.

    >>> bits_for(0), bits_for(7), bits_for(8)
    (1, 3, 4)
    """
    return max(1, int(largest).bit_length())


@dataclass(frozen=True, kw_only=True)
class Zone:
    """Photosites whose slots follow one another row by row and that only trade places among themselves.

    Most designs are one zone. A colour plane is one, and so are the cells, tiles or buffers cut off at each edge.

    Attributes
    ----------
    top, left : int
        Its first photosite in the frame.
    step : (int, int)
        From one of its photosites to the next in the frame, down and right.
    cell : (int, int)
        Photosites of a cell, which moves whole.
    rows, columns : int
        Its cells.
    orders_rows : bool
        Whether rows of cells are read in a keyed order.
    deep, wide : int
        Cells of a segment; the second generator moves cells inside a segment. A segment of one cell has none.
    in_grid : bool
        Whether that generator's digits are the cell's row and column, where the segment is not too lopsided.
    parts : tuple of str
        Names that lead from the frame's seed to the zone's, see :func:`scrambler.key.part_seed`.
    first_segment : int
        Number of its first segment among those of one seed.
    """

    top: int
    left: int
    step: tuple[int, int]
    cell: tuple[int, int]
    rows: int
    columns: int
    orders_rows: bool
    deep: int
    wide: int
    in_grid: bool
    parts: tuple[str, ...]
    first_segment: int

    @property
    def shape(self) -> tuple[int, int]:
        """Photosites, down and right."""
        return self.rows * self.cell[0], self.columns * self.cell[1]

    @property
    def segments(self) -> int:
        """How often the second generator gets other keys in one frame; 0 without one."""
        return (self.rows // self.deep) * self.tiles if self.length > 1 else 0

    @property
    def tiles(self) -> int:
        """Segments beside one another; rows of single cells are scanned as one."""
        return self.columns // self.wide if self.length > 1 else 1

    @property
    def length(self) -> int:
        """Cells of a segment."""
        return self.deep * self.wide

    @property
    def domain(self) -> Domain:
        """The domain of the second generator."""
        return domain_of(self.deep, self.wide) if self.in_grid else domain_of(1, self.length)

    @property
    def row_domain(self) -> Domain:
        """The domain of the row address generator."""
        return domain_of(1, self.rows)


@dataclass(frozen=True, kw_only=True)
class Design:
    """The address generators of one sensor's keyed readout.

    Attributes
    ----------
    shape : (int, int)
        Frame size (H, W).
    pattern : str
        Any of :func:`scrambler.list_patterns`.
    unit : {"pixel", "quad", "plane"}
        What moves as one piece.
    period : (int, int)
        Period of the colour filter.
    generator : str
        See :func:`scrambler.list_generators`.

    Raises
    ------
    PatternError
        If there is no such pattern, unit or generator, or a period that is none.
    CaptureError
        For a frame without photosites, or with a side over 65535.

    Examples
    --------
    >>> [(zone.rows, zone.columns) for zone in Design(shape=(9, 12), pattern="tiles:2").zones]
    [(4, 6), (1, 6)]
    """

    shape: tuple[int, int]
    pattern: str
    unit: str = "quad"
    period: tuple[int, int] = (2, 2)
    generator: str = "feistel"

    def __post_init__(self) -> None:
        parse_pattern(self.pattern)
        check_unit(self.unit)
        check_period(self.period)
        check_generator(self.generator)
        if not all(1 <= side <= LARGEST_SIDE for side in self.shape):
            raise CaptureError(
                f"a side of an exported frame has 1 to {LARGEST_SIDE} photosites, got {self.shape[0]} x {self.shape[1]}"
            )

    @cached_property
    def kind(self) -> str:
        """The pattern without its number."""
        return parse_pattern(self.pattern)[0].name.partition(":")[0]

    @property
    def buffer_rows(self) -> int:
        """Rows of photosites that one bank of line buffers holds; 0 for patterns that need none."""
        if self.kind not in ("lines", "tiles"):
            return 0
        down = 1 if self.unit == "pixel" else self.period[0]
        return min(parse_pattern(self.pattern)[1] * down, self.shape[0])

    @cached_property
    def zones(self) -> tuple[Zone, ...]:
        """Every photosite lies in exactly one."""
        period = (1, 1) if self.unit == "pixel" else self.period
        return tuple(zone for cells in cells_of(self.shape, self.unit, period) for zone in self._zones_of(cells))

    def _zones_of(self, cells: Cells) -> list[Zone]:
        """Return the zones of one kind of cells: one, or one for each kind of buffer, tile or block."""
        columns = cells.grid[1]
        number = parse_pattern(self.pattern)[1]
        size = {"columns": (1, columns), "rows+columns": (1, columns), "lines": (number, columns)}
        pieces = blocks(cells.grid, size.get(self.kind, (number, number) if number else cells.grid))
        zones: list[Zone] = []
        for piece in pieces:
            # Blocks of each kind have a seed of their own, buffers and tiles are numbered through.
            first = 0 if self.kind == "blocks" else sum(zone.rows * zone.columns // zone.length for zone in zones)
            zones.append(self._zone(cells, piece, first))
        return zones

    def _zone(self, cells: Cells, piece: Cells, first_segment: int) -> Zone:
        """Return the zone of a piece of the grid of cells."""
        whole = self.kind == "blocks"
        deep, wide = piece.grid if whole else piece.size
        rows, columns = piece.grid if whole else (piece.grid[0] * deep, piece.grid[1] * wide)
        if self.kind == "rows":
            deep, wide = 1, 1
        elif self.kind == "tiles" and self.generator == TABLE:
            wide = columns  # one table for all tiles beside one another: each tile's own would be loaded for every row
        own = {"frame": (), "rows": (), "rows+columns": ("lines",), "columns": ("lines",), "blocks": (piece.name,)}
        return Zone(
            top=cells.top + piece.top * cells.step[0],
            left=cells.left + piece.left * cells.step[1],
            step=cells.step if self.unit == "plane" else (1, 1),
            cell=(cells.size[0] * piece.size[0], cells.size[1] * piece.size[1]) if whole else cells.size,
            rows=rows,
            columns=columns,
            orders_rows=self.kind in ("rows", "rows+columns") and rows > 1,
            deep=deep,
            wide=wide,
            in_grid=self.kind in ("frame", "blocks"),
            parts=(cells.name, *own.get(self.kind, (self.kind,))),
            first_segment=first_segment,
        )

"""What conversion did: a table of the keyed layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload


@dataclass(frozen=True)
class PlanRow:
    """One keyed layer.

    Attributes
    ----------
    layer : str
        Its name in the model.
    kind : str
        The keyed operator that took its place.
    input_size, output_size : tuple of int
        Height and width of the maps.
    table_entries : int
        Integers in its tables.
    reads, writes : str
        Label of the key that orders its input and its output; "frame" is the frame's own order under its nonce,
        "natural" is no key. Layers whose outputs meet in a sum or a concatenation share a key.
    values_moved : int
        Cost: values that a frame's pass copies because of the key, by the portable engine. An engine that reads through
        the table itself copies none.
    """

    layer: str
    kind: str
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    table_entries: int
    reads: str
    writes: str
    values_moved: int


class Plan(Sequence[PlanRow]):
    """The keyed layers in order of execution; ``print`` shows a table.

    Parameters
    ----------
    rows : sequence of PlanRow
    free : int
        Operations on pixels that work in any order and stayed as they are.
    aligned : int
        Sums, products and concatenations whose maps were given one key, so that they need no gather.

    Examples
    --------
    >>> print(Plan([PlanRow("stem", "KeyedConv2d", (8, 8), (4, 4), 80, "frame", "stem", 0)], free=3, aligned=1))
    layer  operator     pixels      table  reads  writes  values moved
    stem   KeyedConv2d  8x8 -> 4x4     80  frame  stem               0
    1 keyed layer, 80 table entries, 0 values moved a frame; 3 operations free, 1 join aligned
    """

    def __init__(self, rows: Sequence[PlanRow], free: int, aligned: int) -> None:
        self._rows = tuple(rows)
        self.free = free
        self.aligned = aligned

    @overload
    def __getitem__(self, index: int) -> PlanRow: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[PlanRow, ...]: ...
    def __getitem__(self, index: int | slice) -> PlanRow | tuple[PlanRow, ...]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[PlanRow]:
        return iter(self._rows)

    def __str__(self) -> str:
        lines = [("layer", "operator", "pixels", "table", "reads", "writes", "values moved")]
        for row in self._rows:
            (h, w), (ho, wo) = row.input_size, row.output_size
            lines.append((row.layer, row.kind, f"{h}x{w} -> {ho}x{wo}", str(row.table_entries), row.reads,
                          row.writes, str(row.values_moved)))  # fmt: skip
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        numbers = (3, 6)
        text = [
            "  ".join(
                cell.rjust(width) if i in numbers else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        ]
        entries, moved = (sum(getattr(row, name) for row in self._rows) for name in ("table_entries", "values_moved"))
        text.append(
            f"{_count(len(self), 'keyed layer')}, {entries} table entries, {moved} values moved a frame; "
            f"{_count(self.free, 'operation')} free, {_count(self.aligned, 'join')} aligned"
        )
        return "\n".join(text)

    __repr__ = __str__


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"

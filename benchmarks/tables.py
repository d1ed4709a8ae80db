"""Tables of results that grow row by row: what stops in the middle goes on where it was.

Each ``benchmarks.table_x`` lists its rows and hands them to :func:`fill`. After every row ``results/table_x.json`` and
``table_x.md`` are written anew; a row that is there with the same settings is kept, unless ``--redo`` asks for it.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, machine, print_table, write_report
from scrambler.files import write_atomically

Figures = Mapping[str, Any]
NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    name : str
        Unique in its table; ``--rows`` chooses by it.
    run : callable
        Returns the figures by column.
    settings : mapping
        Recipe and seeds. A kept row is run again when they have changed.
    """

    name: str
    run: Callable[[], Figures]
    settings: Figures


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a table is about.

    Attributes
    ----------
    stem : str
        Of its files and its module, such as ``"table_a"``.
    title : str
        Heading.
    columns : sequence of str
        In order; a row may leave some out, and figures of other names go into the JSON only.
    notes : sequence of str
        What a reader must know to read it.
    """

    stem: str
    title: str
    columns: Sequence[str]
    notes: Sequence[str]


def parser_for(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all tables have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", metavar="TEXT", help="only rows whose names contain one of these")
    parser.add_argument("--redo", action="store_true", help="run rows again that are there already")
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="start no row after so many minutes")
    parser.add_argument("--list", action="store_true", help="name the rows and what is known of them; run nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON and the Markdown")
    return parser


def fill(table: Table, rows: Sequence[Row], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the rows that are missing and write the table after each of them.

    Parameters
    ----------
    table : Table
        Its heading and columns.
    rows : sequence of Row
        In the order of the table.
    options : argparse.Namespace
        What :func:`parser_for` parsed.

    Returns
    -------
    list of dict
        All lines that are there at the end.
    """
    path = options.out / f"{table.stem}.json"
    known = _written(path)
    chosen = [row for row in rows if options.rows is None or any(text in row.name for text in options.rows)]
    if options.list:
        for row in chosen:
            print(row.name, "" if row.name in known else "(missing)")
        return list(known.values())
    if not chosen:
        print(f"no row's name contains {' or '.join(options.rows)}: --list names them", file=sys.stderr)
    begin = time.monotonic()
    for row in chosen:
        settings = json.loads(json.dumps(row.settings))
        if not options.redo and row.name in known and known[row.name]["settings"] == settings:
            continue
        if options.budget is not None and time.monotonic() - begin > 60 * options.budget:
            print(f"the budget of {options.budget:g} minutes is used up before {row.name!r}", file=sys.stderr)
            break
        started = time.monotonic()
        figures = row.run()
        known = _written(path)  # another process may have added rows meanwhile
        known[row.name] = {
            "row": row.name, **figures, "settings": settings, "seconds": round(time.monotonic() - started, 1),
            "date": datetime.now(UTC).date().isoformat(), "machine": machine(),
        }  # fmt: skip
        print(f"{row.name}: " + ", ".join(f"{name} {shown(value)}" for name, value in figures.items()), flush=True)
        lines = [known[other.name] for other in rows if other.name in known]
        write_report(path, table.title, lines, command=f"python -m benchmarks.{table.stem}", notes=list(table.notes))
        write_atomically(path.with_suffix(".md"), markdown(table, lines).encode())
    lines = [known[row.name] for row in rows if row.name in known]
    if lines:
        names = ("row", *table.columns)
        print_table(table.title, [{name: shown(line.get(name, "-")) for name in names} for line in lines])
    return lines


def shown(value: object) -> str:
    """Return a figure as text.

    >>> shown(94.05), shown(3), shown(1e-05), shown("not run")
    ('94.05', '3', '1e-05', 'not run')
    """
    if isinstance(value, float):
        return f"{value:.2f}" if value == 0 or abs(value) >= 0.01 else f"{value:.1g}"
    return str(value)


def _written(path: Path) -> dict[str, dict[str, Any]]:
    """Return the lines of a table's JSON by row."""
    return {line["row"]: line for line in json.loads(path.read_text())["rows"]} if path.exists() else {}


def markdown(table: Table, lines: Sequence[Mapping[str, Any]]) -> str:
    """Return a table as Markdown, with its notes, recipe and where each row was run."""
    head = ["row", *table.columns]
    text = [f"# {table.title}", "", f"Made by `python -m benchmarks.{table.stem}`.", ""]
    text += [*(f"* {note}" for note in table.notes), "", _cells(head), _cells(["---"] * len(head))]
    text += [_cells([shown(line.get(name, "-")) for name in head]) for line in lines]
    commands = [line for line in lines if "command" in line]
    if commands:
        text += ["", "Rows that were not run, and how to run them:", ""]
        text += [f"* {line['row']}: {line.get('reason', '')} `{line['command']}`" for line in commands]
    text += ["", "Where, when and how each row was run:", ""]
    for line in lines:
        where = line["machine"]
        parts = [f"{line['date']}, {where['processor']}, {where['cores']} cores, {line['seconds']} s"]
        parts.append(_told(line["settings"] | line.get("trained with", {}), line))
        before = line.get("before that")
        if before:
            parts.append("before that " + _told(before["trained with"], before))
        text.append(f"* {line['row']}: {'; '.join(part for part in parts if part)}")
    return "\n".join(text) + "\n"


def _told(settings: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Return settings and, where there was a training, its seconds, as a line of text."""
    seconds = {name: record[name] for name in ("training seconds",) if name in record}
    return ", ".join(f"{name} {value}" for name, value in {**settings, **seconds}.items())


def _cells(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

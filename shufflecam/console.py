"""Where commands print: results to standard output, everything else to standard error."""

import io
import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A name that is not in the terminal's encoding is shown with escapes rather than not at all.
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors="backslashreplace")
# File names may hold anything, so nothing printed is markup. A file or pipe has no width to fold a table to.
stdout = Console(
    soft_wrap=True, highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 10_000
)
stderr = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table whose rows begin with their first cell, so that a script can find them.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequences of str
        As many cells each.
    title : str, optional
        Printed above.
    """
    # No frame on the left: a row then starts with its name.
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stdout.print(table)


_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), 127)}


def shown(text: str) -> str:
    r"""Return a text with control characters and bytes that are no text as escapes.

    File names may hold line breaks, what steers a terminal, and what no stream can encode.

    >>> shown("a" + chr(10) + "b.jpg")
    'a\\x0ab.jpg'
    """
    return text.translate(_ESCAPES).encode("utf-8", "backslashreplace").decode()

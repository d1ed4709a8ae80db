"""Where commands print: results to standard output, everything else to standard error."""

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

# A file or pipe has no width, and rich would fold every table to 80 columns there.
stdout = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 200)
stderr = Console(stderr=True, soft_wrap=True, highlight=False)


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
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    stdout.print(table)

"""How a verb ends when some of its inputs failed."""

import typer

from shufflecam.console import stderr


def report_failures(failures: list[str]) -> None:
    """Print one line an input that failed and, if there is any, end with exit status 3."""
    for failure in failures:
        stderr.print(f"shufflecam: {failure}", markup=False)
    if failures:
        raise typer.Exit(3)

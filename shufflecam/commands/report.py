"""``shufflecam report``: jobs as one HTML file."""

from pathlib import Path
from typing import Annotated

import typer

from shufflecam.commands.options import OptionalKeyFile


def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of a job, or of several.", metavar="FOLDER")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; default: FOLDER/report.html.", metavar="FILE.html")
    ] = None,
    key: OptionalKeyFile = None,
    most: Annotated[int, typer.Option("--most", help="How many inputs the viewer shows; 0 for none.", min=0)] = 24,
    side: Annotated[int, typer.Option("--side", help="Longest side of its pictures, in pixels.", min=16)] = 640,
) -> None:
    """Write one HTML file about the jobs in a folder: summary, table, pictures side by side, numbers, settings.

    It opens from disk and loads nothing. It never holds a key, but plain pictures where they are still at hand;
    --most 0 leaves all pictures out. With --key it reveals frames, too.

    Example: shufflecam report shuffled --key door.key
    """
    from rich.progress import Progress

    from scrambler import Key
    from shufflecam.console import stderr, stdout
    from shufflecam.report import ReportError, write_report

    target = folder / "report.html" if out is None else out
    if target.suffix.lower() not in (".html", ".htm"):
        raise ReportError(f"{target}: a report is HTML, give a name that ends in .html")
    secret = None if key is None else Key.load(key)
    with Progress(console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("reading pictures", total=None)
        counts = write_report(
            target, folder, secret, most, side,
            on_picture=lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    stdout.print(
        f"wrote {target}: {counts['inputs']} inputs of {counts['jobs']} {'job' if counts['jobs'] == 1 else 'jobs'}, "
        f"{counts['failed']} of them failed; "
        f"{counts['pictures']} in the viewer"
    )

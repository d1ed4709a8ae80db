"""How a verb on many inputs runs and ends: what was done, what failed and why, and the exit status."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from shufflecam.console import shown, stderr, stdout

if TYPE_CHECKING:
    from shufflecam.inputs import Input
    from shufflecam.jobs import Settings, Summary, Work

_MOST_LINES = 20


def is_job(inputs: list[Path], out: Path) -> bool:
    """Tell whether this is work for a manifest: a folder, several inputs, or an output folder that has one already.

    One file named alone is simply done, and done again when named again.
    """
    return len(inputs) > 1 or inputs[0].is_dir() or (out / "manifest.jsonl").exists()


def run(work: "Work", inputs: "list[Input]", out: Path | None, settings: "Settings") -> "Summary":
    """Do a job with a progress bar; a dry run prints what there is to do, and ends the command."""
    from shufflecam.jobs import run_job

    summary = run_job(work, inputs, out, settings, console=stderr)
    if settings.dry_run:
        for item in summary.left:
            stdout.print(shown(f"would {work.verb} {item.path}"))
        stdout.print(f"{len(summary.left)} to do, {len(summary.kept)} finished already; nothing was done")
        raise typer.Exit
    return summary


def report(summary: "Summary", done: str = "", others: "Counter[str] | None" = None) -> None:
    """Print what was done, and one line for each input that failed; many failures are counted by reason.

    Parameters
    ----------
    summary : Summary
        Of the job.
    done : str
        What to say behind the number of finished inputs, such as "frames in DIR"; nothing if empty.
    others : Counter, optional
        Files in the folders that the verb does not take, by ending, see :func:`shufflecam.inputs.expand`.

    Raises
    ------
    typer.Exit
        With status 1 if something failed and nothing is finished, 3 if some inputs failed and the rest are done.
    """
    if done and summary.done:
        stdout.print(shown(f"{len(summary.done)} {done}"))
    if done and summary.kept:
        stdout.print(f"{len(summary.kept)} finished by an earlier run and kept; --overwrite does them again")
    if others is not None and others.total():
        kinds = ", ".join(f"{count} {ending}" for ending, count in sorted(others.items()) if count)
        stderr.print(f"passed over {others.total()} files of kinds that this verb does not take: {kinds}")
    for line in _failure_lines(summary):
        stderr.print(f"shufflecam: {shown(line)}")
    if summary.left or (summary.stopped and not summary.failures):
        stderr.print(f"shufflecam: {shown(summary.stopped)}; {len(summary.left)} inputs are left")
    if summary.failures or summary.stopped:
        raise typer.Exit(3 if summary.done or summary.kept else 1)


def _failure_lines(summary: "Summary") -> list[str]:
    failures = summary.failures
    if len(failures) <= _MOST_LINES:
        return failures
    reasons = Counter(
        record.error.replace(record.input, "").replace(record.name, "").strip(": ")
        for record in summary.records
        if record.error is not None
    )
    lines = failures[: _MOST_LINES // 2]
    lines.append(f"{len(failures)} inputs failed, of which these are the first; by reason:")
    lines += [f"{count} x {reason}" for reason, count in reasons.most_common(_MOST_LINES)]
    return lines

"""A job's progress bar: how many, how fast, how long still."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console


_DRAWN_PER_S = 4


class ProgressBar:
    """Shows rate and time left on a terminal, and nothing elsewhere: a log should hold results.

    Parameters
    ----------
    console : Console
        Where to show it.
    what : str
        What is being done, such as "capture".
    total : int
        Number of inputs.
    """

    def __init__(self, console: "Console", what: str, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True), TextColumn("left"), TextColumn("{task.fields[failed]}"),
        )  # fmt: skip
        # Drawing takes time from the workers: a few times a second is enough to read.
        self._bar = Progress(
            *columns, console=console, disable=not console.is_terminal or total < 2, transient=True,
            refresh_per_second=_DRAWN_PER_S,
        )  # fmt: skip
        self._task = self._bar.add_task(what, total=total, rate="", failed="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def add(self, done: int, failed: int) -> None:
        """Count ``done`` more inputs; ``failed`` is how many failed so far."""
        speed = self._bar.tasks[0].speed
        self._bar.update(
            self._task, advance=done, rate="" if speed is None else f"{speed:.3g}/s",
            failed=f"{failed} failed" if failed else "",
        )  # fmt: skip

"""The job itself: find out what is left to do, have it done, write down what came of it."""

import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scrambler.errors import ShuffleCamError
from scrambler.files import sweep_temporaries
from shufflecam.inputs import Input
from shufflecam.jobs.crews import Crew, OneProcess, Processes, Report
from shufflecam.jobs.job_key import KeyWatch
from shufflecam.jobs.manifest import MANIFEST, Manifest, Record, read_manifest
from shufflecam.jobs.progress import ProgressBar
from shufflecam.jobs.work import Outcome, Work

if TYPE_CHECKING:
    from rich.console import Console

# A worker process takes a second to start; this much is done sooner without.
_FEW_INPUTS, _FEW_BYTES = 32, 1 << 25
_BATCH_S = 0.15
_MOST_IN_A_BATCH = 256


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a job is done; what it makes does not depend on them.

    Attributes
    ----------
    jobs : int or None
        Worker processes; 1 works in this process, on one core. None: one a core, or this process for a few small
        inputs.
    scheduler : str or None
        Address of a Dask scheduler whose workers do the job instead.
    overwrite : bool
        Do finished inputs again.
    dry_run : bool
        Only find out what there is to do.
    fail_fast : bool
        Stop at the first input that fails.
    manifest : bool
        Keep a manifest, resume from it, and let no other job into the folder meanwhile.
    """

    jobs: int | None = None
    scheduler: str | None = None
    overwrite: bool = False
    dry_run: bool = False
    fail_fast: bool = False
    manifest: bool = True


@dataclass
class Summary:
    """What came of a job.

    Attributes
    ----------
    records : list of Record
        What this run did and what it failed at, in the order it came in.
    kept : list of Record
        What an earlier run had finished.
    left : list of Input
        What was not tried: of a job that stopped, or all that a dry run would do.
    stopped : str
        Why the job stopped before its end; empty if it did not.
    """

    records: list[Record] = field(default_factory=list)
    kept: list[Record] = field(default_factory=list)
    left: list[Input] = field(default_factory=list)
    stopped: str = ""

    @property
    def done(self) -> list[Record]:
        """What this run finished."""
        return [record for record in self.records if record.error is None]

    @property
    def failures(self) -> list[str]:
        """One sentence for each input that failed."""
        return [record.error for record in self.records if record.error is not None]


def run_job(
    work: Work,
    inputs: Sequence[Input],
    out: Path | None,
    settings: Settings | None = None,
    console: "Console | None" = None,
) -> Summary:
    """Do a verb's work on every input, and go on after a bad one.

    What an earlier run finished with the same verb, key and parameters is kept, if input and output are still as they
    were; temporary files of killed runs are swept. The manifest gets a line for each input
    (:mod:`shufflecam.jobs.manifest`).

    Parameters
    ----------
    work : Work
        What to do to one input.
    inputs : sequence of Input
        As :func:`shufflecam.inputs.expand` finds them.
    out : Path or None
        The output folder, made if missing. None for verbs that write nothing: then there is no manifest either.
    settings : Settings, optional
        How.
    console : Console, optional
        A terminal gets a progress bar.

    Raises
    ------
    JobError
        If another job is at work in this folder, workers cannot start or a cluster does not answer.
    ShuffleCamError
        If the work cannot start: a network that does not exist, a key file that is gone.
    OSError
        If the output folder cannot be written.

    Notes
    -----
    A key that is replaced, a full disk and Ctrl-C end a job early: :attr:`Summary.stopped` says so, and all that was
    done until then is whole and written down.

    With worker processes a script must call this below ``if __name__ == "__main__":``, as always with
    :mod:`multiprocessing`.
    """
    settings = settings or Settings()
    summary = Summary()
    earlier = read_manifest(out) if out is not None and settings.manifest and not settings.overwrite else {}
    todo: deque[Input] = deque()
    for item in inputs:
        record = earlier.get(item.name.as_posix())
        if out is not None and record is not None and record.holds(work, out, item):
            summary.kept.append(record)
        else:
            todo.append(item)
    if settings.dry_run or not todo:
        summary.left = list(todo)
        return summary
    with ExitStack() as stack:
        manifest = None
        if out is not None:
            stack.enter_context(_tidy(out, summary))
            if settings.manifest:
                manifest = stack.enter_context(Manifest(out))
                sweep_temporaries(out)
        lock = None if manifest is None else manifest.file.fileno()
        crew = _crew(work, todo, Path() if out is None else out, settings, lock)
        stack.callback(crew.close)
        bar = None
        if console is not None:
            bar = stack.enter_context(ProgressBar(console, work.verb, len(todo)))
        _Run(work, summary, todo, crew, manifest, bar, settings.fail_fast).run()
    return summary


def _crew(work: Work, todo: Sequence[Input], out: Path, settings: Settings, lock: int | None) -> Crew:
    if settings.scheduler is not None and not work.in_order:
        from shufflecam.jobs.cluster import Cluster

        return Cluster(settings.scheduler, work, out, settings.fail_fast)
    count = min(len(todo), settings.jobs or (1 if _is_little(todo) else _cores()))
    if count == 1 or work.in_order:
        return OneProcess(work, out, settings.fail_fast, one_core=settings.jobs == 1)
    return Processes(work, out, settings.fail_fast, count, lock)


def _cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _is_little(todo: Sequence[Input]) -> bool:
    if len(todo) >= _FEW_INPUTS:
        return False
    total = 0
    for item in todo:
        with suppress(OSError):
            total += item.path.stat().st_size
    return total < _FEW_BYTES


@contextmanager
def _tidy(out: Path, summary: Summary) -> Iterator[None]:
    """Take away the folders that a job made and had no use for, and a manifest that holds nothing but failures."""
    existed = {Path(folder) for folder, _, _ in os.walk(out)}
    above = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        yield
    finally:
        made = [Path(folder) for folder, _, _ in os.walk(out, topdown=False) if Path(folder) not in existed]
        for folder in made:
            with suppress(OSError):
                if folder != out:
                    folder.rmdir()
        if above and not summary.done and out.is_dir() and os.listdir(out) in ([], [MANIFEST]):
            (out / MANIFEST).unlink(missing_ok=True)
            for folder in above:
                with suppress(OSError):
                    folder.rmdir()


@dataclass
class _Run:
    """One pass over what is left to do."""

    work: Work
    summary: Summary
    todo: deque[Input]
    crew: Crew
    manifest: Manifest | None
    bar: ProgressBar | None
    fail_fast: bool
    given: int = 0
    failed: int = 0
    seconds: float = math.inf
    # Inputs whose worker died with them: they are done again, each alone, so that the guilty one is found.
    deaths: dict[Input, int] = field(default_factory=dict)

    def run(self) -> None:
        """Hand out and collect until nothing is left or the job stops."""
        watch = KeyWatch(self.work.key)
        everything = list(self.todo)
        try:
            self._give()
            while self.given or (self.todo and not self.summary.stopped):
                taken = [self._take(report) for report in self.crew.collect()]
                try:
                    self._give()  # before anything is written down, so that no worker waits for it
                finally:
                    for outcomes in taken:
                        self._write_down(outcomes)
                if not self.summary.stopped:
                    watch.check()
        except KeyboardInterrupt:
            self.summary.stopped = "interrupted; run the same command again to go on"
        except (ShuffleCamError, OSError) as error:
            if not self.summary.records:
                raise
            self.summary.stopped = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        tried = {record.name for record in self.summary.records}
        self.summary.left = [item for item in everything if item.name.as_posix() not in tried]

    def _give(self) -> None:
        """Hand out batches while somebody is free and nothing stops the job."""
        while self.todo and not self.summary.stopped and self.crew.free() > 0:
            size = min(int(_BATCH_S / self.seconds) if self.seconds else _MOST_IN_A_BATCH, _MOST_IN_A_BATCH)
            size = max(1, min(size, len(self.todo) // (2 * self.crew.size)))
            if self.todo[0] in self.deaths:
                size = 1
            batch = [self.todo.popleft() for _ in range(size)]
            self.crew.give(batch)
            self.given += 1

    def _take(self, report: Report) -> list[tuple[Input, Outcome]]:
        """Return what came of inputs, and put back those of which nothing came."""
        self.given -= 1
        outcomes = list(zip(report.batch, report.outcomes, strict=False))
        missing = list(report.batch[len(outcomes) :])
        if report.died:
            alone = len(report.batch) == 1
            for item in missing:
                self.deaths[item] = self.deaths.get(item, 0) + alone
            lost = [item for item in missing if self.deaths[item] >= 2]
            outcomes += [
                (item, Outcome(0.0, error=f"{item.path}: the worker process {report.died}, twice")) for item in lost
            ]
            missing = [item for item in missing if item not in lost]
        self.todo.extendleft(reversed(missing))
        if outcomes:
            mean = sum(outcome.seconds for _, outcome in outcomes) / len(outcomes)
            self.seconds = mean if math.isinf(self.seconds) else 0.5 * (self.seconds + mean)
        for _, outcome in outcomes:
            if outcome.stops_job:
                self.summary.stopped = "the job stopped there"
            elif outcome.error and self.fail_fast:
                self.summary.stopped = "stopped at the first failure, as --fail-fast asks"
        return outcomes

    def _write_down(self, outcomes: Sequence[tuple[Input, Outcome]]) -> None:
        records = [Record.of(self.work, item, outcome) for item, outcome in outcomes]
        self.summary.records += records
        self.failed += sum(record.error is not None for record in records)
        if self.manifest is not None:
            self.manifest.add(records)
        if self.bar is not None:
            self.bar.add(len(records), self.failed)

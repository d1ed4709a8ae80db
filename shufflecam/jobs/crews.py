"""Who does the work: this process, or worker processes beside it. A cluster's crew has its own module."""

import os
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from shufflecam.inputs import Input
from shufflecam.jobs.errors import JobError
from shufflecam.jobs.work import Outcome, Work
from shufflecam.jobs.worker import READY, LockHandle, run_batch, serve, use_one_core

_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Report:
    """What came of one batch.

    Attributes
    ----------
    batch : sequence of Input
        As it was given.
    outcomes : list of Outcome
        Fewer than the batch if a worker died or stopped at a failure.
    died : str
        How the worker died; empty if it did not.
    """

    batch: Sequence[Input]
    outcomes: list[Outcome]
    died: str = ""


class Crew(Protocol):
    """Somebody who does batches of inputs."""

    size: int
    """How many batches are done at a time."""

    def free(self) -> int:
        """Return how many more batches can be given now."""
        ...

    def give(self, batch: Sequence[Input]) -> None:
        """Hand out a batch."""
        ...

    def collect(self) -> list[Report]:
        """Wait for the next batches to come back, and return them."""
        ...

    def close(self) -> None:
        """Stop at once; what is half done is dropped."""
        ...


class OneProcess:
    """The job's own process: for one input, and for inputs that depend on each other."""

    size = 1

    def __init__(self, work: Work, out: Path, fail_fast: bool, one_core: bool) -> None:
        self._do, self._out, self._fail_fast = work.start(), out, fail_fast
        self._given: deque[Sequence[Input]] = deque()
        self._restore_cores = use_one_core() if one_core else None

    def free(self) -> int:
        """Return 1 until a batch is given."""
        return 1 - len(self._given)

    def give(self, batch: Sequence[Input]) -> None:
        """Take a batch."""
        self._given.append(batch)

    def collect(self) -> list[Report]:
        """Do it."""
        batch = self._given.popleft()
        return [Report(batch, run_batch(self._do, batch, self._out, self._fail_fast))]

    def close(self) -> None:
        """Give the cores back."""
        if self._restore_cores is not None:
            self._restore_cores()


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    batch: Sequence[Input] = field(default_factory=list)


class Processes:
    """Worker processes, spawned; one that dies is replaced and its batch reported.

    Each has a pipe of its own, so that it is known which inputs a dead one had, and none waits for ever when the job
    itself is killed.

    Parameters
    ----------
    work, out, fail_fast
        As for the job.
    count : int
        How many.
    lock : int
        Handle of the locked manifest.
    """

    def __init__(self, work: Work, out: Path, fail_fast: bool, count: int, lock: int | None) -> None:
        self.size = count
        self._arguments = (work, out, fail_fast)
        self._lock = lock
        self._spawn = get_context("spawn")
        self._workers = [self._new_worker() for _ in range(count)]

    def _new_worker(self) -> _Worker:
        ours, theirs = self._spawn.Pipe()
        lock = None if self._lock is None or os.name != "posix" else LockHandle(self._lock)
        process = self._spawn.Process(target=serve, args=(theirs, lock, *self._arguments), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def free(self) -> int:
        """Return how many workers wait."""
        return sum(worker.ready and not worker.batch for worker in self._workers)

    def give(self, batch: Sequence[Input]) -> None:
        """Send a batch to a waiting worker."""
        worker = next(worker for worker in self._workers if worker.ready and not worker.batch)
        worker.batch = batch
        with suppress(OSError):  # one that died while it waited will be seen by collect()
            worker.pipe.send(batch)

    def collect(self) -> list[Report]:
        """Wait until a worker is ready, done or dead.

        Raises
        ------
        JobError
            If a worker cannot start.
        """
        reports = []
        heard = connection.wait([worker.pipe for worker in self._workers])
        for number, worker in enumerate(self._workers):
            if worker.pipe not in heard:
                continue
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                reports += self._replace(number)
                continue
            if not worker.ready:
                if message != READY:
                    raise JobError(message)
                worker.ready = True
            else:
                reports.append(Report(worker.batch, message))
                worker.batch = []
        return reports

    def _replace(self, number: int) -> list[Report]:
        worker = self._workers[number]
        worker.process.join()
        how = _death(worker.process.exitcode)
        if not worker.ready:
            raise JobError(f"a worker process {how} before it could begin; try --jobs 1")
        worker.pipe.close()
        self._workers[number] = self._new_worker()
        return [Report(worker.batch, [], how)] if worker.batch else []

    def close(self) -> None:
        """End the workers: idle ones when they see their pipe closed, so that they can clean up, others at once."""
        for worker in self._workers:
            if worker.batch or not worker.ready:
                worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(_PATIENCE_S)
            worker.process.kill()
            worker.process.join()


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with status {code}"

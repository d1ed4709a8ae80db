"""What happens in a worker, on this machine or on a cluster: batches of inputs in, outcomes out."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from multiprocessing import connection, parent_process, reduction
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from scrambler.errors import ShuffleCamError
from shufflecam.inputs import Input
from shufflecam.jobs.work import Do, Outcome, Work, attempt

READY = "ready"
_ONE_AT_A_TIME = threading.Lock()


def run_batch(do: Do, batch: Sequence[Input], out: Path, fail_fast: bool) -> list[Outcome]:
    """Do inputs one after the other; the first failure ends the batch if asked, and one that stops the job always."""
    outcomes = []
    for item in batch:
        outcome = attempt(do, item, out)
        outcomes.append(outcome)
        if outcome.stops_job or (outcome.error and fail_fast):
            break
    return outcomes


@lru_cache(maxsize=1)
def _started(work: Work) -> Do:
    return work.start()


def run_batch_on_cluster(work: Work, batch: Sequence[Input], out: Path, fail_fast: bool) -> list[Outcome]:
    """Do inputs in a process that outlives the job: what `work` loads is kept until another job comes.

    A process does one batch at a time, however many threads it has: it listens to what decoders print.
    """
    with _ONE_AT_A_TIME:
        use_one_core()
        return run_batch(_started(work), batch, out, fail_fast)


def use_one_core() -> Callable[[], None]:
    """Keep libraries from starting threads: there are as many workers as cores already. Return what undoes it."""
    import cv2
    import numba

    before = cv2.getNumThreads(), numba.get_num_threads()
    cv2.setNumThreads(1)
    numba.set_num_threads(1)

    def restore() -> None:
        cv2.setNumThreads(before[0])
        numba.set_num_threads(before[1])

    return restore


class LockHandle:
    """An open file that a process hands on to the one it spawns, which keeps it open until it ends.

    Parameters
    ----------
    handle : int
        File descriptor.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __reduce__(self) -> tuple[Any, ...]:
        return _inherited, (reduction.DupFd(self.handle),)


def _inherited(duplicate: Any) -> LockHandle:
    return LockHandle(duplicate.detach())


def serve(pipe: Connection, lock: LockHandle | None, work: Work, out: Path, fail_fast: bool) -> None:
    """Be a worker process: say READY, then answer every batch with its outcomes until the pipe ends.

    Parameters
    ----------
    pipe : Connection
        To the job.
    lock : LockHandle or None
        The manifest's lock, held by workers too: while one that lost its job still writes, no other job may begin.
    work, out, fail_fast
        As for the job.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the job hears Ctrl-C and ends the workers
    threading.Thread(target=_die_with_job, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch reads it when it loads, which has not happened yet
    try:
        do = work.start()
        use_one_core()
    except (ShuffleCamError, OSError) as error:
        pipe.send(str(error))
        return
    pipe.send(READY)
    while True:
        try:
            batch = pipe.recv()
        except EOFError:
            return
        pipe.send(run_batch(do, batch, out, fail_fast))


def _die_with_job() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)

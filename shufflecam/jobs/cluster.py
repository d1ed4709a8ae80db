"""A crew on a Dask cluster: the same batches, done by the workers of a scheduler.

Inputs, key file and output folder must be at the same paths on every worker, on a file system that all of them share.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scrambler.errors import ShuffleCamError
from shufflecam.inputs import Input
from shufflecam.jobs.crews import Report
from shufflecam.jobs.errors import JobError
from shufflecam.jobs.work import Work
from shufflecam.jobs.worker import run_batch_on_cluster

_TIMEOUT_S = 10


class Cluster:
    """Workers of a ``dask.distributed`` scheduler.

    Dask gives a dead worker's batch to another one by itself, three times; then the batch is reported.

    Parameters
    ----------
    address : str
        Of the scheduler, such as ``tcp://10.0.0.1:8786``.
    work, out, fail_fast
        As for the job.

    Raises
    ------
    JobError
        If Dask is not installed, the scheduler does not answer or has no workers.
    """

    def __init__(self, address: str, work: Work, out: Path, fail_fast: bool) -> None:
        try:
            import distributed
        except ImportError:
            raise JobError("--scheduler needs Dask: pip install 'shufflecam[cluster]'") from None
        self._dask: Any = distributed  # untyped
        # They would tell of a lost worker in many lines; the job tells in one.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._address, self._arguments = address, (work, out.absolute(), fail_fast)
        self._pending: dict[Any, Sequence[Input]] = {}
        try:
            self._client = self._dask.Client(address, timeout=_TIMEOUT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise JobError(f"no Dask scheduler answers at {address} ({type(error).__name__})") from None
        self.size = self._workers()
        if not self.size:
            self.close()
            raise JobError(f"the scheduler at {address} has no workers: start some with `dask worker {address}`")

    def _workers(self) -> int:
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def free(self) -> int:
        """Return how many batches keep every worker busy with another one waiting."""
        return 2 * self.size - len(self._pending)

    def give(self, batch: Sequence[Input]) -> None:
        """Submit a batch."""
        work, out, fail_fast = self._arguments
        batch = [Input(item.path.absolute(), item.name, item.problem) for item in batch]
        future = self._client.submit(run_batch_on_cluster, work, batch, out, fail_fast, pure=False)
        self._pending[future] = batch

    def collect(self) -> list[Report]:
        """Wait for batches.

        Raises
        ------
        JobError
            If the scheduler is gone, or the workers lack what the job needs.
        """
        try:
            with self._client.as_current():
                done = self._dask.wait(list(self._pending), return_when="FIRST_COMPLETED").done
            self.size = max(1, self._workers())  # workers come and go
            return [self._report(future) for future in done]
        except OSError as error:
            raise JobError(f"the scheduler at {self._address} is gone ({type(error).__name__})") from None

    def _report(self, future: Any) -> Report:
        batch = self._pending.pop(future)
        if future.status == "finished":
            return Report(batch, future.result())
        error = future.exception() if future.status == "error" else None
        if isinstance(error, ShuffleCamError):
            raise error
        if error is None or isinstance(error, self._dask.KilledWorker):
            return Report(batch, [], "died on the cluster")
        raise JobError(f"a worker of {self._address} failed: {type(error).__name__}: {error}")

    def close(self) -> None:
        """Drop what is not finished and leave the cluster."""
        self._client.cancel(list(self._pending))
        self._client.close(timeout=_TIMEOUT_S)

"""Threads for kernels that release the interpreter.

They are our own rather than OpenMP's, which Numba and PyTorch each bring along: starting one's threads changes the
number of the other's, and the threads of one spin while the other's work.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def threads_for(jobs: int) -> int:
    """Return how many threads to share so many jobs among: as many as PyTorch may use, at most one a job."""
    return max(1, min(torch.get_num_threads(), os.cpu_count() or 1, jobs))


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="operators")


# A child process has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


def share(parts: int, work: Callable[[int], None]) -> None:
    """Call ``work(0)`` to ``work(parts - 1)``, the first in this thread and each of the others in one of its own.

    Parameters
    ----------
    parts : int
    work : callable
        Spends its time in kernels that release the interpreter; no part depends on another.
    """
    others = [_pool().submit(work, part) for part in range(1, parts)]
    try:
        work(0)
    finally:
        for other in others:
            other.result()

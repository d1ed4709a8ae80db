"""How many threads a parallel kernel uses: as many as PyTorch may."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numba
import torch
from numba import threading_layer  # type: ignore[attr-defined]  # numba's own list of names lacks it


@lru_cache(maxsize=1)
def _most_threads() -> int:
    """Start Numba's threads and return their number; 1 where they cannot be used by several callers at once."""
    threads = torch.get_num_threads()
    most = numba.get_num_threads()
    # Numba and PyTorch share one OpenMP, whose number of threads Numba sets to its own when it starts.
    torch.set_num_threads(threads)
    return 1 if threading_layer() == "workqueue" else most


def threads_for(jobs: int) -> int:
    """Return how many threads to share so many jobs among: as many as PyTorch may use, at most one a job."""
    wanted = min(torch.get_num_threads(), jobs)
    return 1 if wanted <= 1 else min(wanted, _most_threads())


@contextmanager
def limited_to(threads: int) -> Iterator[None]:
    """Run Numba's parallel kernels on so many threads, and leave its setting as it was."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        yield
    finally:
        numba.set_num_threads(before)

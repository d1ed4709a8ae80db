"""Work shared among threads: serial kernels that release the interpreter, on as many threads as Numba may use.

Threads of our own rather than Numba's: kernels of one call overlap with the drawing of keystream, which needs the
interpreter, and nothing breaks when two callers work at the same time.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba


def share(tasks: int, work: Callable[[int], None]) -> None:
    """Call ``work(0)`` to ``work(tasks - 1)``, in any order and on several threads at a time.

    Parameters
    ----------
    tasks : int
        Number of calls; their results must not depend on their order.
    work : callable
        Spends its time in kernels that release the interpreter.
    """
    threads = min(numba.get_num_threads(), tasks)
    if threads <= 1:
        for task in range(tasks):
            work(task)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, range(tasks)):
            pass

"""Scratch memory that a thread keeps: fresh memory costs page faults at every call."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

_held = threading.local()
# Floats of a cache line, where it starts.
_LINE = 16


def scratch(name: str, floats: int) -> NDArray[Any]:
    """Return at least so many floats of this thread's memory of a name; their values are of no meaning.

    Whoever asks for the same name next gets the same memory.
    """
    memory: NDArray[Any] | None = getattr(_held, name, None)
    if memory is None or memory.size < floats:
        memory = np.empty(floats + _LINE, np.float32)
        memory = memory[-memory.ctypes.data % (4 * _LINE) // 4 :]
        setattr(_held, name, memory)
    return memory

"""Steps that are called by address: many layers of several kinds in one call from Python.

A step is the address of a compiled function and the numbers that it reads. The kernels of each kind stay in their own
file, which Numba's cache looks after.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # it has no type information
from numba import cfunc, njit, prange, types
from numba.extending import intrinsic
from numpy.typing import NDArray

# Numbers of a step: address, jobs, whether threads are worth it, the addresses of pixels, border, table, weights, bias,
# residual and output, 15 sizes, and the address of scratch memory with 10 numbers more.
STEP_NUMBERS = 36
JOBS, PIXELS, RESIDUAL, OUT, SCRATCH = 1, 3, 8, 9, 25
# Numbers of a step that are no integers: lowest and highest output, and the scale of weights.
STEP_FLOATS = 3

_pointer_to: Any = types.CPointer
_ENTRY: Any = types.void(_pointer_to(types.int64), _pointer_to(types.float32), types.int64, types.int64)


@lru_cache(maxsize=8)
def _compiled(entry: Callable[..., None]) -> Any:
    return cfunc(_ENTRY, cache=True)(entry)


def address_of(entry: Callable[..., None]) -> int:
    """Return the address of a compiled ``entry(step, clamp, part, parts)``; its first call compiles or loads it."""
    address: int = _compiled(entry).address
    return address


@intrinsic
def _call_address(typing_context: Any, address: Any, step: Any, clamp: Any, part: Any, parts: Any) -> Any:
    """Call the function at an address with two pointers, given as addresses, and two numbers."""

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        integer = ir.IntType(64)
        pointers = [integer.as_pointer(), ir.FloatType().as_pointer()]
        kind = ir.FunctionType(ir.VoidType(), [*pointers, integer, integer])
        given = [b.inttoptr(value, pointer) for value, pointer in zip(values[1:3], pointers, strict=True)]
        b.call(b.inttoptr(values[0], kind.as_pointer()), [*given, *values[3:]])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


# Numba types an intrinsic as if it were called with its typing context.
_call: Any = _call_address


@njit(cache=True, nogil=True, error_model="numpy")
def run_steps(steps: NDArray[Any], clamps: NDArray[Any]) -> None:
    """Run steps one after another: a call from Python takes as long as a layer of a small network.

    Parameters
    ----------
    steps : ndarray of int64, shape (S, STEP_NUMBERS), contiguous
    clamps : ndarray of float32, shape (S, STEP_FLOATS), contiguous
    """
    for s in range(len(steps)):
        _call(steps[s, 0], steps[s].ctypes.data, clamps[s].ctypes.data, 0, 1)


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def run_steps_in_parallel(steps: NDArray[Any], clamps: NDArray[Any], parts: int) -> None:
    """Do :func:`run_steps` with the larger steps in so many parts, one a thread; each output is one part's."""
    for s in range(len(steps)):
        if steps[s, 2] > 0:
            for part in prange(parts):
                _call(steps[s, 0], steps[s].ctypes.data, clamps[s].ctypes.data, part, parts)
        else:
            _call(steps[s, 0], steps[s].ctypes.data, clamps[s].ctypes.data, 0, 1)

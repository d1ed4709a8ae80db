"""Winograd transforms between shuffled rows and small squares, in Numba.

3x3 convolution of stride 1 with 2.25 times fewer products (A. Lavin and S. Gray, "Fast algorithms for convolutional
neural networks", 2016, arXiv 1509.09308, F(2x2, 3x3)): a square of 4x4 inputs d gives 2x2 outputs

    y = A' [(G g G') * (B' d B)] A

where all entries of A and B are 0, 1 or -1, and those of G multiples of 1/2: nothing is lost on whole numbers.
The transforms are written as LLVM IR, because loops over so many rows at once are not vectorised.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it has no type information
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

# Numba leaves these untyped.
_get_function: Any = cgutils.get_or_insert_function

# Vectors of 16 floats become two of eight or four of four where a processor has no longer ones.
_VECTOR = ir.VectorType(ir.FloatType(), 16)
_I64 = ir.IntType(64)


def _at(b: Any, address: Any, kind: Any = _VECTOR) -> Any:
    return b.inttoptr(address, kind.as_pointer())


def _listed(b: Any, addresses: Any, index: int, offset: Any) -> Any:
    """Emit the pointer that is ``offset`` bytes behind entry ``index`` of a list of addresses."""
    entry = b.load(_at(b, b.add(addresses, ir.Constant(_I64, 8 * index)), _I64))
    return _at(b, b.add(entry, offset))


def _differences(b: Any, d: list[Any]) -> list[Any]:
    """Emit B' d of four vectors."""
    return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]


def _sums(b: Any, m: list[Any]) -> list[Any]:
    """Emit A' m of four vectors."""
    return [b.fadd(b.fadd(m[0], m[1]), m[2]), b.fsub(b.fsub(m[1], m[2]), m[3])]


@intrinsic
def _spread_vector(typing_context: Any, rows: Any, offset: Any, target: Any, plane: Any) -> Any:
    """Transform 16 channels of a square: ``rows`` lists 16 addresses; results go ``plane`` bytes apart."""

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        rows, offset, target, plane = values
        square = [[b.load(_listed(b, rows, 4 * i + j, offset), align=4) for j in range(4)] for i in range(4)]
        down = list(zip(*[_differences(b, [square[i][j] for i in range(4)]) for j in range(4)], strict=True))
        for i in range(4):
            for j, value in enumerate(_differences(b, list(down[i]))):
                place = b.add(target, b.mul(plane, ir.Constant(_I64, 4 * i + j)))
                b.store(value, _at(b, place), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def _gather_vector(
    typing_context: Any, source: Any, plane: Any, bias: Any, rows: Any, offset: Any, low: Any, high: Any
) -> Any:
    """Transform 16 channels back: ``rows`` lists the addresses of four outputs and of four residuals."""

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        source, plane, bias, rows, offset = values[:5]
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        zero = ir.Constant(ir.VectorType(ir.IntType(32), 16), [0] * 16)
        low, high = (
            b.shuffle_vector(b.insert_element(nothing, v, ir.Constant(ir.IntType(32), 0)), nothing, zero)
            for v in values[5:]
        )
        places = [b.add(source, b.mul(plane, ir.Constant(_I64, k))) for k in range(16)]
        planes = [b.load(_at(b, place), align=4) for place in places]
        down = list(zip(*[_sums(b, [planes[4 * i + j] for i in range(4)]) for j in range(4)], strict=True))
        start = b.load(_at(b, b.add(bias, offset)), align=4)
        for i in range(2):
            for j, value in enumerate(_sums(b, list(down[i]))):
                residual = b.load(_listed(b, rows, 4 + 2 * i + j, offset), align=4)
                total = b.fadd(value, b.fadd(start, residual))
                # In this form NaN stays NaN.
                raised = b.select(b.fcmp_ordered("<", total, low), low, total)
                kept = b.select(b.fcmp_ordered(">", raised, high), high, raised)
                b.store(kept, _listed(b, rows, 2 * i + j, offset), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, types.float32, types.float32), generate


# Numba types an intrinsic as if it were called with its typing context.
_spread: Any = _spread_vector
_gather: Any = _gather_vector


@njit(cache=True, nogil=True, error_model="numpy")
def spread_squares(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], channels: int, image_step: int,
    planes: NDArray[Any], start: int, first: int, last: int,
) -> None:  # fmt: skip
    """Transform squares ``first`` to ``last`` of a batch into planes (16, count, channels), square ``start`` first.

    Parameters
    ----------
    pixels : ndarray of float32, shape (B * image_step,)
    border : ndarray of float32, shape (channels,)
        Zeros: what padding reads.
    table : ndarray of int32, shape (1 or B, T, 20)
        Of each square: offsets of its 16 inputs in floats, negative for padding; rows of its 4 outputs.
    """
    squares = table.shape[1]
    where = np.empty(16, np.int64)
    plane = planes.shape[1] * channels
    for square in range(first, last):
        image = square // squares
        entry = table[image % table.shape[0], square % squares]
        base = pixels.ctypes.data + 4 * image * image_step
        for k in range(16):
            where[k] = border.ctypes.data if entry[k] < 0 else base + 4 * np.int64(entry[k])
        target = planes.ctypes.data + 4 * (square - start) * channels
        for c in range(0, channels, 16):
            _spread(where.ctypes.data, 4 * c, target + 4 * c, 4 * plane)


@njit(cache=True, nogil=True, error_model="numpy")
def gather_squares(
    planes: NDArray[Any], table: NDArray[Any], bias: NDArray[Any], residual: NDArray[Any], clamp: NDArray[Any],
    out: NDArray[Any], maps: int, outputs: int, start: int, first: int, last: int,
) -> None:  # fmt: skip
    """Transform planes (16, count, maps) back into the rows (B * outputs, maps) of the squares' outputs.

    ``residual`` has the shape of ``out``, or is (maps,) zeros; the other arguments as in :func:`spread_squares`.
    """
    squares = table.shape[1]
    where = np.empty(8, np.int64)
    # Squares at the edge have outputs that do not exist.
    nowhere = np.empty(maps, np.float32)
    plane = planes.shape[1] * maps
    added = residual.size > maps
    for square in range(first, last):
        image = square // squares
        entry = table[image % table.shape[0], square % squares]
        for k in range(4):
            row = 4 * (image * outputs + np.int64(entry[16 + k])) * maps
            exists = entry[16 + k] >= 0
            where[k] = out.ctypes.data + row if exists else nowhere.ctypes.data
            where[4 + k] = residual.ctypes.data + row if exists and added else residual.ctypes.data
        source = planes.ctypes.data + 4 * (square - start) * maps
        for d in range(0, maps, 16):
            _gather(source + 4 * d, 4 * plane, bias.ctypes.data, where.ctypes.data, 4 * d, clamp[0], clamp[1])


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def spread_in_parallel(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], channels: int, image_step: int,
    planes: NDArray[Any], start: int, first: int, last: int, parts: int,
) -> None:  # fmt: skip
    """Do :func:`spread_squares` in so many parts, one a thread."""
    count = last - first
    for part in prange(parts):
        spread_squares(
            pixels, border, table, channels, image_step, planes, start,
            first + count * part // parts, first + count * (part + 1) // parts,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def gather_in_parallel(
    planes: NDArray[Any], table: NDArray[Any], bias: NDArray[Any], residual: NDArray[Any], clamp: NDArray[Any],
    out: NDArray[Any], maps: int, outputs: int, start: int, first: int, last: int, parts: int,
) -> None:  # fmt: skip
    """Do :func:`gather_squares` in so many parts, one a thread; each output is one part's."""
    count = last - first
    for part in prange(parts):
        gather_squares(
            planes, table, bias, residual, clamp, out, maps, outputs, start,
            first + count * part // parts, first + count * (part + 1) // parts,
        )  # fmt: skip

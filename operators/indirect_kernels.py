"""Indirect GEMM in Numba: a convolution whose indirection table is the key.

The micro-kernel is written as LLVM IR, because no compiler keeps a tile of outputs (ROWS pixels x VECTORS vectors of
channels) in registers by itself. It walks the taps and channels of its rows; the table says where each row is read, so
that pixels in any order cost nothing extra (indirect convolution: M. Dukhan, arXiv 1907.02129).

Every output is one chain of fused multiply-adds, over taps and within them over channels: its value depends neither on
the order of the pixels, nor on the tile that a row falls into, nor on the number of threads.
"""

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]  # it has no type information
import numba
import numpy as np
from llvmlite import ir
from numba import carray, njit, prange, types  # type: ignore[attr-defined]  # numba's own list of names lacks carray
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

# Numba leaves these untyped.
_get_function: Any = cgutils.get_or_insert_function
_unpack: Any = cgutils.unpack_tuple
_tuple_of: Any = types.UniTuple

# Floats between a weight's use and its prefetch into the second-level cache. Large layers are as slow as their weights
# come from memory; measured best of 0 to 8192.
_AHEAD = 8192
_UNROLL = 4


def _machine() -> tuple[int, int, int, int]:
    """Return lanes of a vector, rows and vectors of a tile, and rows of a small tile, for this processor."""
    # What Numba was told to compile for, by NUMBA_CPU_FEATURES and NUMBA_CPU_NAME, goes before what is there.
    told = getattr(numba.config, "CPU_FEATURES", None)
    if told is None and getattr(numba.config, "CPU_NAME", None) in (None, "host"):
        try:
            told = llvmlite.binding.get_host_cpu_features().flatten()
        except RuntimeError:  # LLVM can not tell on every system
            told = None
    have = set((told or "").split(","))
    if "+avx512f" in have:
        return 16, 12, 2, 4
    if {"+avx2", "+fma"} <= have:
        return 8, 6, 2, 2
    return (4, 8, 3, 4) if "+neon" in have else (4, 4, 2, 2)


LANES, ROWS, VECTORS, FEW = _machine()
COLUMNS = LANES * VECTORS

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _spread(b: Any, scalar: Any, lanes: int) -> Any:
    """Emit a vector of equal lanes."""
    nothing = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = b.insert_element(nothing, scalar, ir.Constant(_I32, 0))
    return b.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_I32, lanes), [0] * lanes))


def _place(b: Any, pointer: Any, offset: Any, kind: Any) -> Any:
    return b.bitcast(b.gep(pointer, [offset]), kind.as_pointer())


def _load(b: Any, pointer: Any, offset: Any, kind: Any) -> Any:
    """Emit a load of something that is aligned like its elements only."""
    return b.load(_place(b, pointer, offset, kind), align=4)


def _loop(b: Any, start: Any, end: Any, step: int, state: Sequence[Any], body: Callable[..., list[Any]]) -> list[Any]:
    """Emit ``for index in range(start, end, step): state = body(index, state)``; return the last state."""
    before = b.block
    head, inside, after = (b.append_basic_block(name) for name in ("head", "inside", "after"))
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(_I64)
    kept = [b.phi(value.type) for value in state]
    b.cbranch(b.icmp_signed("<", index, end), inside, after)
    b.position_at_end(inside)
    later = [b.add(index, _number(step)), *body(index, kept)]
    for phi, first, following in zip([index, *kept], [start, *state], later, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(following, b.block)
    b.branch(head)
    b.position_at_end(after)
    return kept


def _read_rows(b: Any, rows: int, pixels: Any, border: Any, offsets: Any) -> list[Any]:
    """Emit the addresses of a tap's rows: the pixels at ``offsets``, or the border where an offset is negative."""
    wide, narrow = ir.VectorType(_I64, rows), ir.VectorType(_I32, rows)
    inside = b.icmp_signed(">=", offsets, ir.Constant(narrow, [0] * rows))
    bytes_off = b.shl(b.sext(offsets, wide), ir.Constant(wide, [2] * rows))
    address = b.select(inside, b.add(_spread(b, pixels, rows), bytes_off), _spread(b, border, rows))
    return [b.inttoptr(b.extract_element(address, ir.Constant(_I32, i)), _F32.as_pointer()) for i in range(rows)]


def _emit_tile(
    b: Any, shape: tuple[int, int], apart: bool, places: Sequence[Any], numbers: Sequence[Any], bounds: Sequence[Any]
) -> None:
    """Emit one tile; the arguments are those of :func:`_tile_of`."""
    rows, width = shape
    pixels, border = places[:2]
    weights, bias, residual, out = (b.inttoptr(place, _F32.as_pointer()) for place in places[3:])
    table = b.inttoptr(places[2], _I32.as_pointer())
    taps, channels, residual_step, out_step = numbers
    multiply_add = _get_function(b.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), f"llvm.fma.v{LANES}f32")
    byte = ir.IntType(8).as_pointer()
    prefetch = _get_function(b.module, ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32]), "llvm.prefetch.p0")
    vectors = [_number(v * LANES) for v in range(width)]
    cells = [(b.mul(_number(i), residual_step), b.mul(_number(i), out_step), at) for i in range(rows) for at in vectors]
    first = [_load(b, bias, at, _VECTOR) for at in vectors] * rows
    first = [
        b.fadd(start, _load(b, residual, b.add(at, down), _VECTOR))
        for start, (down, _, at) in zip(first, cells, strict=True)
    ]

    def channel(read: Sequence[Any], weight: Any, c: Any, sums: Sequence[Any]) -> list[Any]:
        columns = []
        for at in vectors:
            columns.append(_load(b, weight, at, _VECTOR))
            ahead = _place(b, weight, b.add(at, _number(_AHEAD)), ir.IntType(8))
            b.call(prefetch, [ahead, *(ir.Constant(_I32, flag) for flag in (0, 2, 1))])
        grown = []
        # Row by row: a value loaded earlier would take a register that the sums need.
        for i, row in enumerate(read):
            if apart:
                values = [_load(b, row, at, _VECTOR) for at in vectors]
            else:
                values = [_spread(b, _load(b, row, c, _F32), LANES)] * width
            grown += [b.call(multiply_add, [values[v], columns[v], sums[i * width + v]]) for v in range(width)]
        return grown

    def tap(k: Any, sums: Sequence[Any]) -> list[Any]:
        offsets = _load(b, table, b.mul(k, _number(ROWS)), ir.VectorType(_I32, rows))
        read = _read_rows(b, rows, pixels, border, offsets)
        block = b.gep(weights, [b.mul(b.mul(k, channels), _number(COLUMNS))])

        def several(count: int) -> Callable[..., list[Any]]:
            def body(c: Any, sums: Sequence[Any]) -> list[Any]:
                for step in range(count):
                    at = b.add(c, _number(step))
                    sums = channel(read, b.gep(block, [b.mul(at, _number(COLUMNS))]), at, sums)
                return list(sums)

            return body

        if apart:
            return channel(read, block, None, sums)
        even = b.and_(channels, _number(-_UNROLL))
        sums = _loop(b, _number(0), even, _UNROLL, sums, several(_UNROLL))
        return _loop(b, even, channels, 1, sums, several(1))

    low, high = (_spread(b, bound, LANES) for bound in bounds)
    for total, (_, down, at) in zip(_loop(b, _number(0), taps, 1, first, tap), cells, strict=True):
        # In this form NaN stays NaN.
        raised = b.select(b.fcmp_ordered("<", total, low), low, total)
        kept = b.select(b.fcmp_ordered(">", raised, high), high, raised)
        b.store(kept, _place(b, out, b.add(at, down), _VECTOR), align=4)


def _tile_of(rows: int, width: int, apart: bool = False) -> Any:
    """Return the intrinsic that computes a tile of so many rows and vectors of columns.

    ``tile((pixels, border, table, weights, bias, residual, out), (taps, channels, residual_step, out_step), low,
    high)``, with addresses and counts of elements, sets for its rows i and columns d,

        out[i * out_step + d] = clamp(bias[d] + residual[i * residual_step + d] + sum_kc x[k, i, c] * weights[k, c, d])

    where x[k, i] starts at pixels[table[k * ROWS + i]], or at border[0] for a negative entry. With channels
    ``apart``, as in depthwise convolution, it is the sum of x[k, i, d] * weights[k, d], and ``channels`` is 1.
    Addresses rather than arrays: making and counting array slices would take as long as a small tile.
    """

    @intrinsic
    def tile(typing_context: Any, places: Any, numbers: Any, low: Any, high: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            addresses, counts = (_unpack(builder, value) for value in values[:2])
            _emit_tile(builder, (rows, width), apart, addresses, counts, values[2:])
            return context.get_dummy_value()

        kinds = _tuple_of(types.int64, 7), _tuple_of(types.int64, 4), types.float32, types.float32
        return types.void(*kinds), generate

    return tile


@intrinsic
def _fused_product(typing_context: Any, left: Any, right: Any, total: Any) -> Any:
    """Return ``left * right + total``, rounded once, as the tiles do it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.call(
            _get_function(builder.module, ir.FunctionType(_F32, [_F32] * 3), "llvm.fma.f32"), list(values)
        )

    return types.float32(types.float32, types.float32, types.float32), generate


# Numba types an intrinsic as if it were called with its typing context.
_multiply_add: Any = _fused_product
_full_tile, _narrow_tile, _small_tile = _tile_of(ROWS, VECTORS), _tile_of(ROWS, 1), _tile_of(FEW, VECTORS)
_apart_tile, _narrow_apart_tile = _tile_of(ROWS, VECTORS, apart=True), _tile_of(ROWS, 1, apart=True)
_TILE = ROWS * COLUMNS


@njit(cache=True, nogil=True, error_model="numpy")
def _cut_tile(
    places: tuple[int, ...], numbers: tuple[int, ...], clamp: NDArray[Any], rows: int, columns: int,
    before: NDArray[Any], after: NDArray[Any], scratch: NDArray[Any],
) -> None:  # fmt: skip
    """Compute a tile of fewer rows or columns than a full one by way of scratch, because tiles write whole vectors.

    ``before`` and ``after`` are the residual and the output from the tile's first element on.
    """
    pixels, border, table, weights, bias, nothing, _ = places
    taps, channels, residual_step, out_step = numbers
    height = ROWS if rows > ROWS - FEW else FEW
    held = scratch.ctypes.data if residual_step > 0 else nothing
    step = COLUMNS if residual_step > 0 else 0
    for row in range(0, rows, height):
        count = min(height, rows - row)
        if residual_step > 0:
            for i in range(count):
                for d in range(columns):
                    scratch[i * COLUMNS + d] = before[(row + i) * residual_step + d]
        target = scratch.ctypes.data + 4 * _TILE
        here = (pixels, border, table + 4 * row, weights, bias, held, target)
        if height == ROWS:
            _full_tile(here, (taps, channels, step, COLUMNS), clamp[0], clamp[1])
        else:
            _small_tile(here, (taps, channels, step, COLUMNS), clamp[0], clamp[1])
        for i in range(count):
            for d in range(columns):
                after[(row + i) * out_step + d] = scratch[_TILE + i * COLUMNS + d]


@njit(cache=True, nogil=True, error_model="numpy")
def _copy_rows(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], taps: int, channels: int, columns: NDArray[Any]
) -> None:
    """Set columns[i, k * channels + c] to what row i of a tile reads at tap k."""
    for i in range(ROWS):
        for k in range(taps):
            start, target = table[k * ROWS + i], (i * taps + k) * channels
            source, start = (border, 0) if start < 0 else (pixels, start)
            # RGB, by far the most common: three moves are quicker than a loop of three.
            if channels == 3:
                columns[target] = source[start]
                columns[target + 1] = source[start + 1]
                columns[target + 2] = source[start + 2]
            else:
                for c in range(channels):
                    columns[target + c] = source[start + c]


@njit(cache=True, nogil=True, error_model="numpy")
def convolve_jobs(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any],
    residual: NDArray[Any], out: NDArray[Any], sizes: tuple[int, ...], clamp: NDArray[Any], first: int, last: int,
) -> None:  # fmt: skip
    """Do jobs ``first`` to ``last`` of :func:`operators.indirect.convolve_rows`, which explains the arguments.

    A job is a chunk of tiles times one block of output channels, blocks innermost. ``group_step`` lies between the
    input channels of one group and the next, ``out_step`` between rows and ``out_group_step`` between groups of the
    output, all in floats.
    """
    images, outputs, image_step, unit, tiles, taps, channels, groups, maps, chunk, residual_step, copied = sizes[:12]
    group_step, out_step, out_group_step = sizes[12:]
    blocks = (maps + COLUMNS - 1) // COLUMNS
    total = images // unit * tiles + (images % unit * outputs + ROWS - 1) // ROWS
    depth = taps * channels
    filled = -1
    # Two tiles and the copied columns; a table of copied columns and the table of a cut tile.
    floats = np.empty(2 * _TILE + (chunk * ROWS * depth if copied > 0 else 0), np.float32)
    integers = np.empty(ROWS + taps * ROWS, np.int32)
    for i in range(ROWS):
        integers[i] = i * depth
    for job in range(first, last):
        part, block = job // (groups * blocks), job % (groups * blocks)
        group, column = block // blocks, block % blocks * COLUMNS
        wanted = min(COLUMNS, maps - column)
        column += group * out_group_step
        fill = copied > 0 and job // blocks != filled
        filled = job // blocks
        for turn in range(part * chunk, min((part + 1) * chunk, total)):
            image, begin = turn // tiles * unit, turn % tiles * ROWS
            rows = min(ROWS, min(unit, images - image) * outputs - begin)
            row = image * outputs + begin
            seen, entry = image * image_step + group * group_step, turn % tiles * taps * ROWS
            read = table.ctypes.data + 4 * entry
            if rows < ROWS:
                # Past the batch's last image, a table for more images names pixels that do not exist.
                for k in range(taps):
                    for i in range(ROWS):
                        integers[ROWS + k * ROWS + i] = table[entry + k * ROWS + i] if i < rows else -1
                read = integers.ctypes.data + 4 * ROWS
            source = pixels.ctypes.data + 4 * seen
            numbers = (taps, channels, residual_step, out_step)
            if copied > 0:
                at = 2 * _TILE + (turn - part * chunk) * ROWS * depth
                if fill:
                    picked = integers[ROWS:] if rows < ROWS else table[entry:]
                    _copy_rows(pixels[seen:], border, picked, taps, channels, floats[at:])
                source, read = floats.ctypes.data + 4 * at, integers.ctypes.data
                numbers = (1, depth, residual_step, out_step)
            held = row * residual_step + (column if residual_step > 0 else 0)
            target = row * out_step + column
            places = (
                source, border.ctypes.data, read, weights.ctypes.data + 4 * block * depth * COLUMNS,
                bias.ctypes.data + 4 * block * COLUMNS, residual.ctypes.data + 4 * held, out.ctypes.data + 4 * target,
            )  # fmt: skip
            if rows == ROWS and wanted == COLUMNS:
                _full_tile(places, numbers, clamp[0], clamp[1])
            elif rows == ROWS and wanted == LANES:
                _narrow_tile(places, numbers, clamp[0], clamp[1])
            else:
                _cut_tile(places, numbers, clamp, rows, wanted, residual[held:], out[target:], floats)


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def convolve_in_parallel(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any],
    residual: NDArray[Any], out: NDArray[Any], sizes: tuple[int, ...], clamp: NDArray[Any], jobs: int, parts: int,
) -> None:  # fmt: skip
    """Do all jobs of :func:`convolve_jobs` in so many parts, one a thread; each output is one part's."""
    for part in prange(parts):
        convolve_jobs(
            pixels, border, table, weights, bias, residual, out, sizes, clamp,
            jobs * part // parts, jobs * (part + 1) // parts,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def depthwise_jobs(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any],
    residual: NDArray[Any], out: NDArray[Any], sizes: tuple[int, ...], clamp: NDArray[Any], first: int, last: int,
) -> None:  # fmt: skip
    """Do jobs ``first`` to ``last`` of a depthwise convolution; arguments as in :func:`convolve_jobs`.

    A job is a chunk of tiles. Whole vectors of whole tiles are computed as one; what is left over, one by one.
    """
    images, outputs, image_step, unit, tiles, taps, _, wide, _, chunk, residual_step, _ = sizes[:12]
    total = images // unit * tiles + (images % unit * outputs + ROWS - 1) // ROWS
    for turn in range(first * chunk, min(last * chunk, total)):
        image, begin = turn // tiles * unit, turn % tiles * ROWS
        rows = min(ROWS, min(unit, images - image) * outputs - begin)
        row, entry, seen = image * outputs + begin, turn % tiles * taps * ROWS, image * image_step
        done = 0
        while rows == ROWS and wide - done >= LANES:
            block = done // COLUMNS * COLUMNS
            places = (
                pixels.ctypes.data + 4 * (seen + done), border.ctypes.data, table.ctypes.data + 4 * entry,
                weights.ctypes.data + 4 * (block * taps + done - block), bias.ctypes.data + 4 * done,
                residual.ctypes.data + 4 * (row * residual_step + (done if residual_step > 0 else 0)),
                out.ctypes.data + 4 * (row * wide + done),
            )  # fmt: skip
            if done == block and wide - done >= COLUMNS:
                _apart_tile(places, (taps, 1, residual_step, wide), clamp[0], clamp[1])
                done += COLUMNS
            else:
                _narrow_apart_tile(places, (taps, 1, residual_step, wide), clamp[0], clamp[1])
                done += LANES
        for i in range(rows):
            target = (row + i) * wide
            for block in range(done // COLUMNS * COLUMNS, wide, COLUMNS):
                start, end = max(done, block), min(wide, block + COLUMNS)
                for d in range(start, end):
                    out[target + d] = bias[d] + (residual[target + d] if residual_step > 0 else np.float32(0))
                for k in range(taps):
                    offset = table[entry + k * ROWS + i]
                    if offset >= 0:
                        source, weight = seen + offset, block * taps + k * COLUMNS - block
                        for d in range(start, end):
                            out[target + d] = _multiply_add(pixels[source + d], weights[weight + d], out[target + d])
                for d in range(start, end):
                    value = out[target + d]
                    value = clamp[0] if value < clamp[0] else value
                    out[target + d] = clamp[1] if value > clamp[1] else value


@njit(cache=True, nogil=True, error_model="numpy", parallel=True)
def depthwise_in_parallel(
    pixels: NDArray[Any], border: NDArray[Any], table: NDArray[Any], weights: NDArray[Any], bias: NDArray[Any],
    residual: NDArray[Any], out: NDArray[Any], sizes: tuple[int, ...], clamp: NDArray[Any], jobs: int, parts: int,
) -> None:  # fmt: skip
    """Do all jobs of :func:`depthwise_jobs` in so many parts, one a thread; each output is one part's."""
    for part in prange(parts):
        depthwise_jobs(
            pixels, border, table, weights, bias, residual, out, sizes, clamp,
            jobs * part // parts, jobs * (part + 1) // parts,
        )  # fmt: skip


@intrinsic
def _place_at(typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


# Numba types an intrinsic as if it were called with its typing context.
_pointer: Any = _place_at
# The arrays behind a step's addresses are as long as they are; kernels stay within them by the step's sizes.
_ENDLESS = 1 << 40


@njit(cache=True, nogil=True, error_model="numpy")
def _run_step(step: NDArray[Any], clamp: NDArray[Any], part: int, parts: int) -> None:
    """Do one of so many parts of a call of :func:`convolve_jobs` or :func:`depthwise_jobs`.

    ``step`` holds an address, the number of jobs, whether threads are worth it, the addresses of pixels, border, table,
    weights, bias, residual and output, and the sizes. One channel in and out a group is depthwise.
    """
    pixels = carray(_pointer(step[3]), _ENDLESS, np.float32)
    border = carray(_pointer(step[4]), _ENDLESS, np.float32)
    table = carray(_pointer(step[5]), _ENDLESS, np.int32)
    weights = carray(_pointer(step[6]), _ENDLESS, np.float32)
    bias = carray(_pointer(step[7]), _ENDLESS, np.float32)
    residual = carray(_pointer(step[8]), _ENDLESS, np.float32)
    out = carray(_pointer(step[9]), _ENDLESS, np.float32)
    sizes = (
        step[10], step[11], step[12], step[13], step[14], step[15], step[16], step[17], step[18], step[19], step[20],
        step[21], step[22], step[23], step[24],
    )  # fmt: skip
    first, last = step[1] * part // parts, step[1] * (part + 1) // parts
    if step[16] == 1 and step[18] == 1:
        depthwise_jobs(pixels, border, table, weights, bias, residual, out, sizes, clamp, first, last)
    else:
        convolve_jobs(pixels, border, table, weights, bias, residual, out, sizes, clamp, first, last)


def rows_entry(step: Any, clamp: Any, part: int, parts: int) -> None:
    """Do one of so many parts of a step, for :func:`operators.engine_calls.address_of`."""
    _run_step(carray(step, 25), carray(clamp, 3), part, parts)

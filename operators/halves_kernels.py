"""Convolution on a processor's matrix unit (AMX-FP16), in Numba: every float32 as two half-precision numbers.

A float32 value x, scaled by a power of two, is h + l with h = half(x) and l = half(x - h), right to 2**-24 of x or
2**-39 of the largest value of its image (its pixel, for a kernel of one tap). Three of the four products of two such
sums are added in float32,

    x w = h h' + h l' + l h'    (l l' is below 2**-22 of it),

which the matrix unit does several times as fast as the vector units multiply float32, and about as exactly while the
values of an image lie within 2**17 of each other (its pixel, for one tap): a sum is rounded once for many products.
Beside a value 2**24 times the others, these keep 15 bits; beside one 2**40 times, none. Whole numbers below 2**11,
times others below 2**22, are exact; where a pixel is infinite, outputs that read it are NaN. The table says where each
row is read, as in ``indirect_kernels``. Weights of large layers come in three bytes each (``halves_weights``), and
their halves are made while they are read.

Tiles are written as LLVM IR, because no compiler makes them. Every output is one sum over taps and channels in a fixed
sequence: its value depends neither on the order of the pixels, nor on the batch, nor on the number of threads.

One long file, with emitters much like those of ``indirect_kernels``: a cached kernel is made anew when its own file
changes, and would not notice a change of an intrinsic that it imports.
"""

import ctypes
import sys
from collections.abc import Sequence
from typing import Any

import llvmlite.binding  # type: ignore[import-untyped]  # it has no type information
import numba
import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # type: ignore[attr-defined]  # numba's own list of names lacks carray
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

# Numba leaves these untyped.
_get_function: Any = cgutils.get_or_insert_function
_allocate: Any = cgutils.alloca_once_value

# Linux lets a process use the matrix unit when it asks: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
_ARCH_PRCTL, _REQUEST, _TILES = 158, 0x1023, 18


def _is_there() -> bool:
    """Whether this process may use a matrix unit that multiplies half-precision numbers."""
    config = numba.config
    told = getattr(config, "CPU_FEATURES", None) is not None or getattr(config, "CPU_NAME", None) not in (None, "host")
    if told or getattr(config, "DISABLE_JIT", False) or sys.platform != "linux":
        return False
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:  # LLVM can not tell on every system
        return False
    if not all(features.get(name, False) for name in ("amx-tile", "amx-fp16", "avx512f", "avx512bw")):
        return False
    return bool(ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILES) == 0)


# Nothing below is compiled, and no layer comes here, where it is not.
IS_THERE = _is_there()
# Rows of the table's tiles, as operators.indirect_kernels.ROWS on processors that have the unit; suits_halves compares.
TABLE_ROWS = 12
# A step multiplies 32 values of up to 32 rows with 32 columns. Its operands are four matrix tiles of 1 KB each: the
# halves h and l, of 16 rows (or columns) and 16 more.
_TILE, _STEP = 1024, 4096
# Those of 32 columns, where weights are of three bytes.
_PACKED_STEP = 3072
# Cache lines of weights that are fetched ahead a step; the processor itself fetches what follows them.
_FETCHED = 48
# Sequence of products, the small ones first; each reads one new operand.
_PRODUCTS = ((1, 0), (0, 0), (0, 1))
# The largest value of a scaled map is below 2**15, so that nothing overflows; the least difference is 2**-39 of it.
_TOP = 14

_I8, _I32, _I64, _F32 = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS, _BITS, _HALVES = ir.VectorType(_F32, 16), ir.VectorType(_I32, 16), ir.VectorType(ir.HalfType(), 16)
_WORDS, _MORE_HALVES = ir.VectorType(ir.IntType(16), 32), ir.VectorType(ir.HalfType(), 32)
_BYTES = _I8.as_pointer()


def _number(value: int) -> Any:
    return ir.Constant(_I64, value)


def _at(b: Any, address: Any, offset: int = 0, kind: Any = _I8) -> Any:
    """Emit a pointer ``offset`` bytes behind an address."""
    return b.inttoptr(b.add(address, _number(offset)) if offset else address, kind.as_pointer())


def _load(b: Any, address: Any, offset: int, kind: Any) -> Any:
    return b.load(_at(b, address, offset, kind), align=4)


def _spread(b: Any, scalar: Any) -> Any:
    """Emit a vector of equal lanes."""
    nothing = ir.Constant(_FLOATS, ir.Undefined)
    return b.shuffle_vector(
        b.insert_element(nothing, scalar, ir.Constant(_I32, 0)), nothing, ir.Constant(_BITS, [0] * 16)
    )


def _call(b: Any, name: str, kinds: Sequence[Any], values: Sequence[Any]) -> None:
    b.call(_get_function(b.module, ir.FunctionType(ir.VoidType(), kinds), name), values)


def _prefetch(b: Any, address: Any, offset: int, level: int) -> None:
    flags = [ir.Constant(_I32, flag) for flag in (0, level, 1)]
    _call(b, "llvm.prefetch.p0", [_BYTES, _I32, _I32, _I32], [_at(b, address, offset), *flags])


def _load_tile(b: Any, tile: int, address: Any, offset: int) -> None:
    values = [ir.Constant(_I8, tile), _at(b, address, offset), _number(64)]
    _call(b, "llvm.x86.tileloadd64", [_I8, _BYTES, _I64], values)


def _emit_product(b: Any, heights: int, values: Sequence[Any]) -> None:
    """Emit sums of products; the arguments are those of :func:`_product_of`."""
    pixels, weights, sums, steps, is_first, near, far, far_step = values
    cells = [(i, j, 2 * i + j) for i in range(heights) for j in range(2)]
    with b.if_else(b.icmp_signed("!=", is_first, _number(0))) as (fresh, going_on):
        with fresh:
            for _, _, tile in cells:
                _call(b, "llvm.x86.tilezero", [_I8], [ir.Constant(_I8, tile)])
        with going_on:
            for _, _, tile in cells:
                _load_tile(b, tile, sums, _TILE * tile)
    # What comes next, among the products: it then costs nothing.
    lines = [(line / 64, near, 3, 64 * line) for line in range(64 if heights == 2 else 0)]
    lines += [(line / _FETCHED, far, 2, 64 * line) for line in range(_FETCHED)]
    lines.sort(key=lambda line: line[0])
    with cgutils.for_range(b, steps) as loop:
        start = b.mul(loop.index, _number(_STEP))
        left, right, after = (b.add(address, start) for address in (pixels, weights, near))
        later = b.add(far, b.mul(loop.index, far_step))
        there = {id(near): after, id(far): later}
        held: list[int | None] = [None, None]
        turn = 0
        for part, weight_part in _PRODUCTS:
            if part != held[0]:
                for i in range(heights):
                    _load_tile(b, 4 + i, left, 2 * _TILE * part + _TILE * i)
            if weight_part != held[1]:
                for j in range(2):
                    _load_tile(b, 6 + j, right, 2 * _TILE * weight_part + _TILE * j)
            held = [part, weight_part]
            for i, j, tile in cells:
                tiles = [ir.Constant(_I8, one) for one in (tile, 4 + i, 6 + j)]
                _call(b, "llvm.x86.tdpfp16ps", [_I8] * 3, tiles)
                turn += 1
                for _, address, level, offset in lines[
                    (turn - 1) * len(lines) // (3 * len(cells)) : turn * len(lines) // (3 * len(cells))
                ]:
                    _prefetch(b, there[id(address)], offset, level)
    for _, _, tile in cells:
        values = [ir.Constant(_I8, tile), _at(b, sums, _TILE * tile), _number(64)]
        _call(b, "llvm.x86.tilestored64", [_I8, _BYTES, _I64], values)


def _product_of(heights: int) -> Any:
    """Return the intrinsic that multiplies 16 times ``heights`` rows with 32 columns.

    ``product(pixels, weights, sums, steps, is_first, near, far, far_step)``: addresses of operands in matrix tiles, and
    of the sums, which start at 0 when ``is_first``. For every step, operands are fetched from ``near`` into the first
    cache (of 32 rows), and _FETCHED lines from ``far``, ``far_step`` bytes apart, into the second.
    """

    @intrinsic
    def product(
        typing_context: Any, pixels: Any, weights: Any, sums: Any, steps: Any, is_first: Any, near: Any, far: Any,
        far_step: Any,
    ) -> Any:  # fmt: skip
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            _emit_product(builder, heights, values)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), generate

    return product


@intrinsic
def _begin_tiles(typing_context: Any, shapes: Any) -> Any:
    """Set the matrix unit up for this thread; ``shapes`` is the address of its description."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _call(builder, "llvm.x86.ldtilecfg", [_BYTES], [_at(builder, values[0])])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def _end_tiles(typing_context: Any) -> Any:
    """Give the matrix unit back."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        _call(builder, "llvm.x86.tilerelease", [], [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _largest_bits(typing_context: Any, pixels: Any, count: Any) -> Any:
    """Return the bits of the largest finite magnitude among ``count`` floats, a multiple of 16."""

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        pixels, count = values
        most = _allocate(b, ir.Constant(_BITS, [0] * 16))
        with cgutils.for_range(b, b.sdiv(count, _number(16))) as loop:
            bits = _load(b, b.add(pixels, b.mul(loop.index, _number(64))), 0, _BITS)
            bits = b.and_(bits, ir.Constant(_BITS, [0x7FFFFFFF] * 16))
            bits = b.select(
                b.icmp_signed("<", bits, ir.Constant(_BITS, [0x7F800000] * 16)), bits, ir.Constant(_BITS, [0] * 16)
            )
            before = b.load(most)
            b.store(b.select(b.icmp_signed(">", bits, before), bits, before), most)
        found = b.load(most)
        largest = b.extract_element(found, ir.Constant(_I32, 0))
        for i in range(1, 16):
            one = b.extract_element(found, ir.Constant(_I32, i))
            largest = b.select(b.icmp_signed(">", one, largest), one, largest)
        return b.zext(largest, _I64)

    return types.int64(types.int64, types.int64), generate


def _emit_split(b: Any, values: Any, scale: Any) -> tuple[Any, Any]:
    """Emit the halves h and l of 16 scaled floats."""
    scaled = b.fmul(values, scale)
    high = b.fptrunc(scaled, _HALVES)
    return high, b.fptrunc(b.fsub(scaled, b.fpext(high, _FLOATS)), _HALVES)


def _split_of(vectors: int, apart: int) -> Any:
    """Return the intrinsic that splits 16 times ``vectors`` floats: all h, and all l so many bytes further on."""

    @intrinsic
    def split(typing_context: Any, source: Any, target: Any, scale: Any) -> Any:
        def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
            source, target, scale = values[0], values[1], _spread(b, values[2])
            for v in range(vectors):
                for part, half in enumerate(_emit_split(b, _load(b, source, 64 * v, _FLOATS), scale)):
                    b.store(half, _at(b, target, apart * part + 32 * v, _HALVES), align=4)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.float32), generate

    return split


def _copy_of(vectors: int) -> Any:
    """Return the intrinsic that copies what was split, h to one matrix tile and l to another."""

    @intrinsic
    def copy(typing_context: Any, source: Any, target: Any) -> Any:
        def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
            kind = ir.VectorType(ir.HalfType(), 16 * vectors)
            for part in range(2):
                half = _load(b, values[0], 32 * vectors * part, kind)
                b.store(half, _at(b, values[1], 2 * _TILE * part, kind), align=4)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return copy


@intrinsic
def _unpack_weights(typing_context: Any, source: Any, target: Any, steps: Any) -> Any:
    """Make operands of weights of three bytes, for so many steps and 32 columns."""

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        def all_of(value: int) -> Any:
            return ir.Constant(_WORDS, [value] * 32)

        # The lower part comes out 2**16 times too large.
        smaller = ir.Constant(_MORE_HALVES, [2.0**-16] * 32)
        with cgutils.for_range(b, values[2]) as loop:
            source = b.add(values[0], b.mul(loop.index, _number(_PACKED_STEP)))
            target = b.add(values[1], b.mul(loop.index, _number(_STEP)))
            for pair in range(16):
                lower = _load(b, source, 2 * _TILE + 64 * pair, _WORDS)
                bytes_of = (b.shl(lower, all_of(4)), b.lshr(lower, all_of(4)))
                for row, eight in zip((2 * pair, 2 * pair + 1), bytes_of, strict=True):
                    upper = _load(b, source, 64 * row, _WORDS)
                    high = b.sitofp(b.ashr(upper, all_of(4)), _MORE_HALVES)
                    bits = b.or_(b.shl(upper, all_of(12)), b.and_(eight, all_of(0x0FF0)))
                    low = b.fmul(b.sitofp(bits, _MORE_HALVES), smaller)
                    b.store(high, _at(b, target, 64 * row, _MORE_HALVES), align=4)
                    b.store(low, _at(b, target, 2 * _TILE + 64 * row, _MORE_HALVES), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def _finish_vector(
    typing_context: Any, sums: Any, factors: Any, bias: Any, residual: Any, out: Any, scale: Any, rest: Any,
    low: Any, high: Any,
) -> Any:  # fmt: skip
    """Set 16 outputs to clamp(sums * factors * scale * rest + bias + residual)."""

    def generate(context: Any, b: Any, signature: Any, values: Any) -> Any:
        scale, rest, low, high = (_spread(b, value) for value in values[5:])
        sums, factors, bias, residual = (_load(b, address, 0, _FLOATS) for address in values[:4])
        total = b.fadd(b.fmul(b.fmul(b.fmul(sums, factors), scale), rest), b.fadd(bias, residual))
        # In this form NaN stays NaN.
        raised = b.select(b.fcmp_ordered("<", total, low), low, total)
        b.store(b.select(b.fcmp_ordered(">", raised, high), high, raised), _at(b, values[4], 0, _FLOATS), align=4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5, *[types.float32] * 4), generate


@intrinsic
def _place_at(typing_context: Any, address: Any) -> Any:
    """Return an address as a pointer, for ``carray``."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


# Numba types an intrinsic as if it were called with its typing context.
_multiply, _multiply_few = _product_of(2), _product_of(1)
# As many bytes as before, and into two matrix tiles.
_split, _split_few = _split_of(2, 64), _split_of(1, 32)
_split_apart, _split_few_apart = _split_of(2, 2 * _TILE), _split_of(1, 2 * _TILE)
_copy, _copy_few = _copy_of(2), _copy_of(1)
_begin: Any = _begin_tiles
_end: Any = _end_tiles
_largest: Any = _largest_bits
_unpack: Any = _unpack_weights
_finish: Any = _finish_vector
_pointer: Any = _place_at


@njit(cache=True, nogil=True, error_model="numpy")
def _scale_of(source: int, count: int) -> np.float32:
    """Return the power of two that brings so many floats below 2**15."""
    return np.float32(2.0) ** np.float32(min(_TOP + 127 - (_largest(source, count) >> 23), 126))


@njit(cache=True, nogil=True, error_model="numpy")
def _split_maps(step: NDArray[Any], first: int, count: int, target: int, scales: NDArray[Any]) -> None:
    """Scale and split so many images from ``first`` on; each image has a scale of its own."""
    image_step, channels = step[12], step[16]
    for q in range(count):
        source = step[3] + 4 * (first + q) * image_step
        scales[q] = scale = _scale_of(source, image_step)
        if channels % 32 == 0:
            for place in range(0, 4 * image_step, 128):
                _split(source + place, target + 4 * q * image_step + place, scale)
        else:
            for place in range(0, 4 * image_step, 64):
                _split_few(source + place, target + 4 * q * image_step + place, scale)


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_operands(
    step: NDArray[Any], where: NDArray[Any], rows: int, begin: int, count: int, zeros: int, operands: int
) -> None:
    """Bring what so many steps from ``begin`` on read, for the rows of a panel, into matrix tiles.

    ``where`` holds each row's image, an address, and its place in the table.
    """
    table = carray(_pointer(step[5]), 1 << 40, np.int32)
    taps, channels, pair_step = step[15], step[16], step[27] * _STEP
    wide = channels % 32 == 0
    # Values that are copied at once, bytes of both their halves, and such units a tap and a step.
    size, a_step = (128, 1) if wide else (64, 2)
    a_tap = 4 * channels // size
    unit, last = begin * a_step, min((begin + count) * a_step, taps * a_tap)
    while unit < last:
        tap = unit // a_tap
        source_offset, end = (unit - tap * a_tap) * size, min(last, (tap + 1) * a_tap)
        for row in range(rows):
            offset = np.int64(table[where[row, 1] + tap * TABLE_ROWS])
            source = where[row, 0] + 4 * offset + source_offset if offset >= 0 else zeros
            target = operands + (row >> 5) * pair_step + ((row >> 4) & 1) * _TILE + (row & 15) * 64
            if wide:
                target += (unit - begin) * _STEP
                for _ in range(unit, end):
                    _copy(source, target)
                    source += size
                    target += _STEP
            else:
                for one in range(unit - 2 * begin, end - 2 * begin):
                    _copy_few(source, target + (one >> 1) * _STEP + (one & 1) * 32)
                    source += size
        unit = end
    if last < (begin + count) * a_step:
        # An odd number of vectors leaves half a step.
        for row in range(rows):
            target = operands + (row >> 5) * pair_step + ((row >> 4) & 1) * _TILE + (row & 15) * 64
            _copy_few(zeros, target + (count - 1) * _STEP + 32)


@njit(cache=True, nogil=True, error_model="numpy")
def _split_operands(
    step: NDArray[Any], where: NDArray[Any], scales: NDArray[Any], rows: int, begin: int, count: int, zeros: int,
    operands: int,
) -> None:  # fmt: skip
    """Do :func:`_gather_operands` for one tap, where splitting whole maps beforehand would be a detour.

    Every row has a scale of its own, which is found with the first steps.
    """
    table = carray(_pointer(step[5]), 1 << 40, np.int32)
    channels, pair_step = step[16], step[27] * _STEP
    vectors = channels // 16 - 2 * begin
    for row in range(rows):
        offset = np.int64(table[where[row, 1]])
        source = where[row, 0] + 4 * offset if offset >= 0 else zeros
        if begin == 0:
            scales[row] = _scale_of(source, channels) if offset >= 0 else np.float32(1)
        source += 128 * begin if offset >= 0 else 0
        target = operands + (row >> 5) * pair_step + ((row >> 4) & 1) * _TILE + (row & 15) * 64
        for _ in range(min(count, vectors // 2)):
            _split_apart(source, target, scales[row])
            source += 128 if offset >= 0 else 0
            target += _STEP
        if vectors < 2 * count:
            # An odd number of vectors leaves half a step.
            _split_few_apart(source, target, scales[row])
            _copy_few(zeros, target + 32)


@njit(cache=True, nogil=True, error_model="numpy")
def _multiply_panel(
    step: NDArray[Any], clamp: NDArray[Any], where: NDArray[Any], scales: NDArray[Any],
    row: int, rows: int, first: int, last: int, scratch: int,
) -> None:  # fmt: skip
    """Compute ``rows`` output rows from ``row`` on, in the blocks ``first`` to ``last`` of 32 columns."""
    taps, channels, maps, residual_step, chunk = step[15], step[16], step[18], step[20], step[27]
    steps, pairs, blocks = (taps * channels + 31) // 32, (rows + 31) // 32, last - first
    of_all = (maps + 31) // 32
    operands, sums = scratch + step[31], scratch + step[32]
    for begin in range(0, steps, chunk):
        count = min(chunk, steps - begin)
        if taps == 1:
            _split_operands(step, where, scales, rows, begin, count, scratch, operands)
        else:
            _gather_operands(step, where, rows, begin, count, scratch, operands)
        for block in range(first, last):
            # One after another as they are read, and two blocks ahead, so that memory keeps up.
            weights = step[6] + (begin * of_all + block * count) * step[34]
            after = weights + 2 * count * step[34]
            if step[34] < _STEP:
                _unpack(weights, scratch + step[35], count)
                weights = scratch + step[35]
            for pair in range(pairs):
                pixels, target = operands + pair * chunk * _STEP, sums + (pair * blocks + block - first) * _STEP
                near = pixels + chunk * _STEP if pair + 1 < pairs else operands
                far, far_step = (after, step[34]) if pair == 0 else (weights, _STEP)
                if rows - 32 * pair > 16:
                    _multiply(pixels, weights, target, count, int(begin == 0), near, far, far_step)
                else:
                    _multiply_few(pixels, weights, target, count, int(begin == 0), near, far, far_step)
    for i in range(rows):
        # A float32 holds neither the largest nor the smallest factor back; the rest of it is 1 nearly always.
        back = 1 / (np.float64(scales[i]) * np.float64(clamp[2]))
        most = min(max(back, 2.0**-126), 2.0**126)
        scale, rest = np.float32(most), np.float32(back / most)
        tiles = sums + (i >> 5) * blocks * _STEP + ((i >> 4) & 1) * 2 * _TILE + (i & 15) * 64
        for column in range(32 * first, min(32 * last, maps), 16):
            added = step[8] + 4 * ((row + i) * residual_step + column) if residual_step > 0 else scratch
            vector = (column >> 4) - 2 * first
            _finish(
                tiles + (vector >> 1) * _STEP + (vector & 1) * _TILE, step[7] + 4 * (32 * of_all + column),
                step[7] + 4 * column, added, step[9] + 4 * ((row + i) * maps + column), scale, rest,
                clamp[0], clamp[1],
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def convolve_halves(step: NDArray[Any], clamp: NDArray[Any], part: int, parts: int) -> None:
    """Do one of so many parts of a convolution; each output is one part's.

    Parameters
    ----------
    step : ndarray of int64, shape (36,)
        As for :func:`operators.engine_calls.run_steps`, with the numbers that :func:`operators.halves.halves_numbers`
        explains; table and residual as for ``indirect_kernels``, weights and bias as
        :func:`operators.indirect_weights.pack_halves` makes them.
    clamp : ndarray of float32, shape (3,)
        Lowest and highest output, and the scale of the weights.
    """
    images, outputs, image_step, unit, taps, maps = step[10], step[11], step[12], step[13], step[15], step[18]
    panel, at_once = step[28], step[29]
    scratch = step[25] + part * step[26]
    zeros = carray(_pointer(scratch), 512, np.uint8)
    zeros[:] = 0
    # Palette 1, and of each of the eight tiles 64 bytes a row and 16 rows.
    shapes = carray(_pointer(scratch + 512), 64, np.uint8)
    shapes[:] = 0
    shapes[0] = 1
    for tile in range(8):
        shapes[16 + 2 * tile], shapes[48 + tile] = 64, 16
    where = carray(_pointer(scratch + step[30]), (panel, 2), np.int64)
    row_scales = carray(_pointer(scratch + step[30] + 16 * panel), panel, np.float32)
    scales = carray(_pointer(scratch + step[30] + 20 * panel), at_once, np.float32)
    turns, blocks = (images + at_once - 1) // at_once, (maps + 31) // 32
    by_turns = turns % parts == 0 or turns >= 4 * parts
    by_rows = not by_turns and min(at_once, images) * outputs >= 64 * parts
    begin, end = (turns * part // parts, turns * (part + 1) // parts) if by_turns else (0, turns)
    split_blocks = not by_turns and not by_rows
    first, last = (blocks * part // parts, blocks * (part + 1) // parts) if split_blocks else (0, blocks)
    _begin(scratch + 512)
    for turn in range(begin, end):
        image = turn * at_once
        count = min(at_once, images - image)
        read = step[3] + 4 * image * image_step
        if taps > 1:
            read = scratch + step[33]
            _split_maps(step, image, count, read, scales)
        start, stop = 0, count * outputs
        if by_rows:
            start, stop = stop * part // parts, stop * (part + 1) // parts
        for row in range(start, stop, panel):
            rows = min(panel, stop - row)
            q, i = row // outputs, row % outputs
            for r in range(rows):
                # The table is for ``unit`` images, and this is one of them.
                place = (image + q) % unit
                entry = place * outputs + i
                where[r, 0] = read + 4 * (q - place) * image_step
                where[r, 1] = entry // TABLE_ROWS * taps * TABLE_ROWS + entry % TABLE_ROWS
                row_scales[r] = scales[q]
                i += 1
                if i == outputs:
                    q, i = q + 1, 0
            _multiply_panel(step, clamp, where, row_scales, image * outputs + row, rows, first, last, scratch)
    _end()


def halves_entry(step: Any, clamp: Any, part: int, parts: int) -> None:
    """Do :func:`convolve_halves` for addresses; for :func:`operators.engine_calls.address_of`."""
    convolve_halves(carray(step, 36), carray(clamp, 3), part, parts)

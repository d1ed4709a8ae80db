"""The loops of the fast sampler: each a small one over plain rows, which becomes vector code.

All kernels that call each other lie in this file, because Numba's cache knows nothing of changes in another one.
"""

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # Numba's own compiler, which has no types
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

STRIP_PX = 1152
"""Photosites handled at a time, whole vectors and colour-filter periods: all their numbers stay in the first cache."""
UNIT_PX = 576
"""Photosites whose words are drawn at a time."""
WORD_BLOCKS, ANGLE_BLOCKS = 144, 72
"""Blocks of four words that a unit takes: a word for each photosite, and half a word for its angle."""
HALF_PX, HALF_WORDS = UNIT_PX // 2, 2 * (WORD_BLOCKS + ANGLE_BLOCKS)
"""Photosites and words of half a unit."""
_DIM_E = np.float32(6)
"""Means below this are searched."""


# As in picture_kernels.py, and not shared: Numba's cache would not see a change in another file.
@intrinsic
def _vectors(typing_context: Any) -> Any:
    """Ask for vectors of 512 bits in the kernel that calls this, where the processor has them.

    For many processors the compiler prefers 256 by itself; here that takes a tenth longer.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        # llvmlite's own add() knows attributes with a name only, not those that are strings.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def _prefetch(typing_context: Any, address: Any) -> Any:
    """Have the cache line at an address brought near; nothing happens where there is no memory."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        # To read it, into the first cache, as data.
        builder.call(fetch, [builder.inttoptr(values[0], byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


# Numba types an intrinsic as if it were called with its typing context.
_wide_vectors: Any = _vectors
_bring_line: Any = _prefetch


@njit(cache=True, nogil=True, error_model="numpy")
def expose_rows(
    light: NDArray[Any],
    pixels: NDArray[Any],
    table: NDArray[Any],
    channels: int,
    weights: NDArray[Any],
    sensitivity: NDArray[Any],
    offsets: NDArray[Any],
    figures: NDArray[Any],
    levels: NDArray[Any],
    place: NDArray[Any],
    charge: NDArray[Any],
    codes: NDArray[Any],
) -> None:
    """Do what :func:`sensor.fast_draws.expose` says; a map that is off has no rows, nor has the unwanted output.

    The scene, all values one after the other with ``channels`` a photosite, is ``light``, or ``pixels`` to look up in
    ``table``; the other one is empty.
    """
    electrons, share, dark, capacity, offset, read = figures
    gain, half_above_black, top = levels
    lines = _lines(11)
    mean, counts, normals, scratch, zeros = lines[0], lines[1], lines[2], lines[3:10], lines[10].view(np.int16)
    decoded = scratch[:3].reshape(3 * STRIP_PX)
    height, width = max(charge.shape[0], codes.shape[0]), codes.shape[1]
    # What the next strip needs is brought near while this one is worked on, some of it behind each step: a processor
    # can wait for a few lines at once only.
    scene, size = (pixels.ctypes.data, pixels.itemsize) if pixels.size else (light.ctypes.data, light.itemsize)
    size, soon = size * channels, min(width, STRIP_PX)
    half_prnu, half_dsnu = min(sensitivity.size, soon), min(offsets.size, soon)
    for y in range(height):
        colours = weights[y % weights.shape[0]]
        for start in range(0, width, STRIP_PX):
            end = min(start + STRIP_PX, width)
            length, first, after = end - start, y * width + start, y * width + end
            values = light[first * channels : after * channels]
            if pixels.size:
                values = decoded[: length * channels]
                _look_up(pixels[first * channels : after * channels], table, values)
            # What is off is multiplied by 1 or added as 0 to what is not negative: no bit changes.
            z = sensitivity[y, start:end] if sensitivity.shape[0] else zeros[:length]
            if channels == 1:
                _expect_grey(values, colours, z, electrons, share, dark, mean[:length])
            else:
                _expect_colour(values, colours, z, electrons, share, dark, mean[:length])
            _bring(sensitivity.ctypes.data + 2 * after, half_prnu)
            _draw_strip(mean, length, start, y, place, scratch, counts, normals, scene + size * after, size * soon // 4)
            _bring(sensitivity.ctypes.data + 2 * after + half_prnu, half_prnu)
            z = offsets[y, start:end] if offsets.shape[0] else zeros[:length]
            row = charge[y, start:end] if charge.shape[0] else mean[:length]
            _hand_over(counts, normals, z, capacity, offset, read, row)
            _bring(offsets.ctypes.data + 2 * after, half_dsnu)
            if codes.shape[0]:
                _convert(row, gain, half_above_black, top, codes[y, start:end])
            _bring(offsets.ctypes.data + 2 * after + half_dsnu, half_dsnu)


@njit(cache=True, nogil=True, error_model="numpy")
def _lines(count: int) -> NDArray[Any]:
    """Return zeros for ``count`` strips, at an address that suits whole vectors."""
    block = np.zeros(count * STRIP_PX + 16, np.float32)
    skipped = -block.ctypes.data % 64 // 4
    return block[skipped : skipped + count * STRIP_PX].reshape(count, STRIP_PX)


@njit(cache=True, nogil=True, error_model="numpy")
def _bring(address: int, size: int) -> None:
    """Have ``size`` bytes brought into the first cache."""
    for at in range(0, size, 64):
        _bring_line(address + at)


# As in scene.py, and not shared for the same reason as above.
@njit(cache=True, nogil=True, error_model="numpy")
def _look_up(pixels: NDArray[Any], table: NDArray[Any], values: NDArray[Any]) -> None:
    """Set ``values`` to the light of the pixels."""
    for i in range(pixels.size):
        values[i] = table[pixels[i]]


@njit(cache=True, nogil=True, error_model="numpy")
def _expect_grey(
    light: NDArray[Any],
    weights: NDArray[Any],
    z: NDArray[Any],
    electrons: np.float32,
    share: np.float32,
    dark: np.float32,
    mean: NDArray[Any],
) -> None:
    """Set ``mean`` to the electrons that grey light and heat are expected to free."""
    _wide_vectors()
    one, none = np.float32(1), np.float32(0)
    red, green, blue = weights[0], weights[1], weights[2]
    for x in range(mean.size):
        seen = red[x] * light[x] + green[x] * light[x] + blue[x] * light[x]
        mean[x] = max(seen, none) * electrons * (one + share * np.float32(z[x])) + dark


@njit(cache=True, nogil=True, error_model="numpy")
def _expect_colour(
    light: NDArray[Any],
    weights: NDArray[Any],
    z: NDArray[Any],
    electrons: np.float32,
    share: np.float32,
    dark: np.float32,
    mean: NDArray[Any],
) -> None:
    """Set ``mean`` to the electrons that coloured light and heat are expected to free."""
    _wide_vectors()
    one, none = np.float32(1), np.float32(0)
    red, green, blue = weights[0], weights[1], weights[2]
    # One index into one line, where the compiler sees that neighbours lie side by side; into (x, 3) it would not.
    for x in range(mean.size):
        seen = red[x] * light[3 * x] + green[x] * light[3 * x + 1] + blue[x] * light[3 * x + 2]
        mean[x] = max(seen, none) * electrons * (one + share * np.float32(z[x])) + dark


@njit(cache=True, nogil=True, error_model="numpy")
def _hand_over(
    counts: NDArray[Any],
    normals: NDArray[Any],
    z: NDArray[Any],
    capacity: np.float32,
    offset: np.float32,
    read: np.float32,
    charge: NDArray[Any],
) -> None:
    """Set ``charge`` to the counts behind the full well, with offset and read noise."""
    _wide_vectors()
    for x in range(charge.size):
        charge[x] = min(counts[x], capacity) + offset * np.float32(z[x]) + read * normals[x]


@njit(cache=True, nogil=True, error_model="numpy")
def _convert(charge: NDArray[Any], gain: float, half_above_black: float, top: float, codes: NDArray[Any]) -> None:
    """Set ``codes`` to those of the charge."""
    _wide_vectors()
    for x in range(charge.size):
        # In double precision, so that the one rounding is the right one.
        codes[x] = np.uint16(np.int32(min(max(np.float64(charge[x]) * gain + half_above_black, 0.0), top)))


@njit(cache=True, nogil=True, error_model="numpy")
def draw_rows(mean: NDArray[Any], place: NDArray[Any], counts: NDArray[Any], normals: NDArray[Any]) -> None:
    """Fill ``counts`` and ``normals`` of whole rows."""
    lines = _lines(10)
    mean_e, found, z, scratch = lines[0], lines[1], lines[2], lines[3:10]
    height, width = mean.shape
    for y in range(height):
        for start in range(0, width, STRIP_PX):
            end = min(start + STRIP_PX, width)
            mean_e[: end - start] = mean[y, start:end]
            _draw_strip(mean_e, end - start, start, y, place, scratch, found, z, 0, 0)
            counts[y, start:end] = found[: end - start]
            normals[y, start:end] = z[: end - start]


@njit(cache=True, nogil=True, error_model="numpy")
def _draw_strip(
    mean: NDArray[Any],
    length: int,
    start: int,
    y: int,
    place: NDArray[Any],
    scratch: NDArray[Any],
    counts: NDArray[Any],
    normals: NDArray[Any],
    next_at: int,
    next_size: int,
) -> None:
    """Draw for the first ``length`` photosites of a strip, which begins at column ``start``.

    Meanwhile up to four times ``next_size`` bytes from the address ``next_at`` on are brought near.
    """
    # Whole vectors always, so that no photosite meets the scalar code of a loop's end, whose last bit might differ.
    whole = (length + 63) // 64 * 64
    units, unit = (length + UNIT_PX - 1) // UNIT_PX, start // UNIT_PX
    # One call for all blocks of the strip, as they follow one another. In each half of what it fills, half of every
    # unit's words come first, half of the words for its angles behind them, then the next unit's.
    numbers = scratch[:2].reshape(2 * STRIP_PX).view(np.uint32)[: 4 * units * (WORD_BLOCKS + ANGLE_BLOCKS)]
    fill_words(np.uint64(unit * (WORD_BLOCKS + ANGLE_BLOCKS)), y, place, place[4], numbers)
    for part in range((whole + HALF_PX - 1) // HALF_PX):
        first = part * HALF_PX
        end = min(first + HALF_PX, whole)
        words = numbers[(part % 2 * units + part // 2) * HALF_WORDS :]
        _radius(words[: end - first], normals[first:end])
        _turn(words[HALF_PX:HALF_WORDS].view(np.int16)[: end - first], counts[first:end], normals[first:end])
        _bring(next_at + part * next_size, next_size)
    count(mean[:whole], counts[:whole])
    if _is_dim(mean[:length]):
        words = scratch[0].view(np.uint32)
        for first in range(0, length, UNIT_PX):
            block = (start + first) // UNIT_PX * WORD_BLOCKS
            fill_words(np.uint64(block), y, place, place[5], words[first : first + UNIT_PX])
        _search(mean[:length], words, scratch[1:], counts)


@njit(cache=True, nogil=True, error_model="numpy")
def _is_dim(mean: NDArray[Any]) -> bool:
    """Return whether any photosite is to be searched."""
    _wide_vectors()
    dim = np.int32(0)
    for x in range(mean.size):
        dim = np.int32(dim | np.int32(mean[x] < _DIM_E))
    return bool(dim != 0)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_words(first: np.uint64, y: int, place: NDArray[Any], stream: np.uint64, words: NDArray[Any]) -> None:
    """Fill ``words``, four from each block from ``first`` on; counters are (block, row, frame, stream).

    A block's first and third word lie side by side in the first half, the others likewise in the second.
    """
    _wide_vectors()
    low_half, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    row, frame, key_low, key_high = place[0] + np.uint64(y), place[1] & low_half, place[2], place[3]
    # The upper half of the key is 0, but the compiler cannot know: of a known factor and the shift behind the last
    # round it would make another multiplication, of 64 bits, which takes three times as long as the shift.
    nothing = key_low >> shift
    left, right = (np.uint64(0xD2511F53) | nothing) & low_half, (np.uint64(0xCD9E8D57) | nothing) & low_half
    pairs = words.view(np.uint64)
    blocks = pairs.size // 2
    front, back = pairs[:blocks], pairs[blocks:]
    for lane in range(blocks):
        a = first + np.uint64(lane)
        b = row
        c = frame
        d = stream
        k0 = key_low
        k1 = key_high
        for _ in range(7):
            # What the upper halves hold is left there: a multiplication takes the lower ones.
            p = left * (a & low_half)
            q = right * (c & low_half)
            a = (q >> shift) ^ b ^ k0
            c = (p >> shift) ^ d ^ k1
            b = q
            d = p
            k0 = (k0 + np.uint64(0x9E3779B9)) & low_half
            k1 = (k1 + np.uint64(0xBB67AE85)) & low_half
        front[lane] = (a & low_half) | (c << shift)
        back[lane] = (b & low_half) | (d << shift)


# "contract" lets a multiplication and the addition behind it round once: measured, a third of these stages' time.
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _radius(words: NDArray[Any], radius: NDArray[Any]) -> None:
    r"""Set ``radius`` to :math:`\sqrt{-2 \ln u}` of the words' uniform numbers u."""
    _wide_vectors()
    for x in range(words.size):
        u = np.float32(words[x]) * np.float32(2.0**-32) + np.float32(2.0**-33)
        # Exponent, and a mantissa between 0.707 and 1.414, whose logarithm is a polynomial in f = m - 1.
        bits = np.float32(u).view(np.int32)
        power = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
        f = np.int32(bits - np.int32(power << np.int32(23))).view(np.float32) - np.float32(1)
        log = np.float32(0.2858415)
        log = log * f + np.float32(-0.44111875)
        log = log * f + np.float32(0.5080654)
        log = log * f + np.float32(-0.6651605)
        log = log * f + np.float32(0.9998044)
        log = log * f + np.float32(-2.000009)
        radius[x] = np.sqrt(np.float32(power) * np.float32(-2 * 0.6931472) + f * log)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _turn(angles: NDArray[Any], along: NDArray[Any], radius: NDArray[Any]) -> None:
    """Set ``along`` and ``radius`` to the radius times cosine and sine of one of 65,536 angles."""
    _wide_vectors()
    for x in range(angles.size):
        # Sine s and cosine c of half the angle, both times sqrt(2): then r (1 - s^2) and r s c are those of all of it.
        half = np.float32(angles[x]) * np.float32(2.0**-15) + np.float32(2.0**-16)
        t = half * half
        s = np.float32(-0.0061332863)
        s = s * t + np.float32(0.11234724)
        s = s * t + np.float32(-0.9134361)
        s = s * t + np.float32(2.2214348)
        s = s * half
        c = np.float32(-0.027005447)
        c = c * t + np.float32(0.3572024)
        c = c * t + np.float32(-1.7444105)
        c = c * t + np.float32(1.4142041)
        r = radius[x]
        along[x] = r - r * s * s
        radius[x] = r * s * c


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def count(mean: NDArray[Any], counts: NDArray[Any]) -> None:
    """Turn normal numbers into the asymptotic Poisson quantiles; means below 6 count as 6."""
    _wide_vectors()
    one, none, least = np.float32(1), np.float32(0), np.float32(-1.3)
    for x in range(mean.size):
        mu = max(mean[x], np.float32(6))
        root = np.sqrt(mu)
        # 1 / root within 1.3e-4, a guess from the exponent refined once: it only matters for small terms.
        guess = np.int32(np.int32(0x7EF31000) - np.float32(root).view(np.int32)).view(np.float32)
        rest = one - root * guess
        inverse = guess + guess * (rest + rest * rest)
        # Below s = -1.3, where the polynomials end, the count is 0 at all means where it may be.
        w = counts[x]
        s = max(w * inverse, least)
        first = np.float32(-0.0002820972)
        first = first * s + np.float32(0.001085073)
        first = first * s + np.float32(-0.0015972189)
        first = first * s + np.float32(0.0037801972)
        first = first * s + np.float32(-0.013937055)
        first = first * s + np.float32(0.16668227)
        second = np.float32(-0.003409165)
        second = second * s + np.float32(-0.00042761787)
        second = second * s + np.float32(0.0076627252)
        second = second * s + np.float32(-0.027886525)
        second = second * s + np.float32(0.33335665)
        third = np.float32(0.016896972) * s + np.float32(-0.020214837)
        level = mu + (w * (root + w * first) + (second + third * (inverse * inverse)))
        counts[x] = np.floor(max(level, none))


@njit(cache=True, nogil=True, error_model="numpy")
def _search(mean: NDArray[Any], words: NDArray[Any], scratch: NDArray[Any], counts: NDArray[Any]) -> None:
    """Set ``counts`` of the dim photosites of a strip to the exact Poisson quantile of their word."""
    # Collect them first, so that no lane works for a bright one.
    place = scratch[0].view(np.uint32)
    dim = 0
    for x in range(mean.size):
        place[dim] = x
        dim += mean[x] < _DIM_E
    uniform, rate, term, total, found = scratch[1], scratch[2], scratch[3], scratch[4], scratch[5]
    for k in range(dim):
        rate[k] = max(mean[place[k]], np.float32(0))
        uniform[k] = (np.float32(words[place[k]] >> np.uint32(1)) + np.float32(0.5)) * np.float32(2.0**-31)
    _no_events(rate[:dim], term[:dim])
    for k in range(dim):
        total[k] = term[k]
        found[k] = 0
    n = 0
    # 32 counts are more than any word in single precision reaches at a mean of 6.
    while n < 32 and _open(uniform[:dim], total[:dim]):
        _climb(n, uniform[:dim], rate[:dim], term[:dim], total[:dim], found[:dim])
        n += 4
    for k in range(dim):
        word = words[place[k]]
        # Single precision ends before the last thousandth of the words does; those few go one by one.
        counts[place[k]] = found[k] if word < np.uint32(0xFFC00000) else _far_tail(np.float64(rate[k]), word)


@njit(cache=True, nogil=True, error_model="numpy")
def _no_events(rate: NDArray[Any], chance: NDArray[Any]) -> None:
    """Set ``chance`` to exp(-rate), for rates from 0 to 6."""
    _wide_vectors()
    for k in range(rate.size):
        # exp(-r) = 2**-n exp(f) with f within ln 2 / 2 of 0.
        whole = np.floor(rate[k] * np.float32(1.442695041) + np.float32(0.5))
        f = (whole * np.float32(0.693359375) - rate[k]) - whole * np.float32(2.12194440e-4)
        series = np.float32(1 / 24) + f * (np.float32(1 / 120) + f * np.float32(1 / 720))
        series = np.float32(1) + f * (np.float32(1) + f * (np.float32(0.5) + f * (np.float32(1 / 6) + f * series)))
        chance[k] = series * np.int32(np.int32(np.int32(127) - np.int32(whole)) << np.int32(23)).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def _open(uniform: NDArray[Any], total: NDArray[Any]) -> bool:
    """Return whether a lane has not reached its quantile."""
    _wide_vectors()
    left = 0
    for k in range(uniform.size):
        left += uniform[k] >= total[k]
    return left > 0


@njit(cache=True, nogil=True, error_model="numpy")
def _climb(
    n: int, uniform: NDArray[Any], rate: NDArray[Any], term: NDArray[Any], total: NDArray[Any], found: NDArray[Any]
) -> None:
    """Move every open lane up from ``n`` by as many of the next four counts as its word asks for."""
    _wide_vectors()
    one, none = np.float32(1), np.float32(0)
    first, second = np.float32(1 / (n + 1)), np.float32(1 / (n + 2))
    third, fourth = np.float32(1 / (n + 3)), np.float32(1 / (n + 4))
    for k in range(uniform.size):
        u, r, t, below, count = uniform[k], rate[k], term[k], total[k], found[k]
        count += one if u >= below else none
        t *= r * first
        below += t
        count += one if u >= below else none
        t *= r * second
        below += t
        count += one if u >= below else none
        t *= r * third
        below += t
        count += one if u >= below else none
        t *= r * fourth
        below += t
        term[k], total[k], found[k] = t, below, count


@njit(cache=True, nogil=True, error_model="numpy")
def _far_tail(mean: float, word: np.uint32) -> np.float32:
    """Return the Poisson quantile of one word, in double precision."""
    u = (np.float64(word) + 0.5) * 2.0**-32
    term = np.exp(-mean)
    total = term
    n = 0
    while u >= total and n < 200:
        n += 1
        term *= mean / n
        total += term
    return np.float32(n)

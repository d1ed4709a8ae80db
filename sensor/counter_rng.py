"""Random numbers that belong to a photosite, not to a moment: Philox4x32-10.

Every draw is a pure function of the camera's seed, the kind of noise (:class:`Stream`), the frame number and the
photosite's row and column. So the same camera gives the same bits on any number of threads and for any tiling, and
two noises never share a number.

Source of the generator: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC 2011; known answers from the authors' Random123 distribution are in the tests.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.errors import CaptureError
from sensor.fixed_maps import FixedMaps


class Stream(IntEnum):
    """Which noise a number is for. The values are part of what a seed means: they never change."""

    PRNU = 1
    DSNU = 2
    SHOT = 3
    READ = 4
    TUKEY = 5
    HOT_SITE = 6
    HOT_SIZE = 7
    DEFECT = 8
    RESET = 9
    TELEGRAPH_SITE = 10
    TELEGRAPH_SIZE = 11
    TELEGRAPH_STATE = 12
    ROW = 13
    COLUMN_OFFSET = 14
    COLUMN_GAIN = 15
    BANDING = 16
    CAPACITORS = 17
    SWITCH_RESET = 18
    SWITCH_INJECTION = 19
    PAIR = 20
    DIM = 21


FIXED_STEP = 2.0**-12
"""Normal numbers of fixed patterns are whole multiples of this, so that two bytes hold one."""


@dataclass(frozen=True, kw_only=True)
class NoiseSource:
    """The random numbers of one camera for one tile of one frame.

    Attributes
    ----------
    seed : int
        Camera seed, 0 to 2**64 - 1: what makes this camera differ from the next one of its kind.
    frame : int
        Frame number, 0 to 2**32 - 1; temporal noise differs between frames.
    origin : tuple of int
        Row and column of the tile's first photosite on the sensor.
    maps : FixedMaps, optional
        Where fixed patterns are kept from frame to frame; they are the same with and without.
    """

    seed: int = 0
    frame: int = 0
    origin: tuple[int, int] = (0, 0)
    maps: FixedMaps | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_integer("seed", self.seed, 64)
        check_integer("frame", self.frame, 32)

    def words(self, stream: Stream, shape: tuple[int, int], *, fixed: bool = False) -> NDArray[np.uint32]:
        """Return one uniform 32-bit word for each photosite of the tile.

        Parameters
        ----------
        stream : Stream
            Which noise the words are for.
        shape : tuple of int
            Rows and columns of the tile.
        fixed : bool
            True for what is part of the sensor itself: the frame number is left out.

        Returns
        -------
        ndarray of uint32, shape ``shape``
        """
        out = np.empty(shape, np.uint32)
        if out.size:
            row, column = self.origin
            frame = 0 if fixed else self.frame
            low, high = self.seed & 0xFFFFFFFF, self.seed >> 32
            _fill(out, np.uint64(row), column, np.uint64(frame), np.uint64(stream), np.uint64(low), np.uint64(high))
        return out

    def normals(self, stream: Stream, shape: tuple[int, int], *, fixed: bool = False) -> NDArray[np.float32]:
        """Return one standard normal number for each photosite; parameters as for :meth:`words`.

        Those of fixed patterns are whole multiples of :data:`FIXED_STEP`, 2**-12.
        """
        if fixed:
            return self.fixed_codes(stream, shape) * np.float32(FIXED_STEP)
        return standard_normal(self.words(stream, shape))

    def fixed_codes(self, stream: Stream, shape: tuple[int, int]) -> NDArray[np.int16]:
        """Return the normal numbers of a fixed pattern, in units of :data:`FIXED_STEP`."""
        (row, column), (height, width) = self.origin, shape
        draw = partial(self._draw_codes, stream, column, width)
        if self.maps is not None and column == 0 and width == self.maps.shape[1]:
            kept = self.maps.rows(stream, row, row + height, draw)
            if kept is not None:
                return kept
        return draw(row, row + height)

    def _draw_codes(self, stream: Stream, column: int, width: int, first: int, end: int) -> NDArray[np.int16]:
        words = replace(self, origin=(first, column)).words(stream, (end - first, width), fixed=True)
        return np.asarray(np.rint(standard_normal(words) * np.float32(1 / FIXED_STEP)), np.int16)

    def uniforms(self, stream: Stream, shape: tuple[int, int], *, fixed: bool = False) -> NDArray[np.float64]:
        """Return one number between 0 and 1 for each photosite; parameters as for :meth:`words`."""
        return np.asarray((self.words(stream, shape, fixed=fixed) + 0.5) * 2.0**-32, np.float64)


def check_integer(name: str, value: int, bits: int) -> None:
    """Raise CaptureError unless ``value`` is an integer from 0 to 2**bits - 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= int(value) < 1 << bits:
        raise CaptureError(f"{name} must be a whole number from 0 to 2**{bits} - 1, got {value!r}")


def standard_normal(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    r"""Turn uniform words into standard normal numbers, one for one and increasing.

    .. math:: z = \sqrt 2\, \mathrm{erf}^{-1}(x), \qquad x = 2\,(k + \tfrac12)\,2^{-32} - 1

    with :math:`\mathrm{erf}^{-1}(x) \approx x\,P(-\ln(1 - x^2))`, the form of M. Giles, "Approximating the erfinv
    function" (GPU Computing Gems, 2011), with polynomials fitted anew to 2e-8 relative.

    Parameters
    ----------
    words : ndarray of uint32
        Any shape.

    Returns
    -------
    ndarray of float32, same shape
        Between -6.34 and 6.34: the tails end where 2**32 words end.
    """
    words = np.ascontiguousarray(words, np.uint32)
    out = np.empty(words.shape, np.float32)
    _inverse_normal(words.reshape(-1), out.reshape(-1))
    return out


# 64 photosites of a row share 16 counters: word k of counter l belongs to photosite 16 k + l. The inner loops
# then run over neighbours, which the compiler turns into vector instructions.
@njit(cache=True, nogil=True, error_model="numpy")
def _fill(
    out: NDArray[Any],
    row: np.uint64,
    column: int,
    frame: np.uint64,
    stream: np.uint64,
    key_low: np.uint64,
    key_high: np.uint64,
) -> None:
    """Fill ``out[i, j]`` with the word of photosite (row + i, column + j); all scalars but ``column`` are uint64."""
    low_half = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    height, width = out.shape
    group = np.empty((4, 16), np.uint32)
    for i in range(height):
        y = row + np.uint64(i)
        for first in range(column - column % 64, column + width, 64):
            for lane in range(16):
                a = np.uint64(first // 4 + lane)
                b = y
                c = frame
                d = stream
                k0 = key_low
                k1 = key_high
                for _ in range(10):
                    p = np.uint64(0xD2511F53) * a
                    q = np.uint64(0xCD9E8D57) * c
                    a = (q >> shift) ^ b ^ k0
                    c = (p >> shift) ^ d ^ k1
                    b = q & low_half
                    d = p & low_half
                    k0 = (k0 + np.uint64(0x9E3779B9)) & low_half
                    k1 = (k1 + np.uint64(0xBB67AE85)) & low_half
                group[0, lane] = np.uint32(a)
                group[1, lane] = np.uint32(b)
                group[2, lane] = np.uint32(c)
                group[3, lane] = np.uint32(d)
            words = group.reshape(64)
            begin = max(first, column)
            end = min(first + 64, column + width)
            for x in range(begin, end):
                out[i, x - column] = words[x - first]


@njit(cache=True, nogil=True, error_model="numpy")
def _inverse_normal(words: NDArray[Any], out: NDArray[Any]) -> None:
    """Set ``out[i]`` to the standard normal quantile of ``(words[i] + 1/2) / 2**32``; 1-D, contiguous."""
    # ln 2 and the mantissa of 1 - x^2 give the logarithm without a call, so the loop stays vectorised.
    for i in range(words.size):
        x = (np.float64(words[i]) + 0.5) * 2.0**-31 - 1.0
        rest = (1.0 - x) * (1.0 + x)
        bits = np.float64(rest).view(np.int64)
        exponent = ((bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)) + np.int64(0)
        m = np.int64(bits - (exponent << np.int64(52))).view(np.float64)
        s = (m - 1.0) / (m + 1.0)
        t = s * s
        series = 1.0 + t * (1 / 3 + t * (1 / 5 + t * (1 / 7 + t * (1 / 9 + t * (1 / 11)))))
        w = -(np.float64(exponent) * 0.6931471805599453 + 2.0 * s * series)
        v = (w - 2.5) * 0.4
        centre = -4.8237110632104015e-05
        centre = centre * v + 5.020354589779209e-05
        centre = centre * v + 0.0004041928135623987
        centre = centre * v - 0.0011956916959362217
        centre = centre * v - 0.0006868147047775051
        centre = centre * v + 0.012062020092257692
        centre = centre * v - 0.02768157821593777
        centre = centre * v - 0.03692324646912091
        centre = centre * v + 0.8720050671375081
        centre = centre * v + 2.1233134789945143
        v = (np.sqrt(max(w, 5.0)) - 3.473033988749895) * (1.0 / 1.236966011250105)
        tail = -0.00025066320428921313
        tail = tail * v + 0.00030547453715827725
        tail = tail * v + 0.0006597486663859661
        tail = tail * v - 0.0017968167444092156
        tail = tail * v + 0.002379021306090796
        tail = tail * v - 0.0029717353818838966
        tail = tail * v + 0.003948715198663564
        tail = tail * v - 0.005870659122003186
        tail = tail * v + 0.00746135619027649
        tail = tail * v + 1.7619083430059075
        tail = tail * v + 4.6786758760883185
        out[i] = np.float32(x * (centre if w < 5.0 else tail))

"""FFX: format-preserving encryption of short digit strings by an unbalanced Feistel network (HMAC-SHA1, ten rounds).

Bellare, Rogaway, Spies, "The FFX mode of operation for format-preserving encryption", 2010; the round function is that
of the Python package pyffx 0.3, whose results it reproduces.
"""

import hmac
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from scrambler.errors import FrameError

_ROUNDS = 10
_PARALLEL_FROM = 100_000


@njit(cache=True, nogil=True)
def _row(row: NDArray[Any], flags: NDArray[Any], table: NDArray[Any], most: int, out: NDArray[Any]) -> int:
    """Look up the codes that are flagged and keep the others; return 1 if all results are 0 .. most."""
    sound = 1
    for n in range(row.size):
        code = np.int64(row[n])
        if flags[n]:
            code = np.int64(table[code]) if 0 <= code < table.size else np.int64(-1)
        if code < 0 or code > most:
            sound = 0
        out[n] = code
    return sound


@njit(cache=True, nogil=True)
def _serial(rows: NDArray[Any], flags: NDArray[Any], table: NDArray[Any], most: int, out: NDArray[Any]) -> bool:
    sound = 1
    for b in range(rows.shape[0]):
        sound *= _row(rows[b], flags, table, most, out[b])
    return sound == 1


@njit(cache=True, nogil=True, parallel=True)
def _parallel(rows: NDArray[Any], flags: NDArray[Any], table: NDArray[Any], most: int, out: NDArray[Any]) -> bool:
    pieces = max(1, 64 // rows.shape[0])
    sound = np.ones(rows.shape[0] * pieces, np.int64)
    for task in prange(rows.shape[0] * pieces):
        b = task // pieces
        first, last = flags.size * (task % pieces) // pieces, flags.size * (task % pieces + 1) // pieces
        sound[task] = _row(rows[b, first:last], flags[first:last], table, most, out[b, first:last])
    return bool(sound.min() == 1)


def round_digits(password: bytes, radix: int, number: int, digits: Sequence[int], count: int) -> list[int]:
    r"""Return the first digits, least significant first, of :math:`\mathrm{HMAC}(password, number \| digits \| 0)`.

    Each field is a little-endian 32-bit word.
    """
    message = b"".join(word.to_bytes(4, "little") for word in (number, *digits, 0))
    value = int.from_bytes(hmac.digest(password, message, "sha1"), "big")
    out = []
    for _ in range(count):
        value, digit = divmod(value, radix)
        out.append(digit)
    return out


def encrypt_digits(password: bytes, radix: int, digits: Sequence[int]) -> list[int]:
    """Return the encrypted digits, as many as given.

    Examples
    --------
    With the alphabet "abc" the word "cba" becomes "abb".

    >>> encrypt_digits(b"foo", 3, [2, 1, 0])
    [0, 1, 1]
    """
    left, right = list(digits[: len(digits) // 2]), list(digits[len(digits) // 2 :])
    for number in range(_ROUNDS):
        stream = round_digits(password, radix, number, right, len(left))
        left, right = right, [(a + b) % radix for a, b in zip(left, stream, strict=True)]
    return left + right


def code_table(password: bytes, top: int) -> NDArray[Any]:
    """Return the encryption of each code 0 .. top as a decimal number of as many digits as `top` has.

    Parameters
    ----------
    password : bytes
        Secret.
    top : int
        1 to 65535.

    Returns
    -------
    array of uint16, or int32 for five digits, shape (top + 1,)

    Examples
    --------
    >>> code_table(b"password", 255)[:4].tolist()
    [355, 522, 858, 133]
    """
    length = len(str(top))
    # Codes in the two halves as numbers, most significant digit first; a round looks up one table for all codes.
    widths = [length // 2, length - length // 2]
    codes = np.arange(top + 1)
    left, right = codes // 10 ** widths[1], codes % 10 ** widths[1]
    for number in range(_ROUNDS):
        table = [
            int("".join(map(str, round_digits(password, 10, number, _digits(value, widths[1]), widths[0]))) or 0)
            for value in range(10 ** widths[1])
        ]
        left, right = right, _add_digits(left, np.array(table), widths, right)
        widths.reverse()
    encrypted: NDArray[Any] = left * 10 ** widths[1] + right
    return encrypted.astype(np.uint16 if length < 5 else np.int32)


def inverse_table(table: NDArray[Any]) -> NDArray[np.int64]:
    """Return the code of each number 0 .. 9...9, and -1 where no code encrypts to it; inverse of :func:`code_table`."""
    codes = np.full(10 ** len(str(table.size - 1)), -1, np.int64)
    codes[table] = np.arange(table.size)
    return codes


def _digits(value: int, width: int) -> list[int]:
    return [int(digit) for digit in str(value).zfill(width)] if width else []


def _add_digits(
    left: NDArray[np.int64], table: NDArray[np.int64], widths: Sequence[int], right: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Add the round's number to the left half digit by digit, without carries."""
    added = table[right]
    total = np.zeros_like(left)
    for place in range(widths[0]):
        ten = 10**place
        total += (left // ten + added // ten) % 10 * ten
    return total


def look_up(images: NDArray[Any], flags: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """Return images with the codes at flagged places encrypted; inverse of :func:`look_back`.

    Parameters
    ----------
    images : array of uint8 or uint16, shape (B, ...)
    flags : array of uint8, one for each value of an image
    table : array
        As :func:`code_table` returns it, for all codes of the images.

    Returns
    -------
    array of the table's type, shape (B, ...)

    Examples
    --------
    >>> flags, table = np.array([1, 0, 0, 1], np.uint8), np.array([9, 0, 1, 2], np.uint16)
    >>> look_up(np.array([[0, 1, 2, 3]], np.uint8), flags, table).tolist()
    [[9, 1, 2, 2]]
    """
    out = np.empty(images.shape, table.dtype)
    _run(images, flags, table, int(table.max()), out)
    return out


def look_back(values: NDArray[Any], flags: NDArray[Any], table: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return the plain images, as codes of `dtype`; inverse of :func:`look_up`.

    Raises
    ------
    FrameError
        If the values are no images under this table.
    """
    out = np.empty(values.shape, dtype)
    if not _run(values, flags, inverse_table(table), table.size - 1, out):
        raise FrameError("the protected values are no images under this key and these parameters: give the right ones.")
    return out


def _run(values: NDArray[Any], flags: NDArray[Any], table: NDArray[Any], most: int, out: NDArray[Any]) -> bool:
    if not values.size:
        return True
    rows, target = (array.reshape(len(values), -1) for array in (np.ascontiguousarray(values), out))
    run = _serial if values.size < _PARALLEL_FROM else _parallel
    sound: bool = run(rows, flags, table, most, target)
    return sound

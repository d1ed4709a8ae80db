"""FFX: format-preserving encryption of short digit strings by an unbalanced Feistel network (HMAC-SHA1, ten rounds).

Bellare, Rogaway, Spies, "The FFX mode of operation for format-preserving encryption", 2010; the round function is that
of the Python package pyffx 0.3, whose results it reproduces.
"""

import hmac
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 10


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

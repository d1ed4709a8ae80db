"""Benes networks of any width: 2 x 2 switches that let every order through, and the settings for a given order.

A network of n ports is n // 2 switches, two networks of n // 2 and n - n // 2 ports, and n // 2 switches again, of
which each takes the ports 2 i and 2 i + 1; the last port of an odd width goes to the lower network by wire. Sources:
V. E. Benes, "Mathematical theory of connecting networks", 1965; D. C. Opferman, N. T. Tsao-Wu, "On a class of
rearrangeable switching networks", BSTJ 50 (1971) for the looping algorithm; C. Chang, R. Melhem, "Arbitrary size Benes
networks", Parallel Processing Letters 7 (1997).

Settings come in one order everywhere: first column of switches, upper network, lower network, last column.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sensor.readout_counts import benes_switches


def route(source: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the settings that bring input ``source[j]`` to output j.

    Parameters
    ----------
    source : ndarray of int, shape (n,)
        A permutation, in gather form.

    Returns
    -------
    ndarray of bool, shape (benes_switches(n),)
        True crosses a switch's two lines.

    Examples
    --------
    >>> route(np.array([1, 0])).tolist(), len(route(np.arange(64)))
    ([True], 352)
    """
    settings = np.zeros(benes_switches(len(source)), np.bool_)
    _route(np.asarray(source, np.int64), settings)
    return settings


def switch(inputs: NDArray[Any], settings: NDArray[np.bool_]) -> NDArray[Any]:
    """Return what leaves the network's outputs when these values are at its inputs, through every switch.

    Parameters
    ----------
    inputs : ndarray, shape (n,)
        Codes or voltages.
    settings : ndarray of bool, shape (benes_switches(n),)
        See :func:`route`.

    Examples
    --------
    >>> source = np.array([3, 0, 4, 1, 2])
    >>> switch(np.arange(5), route(source)).tolist()
    [3, 0, 4, 1, 2]
    """
    outputs = np.array(inputs)
    _switch(outputs, settings)
    return outputs


@njit(cache=True, nogil=True)
def _route(source: NDArray[Any], settings: NDArray[Any]) -> None:
    """Fill ``settings``, which is all False."""
    n = source.size
    if n < 2:
        return
    if n == 2:
        settings[0] = source[0] == 1
        return
    half, slot = n // 2, np.empty(n, np.int64)
    for j in range(n):
        slot[source[j]] = j
    # Side of each output: 0 upper network, 1 lower. The partners of a switch are on different sides.
    side = np.full(n, -1, np.int64)
    for start in range(n - 1, -1, -1):
        if side[start] >= 0:
            continue
        # An odd last output, whose chain comes first, is wired to the lower network, and so is an odd last input;
        # the chain of the one ends at the other, so that nothing contradicts.
        at, which = start, 1
        while side[at] < 0:
            side[at] = which
            entry = source[at]
            if n % 2 == 1 and entry == n - 1:
                break
            at = slot[entry ^ 1]
            side[at] = 1 - which
            if n % 2 == 1 and at == n - 1:
                break
            at ^= 1
    upper, lower = np.empty(half, np.int64), np.empty(n - half, np.int64)
    last = settings.size - half
    for j in range(n):
        entry = source[j]
        if side[j] == 0:
            upper[j // 2] = entry // 2
        else:
            lower[j // 2] = entry // 2
        if entry < 2 * half and entry % 2 == 0:
            settings[entry // 2] = side[j] == 1
        if j < 2 * half and j % 2 == 0:
            settings[last + j // 2] = side[j] == 1
    middle = half + _count(half)
    _route(upper, settings[half:middle])
    _route(lower, settings[middle:last])


@njit(cache=True, nogil=True)
def _count(n: int) -> int:
    """Return the number of switches of a network."""
    if n < 2:
        return 0
    if n == 2:
        return 1
    return _count(n // 2) + _count(n - n // 2) + 2 * (n // 2)


@njit(cache=True, nogil=True)
def _switch(values: NDArray[Any], settings: NDArray[Any]) -> None:
    """Send values through, in place."""
    n = values.size
    if n < 2:
        return
    if n == 2:
        if settings[0]:
            values[0], values[1] = values[1], values[0]
        return
    half = n // 2
    last = settings.size - half
    middle = half + _count(half)
    upper, lower = np.empty(half, values.dtype), np.empty(n - half, values.dtype)
    for i in range(half):
        crossed = 1 if settings[i] else 0
        upper[i], lower[i] = values[2 * i + crossed], values[2 * i + 1 - crossed]
    if n % 2 == 1:
        lower[half] = values[n - 1]
        values[n - 1] = 0
    _switch(upper, settings[half:middle])
    _switch(lower, settings[middle:last])
    for i in range(half):
        crossed = 1 if settings[last + i] else 0
        values[2 * i + crossed], values[2 * i + 1 - crossed] = upper[i], lower[i]
    if n % 2 == 1:
        values[n - 1] = lower[half]

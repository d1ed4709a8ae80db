"""Fixed patterns of a camera, drawn once and kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FixedMaps:
    """Normal numbers of the photosites of one camera, a map for each pattern; filled row by row on first use.

    They are kept as :meth:`sensor.counter_rng.NoiseSource.fixed_codes`, two bytes a photosite. Threads may ask for
    different rows at once: a row's numbers do not depend on who draws them.

    Parameters
    ----------
    shape : tuple of int
        Size of the frames, (H, W).
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._maps: dict[int, NDArray[np.int16]] = {}
        self._filled: dict[int, NDArray[np.bool_]] = {}

    def prepare(self, *patterns: int) -> None:
        """Make room for patterns; call it before threads ask for rows."""
        for pattern in patterns:
            if pattern not in self._maps:
                self._maps[pattern] = np.empty(self.shape, np.int16)
                self._filled[pattern] = np.zeros(self.shape[0], np.bool_)

    def rows(self, pattern: int, first: int, end: int, draw: Callable[[], NDArray[Any]]) -> NDArray[np.int16] | None:
        """Return rows of a pattern, from ``draw`` if they are asked for the first time; None if it is not kept."""
        kept = self._maps.get(pattern)
        if kept is None:
            return None
        filled = self._filled[pattern][first:end]
        if not filled.all():
            kept[first:end] = draw()
            filled[:] = True
        return kept[first:end]

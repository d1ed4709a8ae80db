"""Fixed patterns of a camera, drawn once and kept."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_DRAW_PX = 1 << 16


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

    def rows(
        self, pattern: int, first: int, end: int, draw: Callable[[int, int], NDArray[np.int16]]
    ) -> NDArray[np.int16] | None:
        """Return rows of a pattern, new ones from ``draw(first, end)``; None if the pattern is not kept."""
        kept = self._maps.get(pattern)
        if kept is None:
            return None
        filled = self._filled[pattern]
        if not filled[first:end].all():
            # A few rows at a time: drawing takes several times the memory of what is kept.
            step = max(1, _DRAW_PX // self.shape[1])
            for top in range(first, end, step):
                bottom = min(top + step, end)
                kept[top:bottom] = draw(top, bottom)
            filled[first:end] = True
        return kept[first:end]

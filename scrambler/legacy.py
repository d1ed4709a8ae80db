"""The keys of the published PrivDL code: a 32-bit seed and NumPy's old random stream, for comparisons only."""

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import SecretPickleError, ShuffleCamError
from scrambler.permutation import Permutation


class LegacyKey:
    """A PrivDL key: an integer seed, 32 bits at most, so it protects nothing.

    Parameters
    ----------
    seed : int
        What the published code gives to ``np.random.seed``, 0 to 2**32 - 1.

    Examples
    --------
    >>> LegacyKey(1312).draw([32 * 32])[0][:6].tolist()
    [608, 275, 171, 540, 204, 215]
    """

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
            raise ShuffleCamError("seed of a legacy key must be an integer from 0 to 2**32 - 1.")
        self.seed = int(seed)

    def draw(self, sizes: Sequence[int]) -> list[NDArray[Any]]:
        """Return successive draws after seeding, each ``argsort(rand(size))``, as uint32 source arrays."""
        # The published keys come from this very stream.
        stream = np.random.RandomState(self.seed)
        return [np.argsort(stream.rand(size)).astype(np.uint32) for size in sizes]

    def chain(self, sizes: Sequence[int | tuple[int, int]]) -> list[Permutation]:
        """Return successive permutations, one for each size or (H, W), as the published networks draw them."""
        counts = [size if isinstance(size, int) else size[0] * size[1] for size in sizes]
        shapes = [None if isinstance(size, int) else size for size in sizes]
        return [Permutation(source, shape) for source, shape in zip(self.draw(counts), shapes, strict=True)]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretPickleError("a LegacyKey is not pickled: make it again with Key.legacy(seed).")

    def __repr__(self) -> str:
        return "LegacyKey()"

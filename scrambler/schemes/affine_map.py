"""A scheme as one affine map, value by value: what a network needs to read protected frames without revealing them."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scrambler.schemes.draws import Secret
from scrambler.schemes.signed_gather import SignedGather


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AffineMap(Secret):
    r"""How one frame's values were moved, scaled and lifted.

    .. math:: y[j] = slope[j]\, x[source[j]] + shift[j]

    where j counts the values of a protected frame (H', W', C), channels last, and ``source[j]`` those of the plain one,
    padded to the same size. It is as secret as the key.

    Parameters
    ----------
    shape : (int, int, int)
        H', W' and C.
    source : array of integers, shape (H' W' C,), or None
        A permutation; None where every value stays in its place.
    slope, shift : arrays of float64, broadcast to (H' W' C,)
        Slopes are not zero; shifts are in codes.
    white : float
        The plain code that stands for white.

    Examples
    --------
    Two values change places, and one of them becomes its negative.

    >>> table = AffineMap(shape=(1, 2, 1), source=np.array([1, 0]), slope=np.array([-1, 1]), shift=np.array([255, 0]),
    ...     white=255.0)
    >>> table.apply(np.array([[[10], [200]]])).ravel().tolist()
    [55.0, 10.0]
    >>> place, factor, addend = table.inverse((1, 2))
    >>> place.tolist(), factor.tolist(), addend.tolist()
    ([[1, 0]], [[1.0, -1.0]], [[0.0, 255.0]])
    """

    shape: tuple[int, int, int]
    source: NDArray[Any] | None
    slope: NDArray[Any]
    shift: NDArray[Any]
    white: float

    @classmethod
    def of_signs(cls, shape: tuple[int, int, int], gather: SignedGather, top: int) -> "AffineMap":
        """Return the map of a gather with signs, for codes up to `top`."""
        negative = gather.negative.astype(np.float64)
        return cls(shape=shape, source=gather.source, slope=1 - 2 * negative, shift=top * negative, white=top)

    def apply(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the protected frame of a padded plain one, float64, shape (H', W', C)."""
        flat = image.reshape(-1).astype(np.float64)
        moved = flat if self.source is None else flat[self.source]
        protected: NDArray[Any] = (self.slope * moved + self.shift).reshape(self.shape)
        return protected

    def inverse(self, size: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        r"""Return where the plain values of a frame of H x W are, and how to come back to them.

        .. math:: x[c, n] = factor[c, n]\, y[place[c, n]] + addend[c, n]

        Returns
        -------
        place : array of int64, shape (C, H * W)
        factor, addend : arrays of float64, shape (C, H * W)
        """
        count, channels = int(np.prod(self.shape)), self.shape[2]
        place = np.arange(count)
        if self.source is not None:
            place[self.source] = np.arange(count)
        place = np.ascontiguousarray(place.reshape(self.shape)[: size[0], : size[1]].reshape(-1, channels).T)
        slope, shift = (np.broadcast_to(part, count).astype(np.float64)[place] for part in (self.slope, self.shift))
        return place, 1 / slope, 0.0 - shift / slope


@runtime_checkable
class AffineScheme(Protocol):
    """A scheme that is affine value by value."""

    def affine_map(self, shape: tuple[int, int, int], nonce: bytes | None = None, dtype: Any = np.uint8) -> AffineMap:
        """Return the map of one plain frame (H, W, C) of this type of codes under its nonce, if it has one."""
        ...

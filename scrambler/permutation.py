"""`Permutation`: which photosite is read into which slot, and its application to frames, batches and tensors."""

import sys
from math import prod
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, PermutationError, SecretPickleError
from scrambler.frame_size import MOST_ITEMS, check_shape, count_and_shape
from scrambler.kernels import gather, invert, scatter
from scrambler.routed import Mover

# Larger inverses are made on several threads.
_SERIAL_BELOW = 100_000


class Permutation:
    """A rearrangement of a frame's photosites, in gather form: ``shuffled[j] = plain[source[j]]``.

    Immutable. The arrays are secret: ``repr`` shows the size only, and pickling is refused.

    Parameters
    ----------
    source : array of integers, shape (N,)
        ``source[j]`` is the photosite read into slot j; copied, unless it is a read-only uint32 array.
    shape : (int, int), optional
        Frame size (H, W) with H * W = N, where photosite n lies at row n // W, column n % W. Without it the
        permutation acts on the last axis.

    Attributes
    ----------
    source : read-only array of uint32, shape (N,)
        Gather table.
    slot : read-only array of uint32, shape (N,)
        The inverse, ``slot[source[j]] = j``; computed when first asked for.
    shape : (int, int) or None
        Frame size.
    size : int
        Number of photosites.

    Raises
    ------
    PermutationError
        If `source` does not hold each of 0 .. N-1 exactly once, or does not fill `shape`.

    Examples
    --------
    >>> p = Permutation([2, 0, 3, 1])
    >>> p.shuffle(np.array([10, 20, 30, 40])).tolist(), p.slot.tolist(), p
    ([30, 10, 40, 20], [1, 3, 0, 2], Permutation(size=4))
    """

    __slots__ = ("_mover", "_slot", "_source", "shape", "size")

    size: int
    shape: tuple[int, int] | None
    _source: NDArray[Any] | None
    _slot: NDArray[Any] | None
    _mover: Mover | None

    def __init__(self, source: Any, shape: tuple[int, int] | None = None) -> None:
        given = np.asarray(source)
        if given.size == 0:
            given = given.astype(np.uint32)
        if given.ndim != 1 or given.dtype.kind not in "iu" or given.size > MOST_ITEMS:
            raise PermutationError(
                f"source must be a 1-D integer array of at most {MOST_ITEMS} items, got {given.dtype} {given.shape}."
            )
        message = f"source must hold each of 0 .. {given.size - 1} exactly once."
        if given.size and (given.min() < 0 or given.max() >= given.size):
            raise PermutationError(message)
        own = (
            given
            if given.dtype == np.uint32 and not given.flags.writeable and given.flags.c_contiguous
            else given.astype(np.uint32)
        )
        slot = np.empty(own.size, np.uint32)
        if not invert(own, slot):
            raise PermutationError(message)
        self._set(own.size, own, slot, None, shape)

    def _set(
        self,
        size: int,
        source: NDArray[Any] | None,
        slot: NDArray[Any] | None,
        mover: Mover | None,
        shape: tuple[int, int] | None,
    ) -> None:
        if shape is not None:
            shape = check_shape(shape)
            if shape[0] * shape[1] != size:
                raise PermutationError(f"shape {shape} holds {shape[0] * shape[1]} photosites, and source has {size}.")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "_mover", mover)
        self._keep("_source", source)
        self._keep("_slot", slot)

    def _keep(self, name: str, table: NDArray[Any] | None) -> None:
        if table is not None:
            table.flags.writeable = False
        object.__setattr__(self, name, table)

    @classmethod
    def of_valid(
        cls, source: NDArray[Any], slot: NDArray[Any] | None = None, shape: tuple[int, int] | None = None
    ) -> Self:
        """Wrap uint32 arrays known to be a permutation (and its inverse), unchecked; they become read-only."""
        permutation = object.__new__(cls)
        permutation._set(source.size, source, slot, None, shape)
        return permutation

    @classmethod
    def of_mover(cls, mover: Mover, shape: tuple[int, int] | None = None) -> Self:
        """Wrap a large permutation that moves frames faster than a table can; tables are made when asked for."""
        permutation = object.__new__(cls)
        permutation._set(mover.size, None, None, mover, shape)
        return permutation

    @classmethod
    def identity(cls, size: int | tuple[int, int]) -> Self:
        """Return the permutation of N items or of an (H, W) frame that moves nothing."""
        count, shape = count_and_shape(size)
        source = np.arange(count, dtype=np.uint32)
        return cls.of_valid(source, source, shape)

    @property
    def source(self) -> NDArray[Any]:
        """Photosite read into each slot, uint32, read-only."""
        if self._source is None:
            assert self._mover is not None
            self._keep("_source", self._mover.source())
        assert self._source is not None
        return self._source

    @property
    def slot(self) -> NDArray[Any]:
        """Slot that each photosite is read into, uint32, read-only."""
        if self._slot is None:
            if self._mover is not None:
                self._keep("_slot", self._mover.slot())
            else:
                table = np.empty_like(self.source)
                if self.size < _SERIAL_BELOW:
                    invert(self.source, table)
                else:
                    numbers = np.arange(self.size, dtype=np.uint32)
                    scatter(numbers.reshape(1, -1, 1), self.source, table.reshape(1, -1, 1))
                self._keep("_slot", table)
        assert self._slot is not None
        return self._slot

    def inverse(self) -> "Permutation":
        """Return the permutation that undoes this one."""
        return Permutation.of_valid(self.slot, self.source, self.shape)

    def compose(self, first: "Permutation") -> "Permutation":
        """Return the permutation whose shuffle does `first` and then this one: ``first.source[self.source]``.

        Raises
        ------
        PermutationError
            If the sizes or the shapes differ.
        """
        if first.size != self.size or (
            first.shape is not None and self.shape is not None and first.shape != self.shape
        ):
            raise PermutationError(f"only permutations of one size and shape compose, got {first!r} and {self!r}.")
        return Permutation.of_valid(first.source[self.source], shape=self.shape or first.shape)

    def with_shape(self, shape: tuple[int, int] | None) -> "Permutation":
        """Return the same permutation, acting on (H, W) frames or, for None, on the last axis."""
        permutation = object.__new__(Permutation)
        permutation._set(self.size, self._source, self._slot, self._mover, shape)
        return permutation

    def shuffle(self, x: Any, *, channels_last: bool = False, out: NDArray[Any] | None = None) -> Any:
        """Return x in shuffled order, ``y[..., j] = x[..., source[j]]``; inverse of :meth:`unshuffle`.

        Parameters
        ----------
        x : array or torch tensor
            Any type. The last axis holds the N items; with `shape` set, the last two axes hold the (H, W) frame.
            Batches go in front.
        channels_last : bool
            One more axis at the end holds the channels of each item, (..., H, W, C) or (..., N, C), and they move
            together.
        out : array, optional
            C-contiguous array of x's shape and type to write into, not overlapping x; arrays only.

        Raises
        ------
        FrameError
            If the axes of x do not fit, or `out` does not.
        """
        return self._apply(x, channels_last, out, inverse=False)

    def unshuffle(self, x: Any, *, channels_last: bool = False, out: NDArray[Any] | None = None) -> Any:
        """Return x in natural order, ``y[..., source[j]] = x[..., j]``; inverse of :meth:`shuffle`, same parameters."""
        return self._apply(x, channels_last, out, inverse=True)

    def _apply(self, x: Any, channels_last: bool, out: NDArray[Any] | None, *, inverse: bool) -> Any:
        is_tensor = hasattr(x, "index_select")
        if not is_tensor:
            x = np.asarray(x)
        axes = self.shape or (self.size,)
        end = x.ndim - 1 if channels_last else x.ndim
        start = end - len(axes)
        if start < 0 or tuple(x.shape[start:end]) != axes:
            place = "before the channels" if channels_last else "at the end"
            raise FrameError(
                f"this permutation needs the axes {axes} {place}, and the input has the shape {tuple(x.shape)}."
            )
        if is_tensor:
            if out is not None:
                raise FrameError("out is for arrays: a tensor is always returned anew.")
            return _select(x, self.slot if inverse else self.source, start, end)
        if out is None:
            out = np.empty(x.shape, x.dtype)
        elif out.shape != x.shape or out.dtype != x.dtype or not out.flags.c_contiguous or np.may_share_memory(x, out):
            raise FrameError(
                f"out must be a C-contiguous array of shape {x.shape} and dtype {x.dtype} apart from the input."
            )
        if not x.size:
            return out
        rows_shape = (prod(x.shape[:start]), self.size, prod(x.shape[end:]))
        if x.dtype.itemsize in (1, 2, 4, 8) and not x.dtype.hasobject:
            bits = np.dtype(f"u{x.dtype.itemsize}")
            rows = np.ascontiguousarray(x).view(bits).reshape(rows_shape)
            self._move_bits(rows, out.view(bits).reshape(rows_shape), inverse=inverse)
        else:  # complex numbers, Python objects, records
            table = self.slot if inverse else self.source
            np.take(x.reshape(rows_shape), table, axis=1, out=out.reshape(rows_shape), mode="clip")
        return out

    def _move_bits(self, rows: NDArray[Any], out: NDArray[Any], *, inverse: bool) -> None:
        """Move items of shape (batch, size, channels) on the fastest way there is."""
        if self._mover is not None and self._mover.move(rows, out, inverse=inverse):
            return
        if not inverse:
            gather(rows, self.source, out)
        elif self._slot is not None:
            gather(rows, self._slot, out)
        else:  # costs less than making a table for gathering, which pays only once it exists
            scatter(rows, self.source, out)

    def __repr__(self) -> str:
        return f"Permutation(size={self.size})" if self.shape is None else f"Permutation(shape={self.shape})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Permutation) and self.shape == other.shape and np.array_equal(self.source, other.source)
        )

    __hash__ = None  # type: ignore[assignment]  # the idiom for "compares by value and is too large to hash"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Permutation never changes: make another one instead.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Permutation never changes: make another one instead.")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretPickleError(
            "a Permutation is not pickled, because it gives frames away: pass key file and nonce, and derive it again."
        )


def _select(x: Any, table: NDArray[Any], start: int, end: int) -> Any:
    """Reorder axes start..end of a torch tensor; it stays on its device and in its autograd graph."""
    torch = sys.modules[
        "torch"
    ]  # a tensor exists, so torch is loaded; importing it here would cost every other caller seconds
    index = torch.from_numpy(table.astype(np.int64)).to(x.device)
    return x.flatten(start, end - 1).index_select(start, index).reshape(x.shape)

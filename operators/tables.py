"""Gather tables: which slot of the shuffled input every output reads.

For a window operator with natural table ``index`` and the permutations σ of its input and τ of its output,

    index'[i, k] = slot_σ[index[τ[i], k]],   -1 stays -1 (zero padding),

makes the operator read shuffled frames and write shuffled maps (docs/theory.md).
A table determines σ and τ. It is as secret as the key: it is never printed, pickled or saved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from operators.errors import OperatorError
from operators.geometry import IntOrPair, Padding, Window, natural_index
from scrambler.errors import SecretPickleError


class PixelOrder(Protocol):
    """What the operators need of a permutation; ``scrambler.Permutation`` has it."""

    @property
    def source(self) -> NDArray[Any]:
        """``shuffled[j] = natural[source[j]]``; integers, shape (N,)."""

    @property
    def slot(self) -> NDArray[Any]:
        """``natural[n] = shuffled[slot[n]]``; integers, shape (N,)."""


def slot_table(order: PixelOrder | None, size: int, name: str = "permutation_in") -> Tensor | None:
    """Return the slot of each of ``size`` natural positions; None when the order is natural.

    Raises
    ------
    OperatorError
        When the permutation has another length; ``name`` is what the message calls it.
    """
    return None if order is None else _as_table(order.slot, size, name)


def source_table(order: PixelOrder | None, size: int, name: str = "permutation_out") -> Tensor | None:
    """Return the natural position in each of ``size`` slots; None when the order is natural.

    Raises
    ------
    OperatorError
        When the permutation has another length; ``name`` is what the message calls it.
    """
    return None if order is None else _as_table(order.source, size, name)


def stack_slots(orders: Sequence[PixelOrder]) -> Tensor:
    """Return the slot tables of a batch in which every frame has its own permutation.

    Returns
    -------
    Tensor of int32, shape (B, N)
        What the operators take as ``slot``.

    Raises
    ------
    OperatorError
        When there is no permutation, or they differ in length.
    """
    if not orders:
        raise OperatorError("a batch needs one permutation per frame; none was given")
    size = len(orders[0].slot)
    return torch.stack([_as_table(order.slot, size, "a permutation of the batch") for order in orders])


def _as_table(entries: NDArray[Any], size: int, name: str) -> Tensor:
    if len(entries) != size:
        raise OperatorError(f"{name} arranges {len(entries)} pixels where the operator has {size}; draw one that fits")
    # PyTorch indexes with signed integers only; no frame has 2**31 pixels.
    return torch.from_numpy(np.asarray(entries).astype(np.int32))


def past_the_end(reads: Tensor, size: int) -> Tensor:
    """Return a table with ``size``, one past the last pixel, in place of -1: padding as an index that can be read."""
    return torch.where(reads < 0, size, reads)


def compose(slot: Tensor | None, places: Tensor, outside: int = -1) -> Tensor:
    """Return ``slot[..., places]``: a table in natural positions becomes one in slots.

    Parameters
    ----------
    slot : Tensor of integers, shape (N,) or (B, N), or None
        None leaves the table as it is.
    places : Tensor of integers, shape (M, K)
        Natural positions; N stands for padding, see :func:`past_the_end`.
    outside : int
        What padding becomes.

    Returns
    -------
    Tensor of int32 or int64, shape (M, K) or (B, M, K)
    """
    if slot is None:
        return places
    padded = torch.nn.functional.pad(slot, (0, 1), value=outside)
    if slot.ndim == 1:
        return padded.index_select(0, places.flatten()).reshape(places.shape)
    # With the batch last, a batch of tables is read row by row: eight times as fast as padded[..., places].
    found = padded.transpose(-1, 0).contiguous().index_select(0, places.flatten())
    return found.transpose(0, -1).reshape(*slot.shape[:-1], *places.shape)


@dataclass(frozen=True, eq=False, repr=False)
class GatherTable:
    """The keyed gather table of one window operator; every part is made when first asked for.

    Attributes
    ----------
    window : Window
        Sizes and borders; holds no secret.
    slot : Tensor of int32, shape (H * W,), or None
        Slot of every natural input position; None for natural order.
    source : Tensor of int32, shape (Ho * Wo,), or None
        Natural position of every output slot; None for natural order.

    Notes
    -----
    It refuses to be pickled, and its repr shows sizes only, because it determines the permutations.

    Examples
    --------
    >>> GatherTable.keyed(Window.of((4, 6), 2, stride=2)).index.tolist()[1]
    [2, 3, 8, 9]
    """

    window: Window
    slot: Tensor | None
    source: Tensor | None

    @classmethod
    def keyed(
        cls, window: Window, permutation_in: PixelOrder | None = None, permutation_out: PixelOrder | None = None
    ) -> Self:
        """Return the table of a window between two pixel orders; None means natural order.

        Raises
        ------
        OperatorError
            When a permutation's length is not the number of input or output pixels.
        """
        (H, W), (Ho, Wo) = window.input_size, window.output_size
        return cls(window, slot_table(permutation_in, H * W), source_table(permutation_out, Ho * Wo))

    @property
    def input_size(self) -> tuple[int, int]:
        """Input height and width, in pixels."""
        return self.window.input_size

    @property
    def output_size(self) -> tuple[int, int]:
        """Output height and width, in pixels."""
        return self.window.output_size

    @cached_property
    def reads(self) -> Tensor:
        """Natural input positions in the order of the outputs' slots; int32, shape (Ho*Wo, kh*kw), -1 = padding."""
        natural = natural_index(self.window)
        # torch.from_numpy warns about read-only arrays, and the cache must stay untouched.
        ordered = natural.copy() if self.source is None else natural[self.source.numpy()]
        return torch.from_numpy(ordered)

    @cached_property
    def index(self) -> Tensor:
        """The gather table, the input slot of every tap of every output slot; int32, (Ho*Wo, kh*kw), -1 = padding."""
        return self.reads if self.slot is None else compose(self.slot, self.places)

    @cached_property
    def places(self) -> Tensor:
        """:attr:`reads` with H * W instead of -1, as ``compose`` takes it."""
        return past_the_end(self.reads, self.input_size[0] * self.input_size[1])

    def __repr__(self) -> str:
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        return f"GatherTable({H}x{W} -> {Ho}x{Wo}, {self.window.taps} taps)"

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise SecretPickleError("a gather table determines the key and is never pickled; rebuild it from the key")


def gather_index(
    input_size: IntOrPair,
    kernel_size: IntOrPair,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    padding_mode: str = "zeros",
    ceil_mode: bool = False,
) -> Tensor:
    """Return the gather table of a window operator between two pixel orders.

    ``index[i, k] = slot_in[natural[source_out[i], k]]`` with k = ky * kw + kx (docs/theory.md).

    Parameters
    ----------
    input_size : int or (int, int)
        Frame height and width, in pixels.
    kernel_size, stride, padding, dilation, padding_mode, ceil_mode
        As ``nn.Conv2d`` and the pooling layers take them; ``padding`` may be "same" or "valid".
    permutation_in, permutation_out : permutation or None
        Pixel orders of the input and of the output; None for natural order.

    Returns
    -------
    Tensor of int32, shape (Ho * Wo, kh * kw)
        Input slot of every tap; -1 where zero padding is read.

    Raises
    ------
    OperatorError
        When an argument is out of range or a permutation has the wrong length.

    Examples
    --------
    >>> gather_index((2, 3), (1, 2), padding=(0, 1)).tolist()
    [[-1, 0], [0, 1], [1, 2], [2, -1], [-1, 3], [3, 4], [4, 5], [5, -1]]
    """
    window = Window.of(
        input_size, kernel_size, stride, padding, dilation, padding_mode=padding_mode, ceil_mode=ceil_mode
    )
    return GatherTable.keyed(window, permutation_in, permutation_out).index


def deformable_offsets(table: GatherTable) -> Tensor:
    """Return the offsets with which a deformable convolution follows a gather table.

    At output slot i = (oy, ox) and tap k the offset is (y, x) of ``table.index[i, k]`` minus the tap's plain place;
    padding is sent to (-1, -1), where bilinear sampling returns exactly 0 (Perez, Lopez, Arguello, ICASSP 2024).

    Parameters
    ----------
    table : GatherTable
        With any stride, padding and dilation.

    Returns
    -------
    Tensor of float32, shape (2 * kh * kw, Ho, Wo)
        In pixels; channel 2k is down, 2k + 1 is right. Float32 is exact for sides up to 2**24 pixels.
    """
    window = table.window
    (Ho, Wo), (kh, kw) = window.output_size, window.kernel_size
    base_y = torch.from_numpy(window.positions(0))[:, None, :, None].expand(Ho, Wo, kh, kw)
    base_x = torch.from_numpy(window.positions(1))[None, :, None, :].expand(Ho, Wo, kh, kw)
    index = table.index.long().reshape(Ho, Wo, kh, kw)
    width = window.input_size[1]
    down = torch.where(index < 0, -1, index // width) - base_y
    right = torch.where(index < 0, -1, index % width) - base_x
    return torch.stack([down, right], dim=-1).reshape(Ho, Wo, 2 * kh * kw).permute(2, 0, 1).float().contiguous()

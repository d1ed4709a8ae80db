"""Nearest, bilinear and bicubic resizing of shuffled maps, as weighted gathers.

Every one of PyTorch's resizes is linear and works axis by axis, so two small matrices, one an axis, say all of it:
they are read off the library on unit vectors, and sizes, scale factors and ``align_corners`` mean what they mean there.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from operators.errors import OperatorError
from operators.geometry import IntOrPair, pair
from operators.modules import KeyedModule
from operators.resample import weighted_rows
from operators.rows import check_slot, from_rows, gather_rows, to_rows
from operators.tables import PixelOrder, compose, slot_table, source_table

Scale = float | tuple[float, float]
MODES = ("nearest", "nearest-exact", "bilinear", "bicubic", "area")


@lru_cache(maxsize=128)
def _axis(
    length: int, outputs: int | None, scale: float | None, mode: str, align_corners: bool | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return pixels (outputs, taps) and weights of a resize along one axis; short rows end in pixel 0, weight 0."""
    unit = torch.eye(length, dtype=torch.float64).reshape(length, 1, length, 1)
    matrix = F.interpolate(
        unit,
        size=None if outputs is None else (outputs, 1),
        scale_factor=None if scale is None else (scale, 1.0),
        mode=mode,
        align_corners=align_corners,
    )[:, 0, :, 0].T.numpy()
    taps = max(1, int((matrix != 0).sum(axis=1).max()))
    # Stable: the taps of a row stay in the order of their pixels.
    places = np.argsort(matrix == 0, axis=1, kind="stable")[:, :taps]
    weights = np.take_along_axis(matrix, places, axis=1)
    return np.where(weights == 0, 0, places), weights


@dataclass(frozen=True, eq=False, repr=False)
class Resize:
    """A resize of maps of one size, in natural order; holds no secret.

    Attributes
    ----------
    input_size, output_size : (int, int)
        Height and width, in pixels.
    natural : Tensor of int32, shape (M, K)
        Natural input position of every tap of every output.
    weights : Tensor of float64, shape (M, K)
        Of every tap; rows sum to 1.
    """

    input_size: tuple[int, int]
    output_size: tuple[int, int]
    natural: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls,
        input_size: IntOrPair,
        size: IntOrPair | None = None,
        scale_factor: Scale | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> Self:
        """Return the resize that ``torch.nn.functional.interpolate`` means by these arguments.

        Raises
        ------
        OperatorError
            When an argument is out of range, or neither or both of ``size`` and ``scale_factor`` are given.
        """
        H, W = pair(input_size, "input_size", 1)
        if mode not in MODES:
            raise OperatorError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
        if align_corners is not None and mode not in ("bilinear", "bicubic"):
            raise OperatorError(f"align_corners means nothing to mode {mode!r}; leave it out")
        if (size is None) == (scale_factor is None):
            raise OperatorError("a resize needs either size or scale_factor")
        target: tuple[int | None, int | None] = (None, None) if size is None else pair(size, "size", 1)
        scales: tuple[float | None, float | None] = (None, None)
        if scale_factor is not None:
            both = scale_factor if isinstance(scale_factor, tuple | list) else (scale_factor, scale_factor)
            if len(both) != 2 or any(int(s * length) < 1 for s, length in zip(both, (H, W), strict=True)):
                raise OperatorError(f"scale_factor {scale_factor!r} leaves nothing of a map of {(H, W)}")
            scales = (float(both[0]), float(both[1]))
            if recompute_scale_factor:
                target, scales = (int(H * scales[0]), int(W * scales[1])), (None, None)
        y, down = _axis(H, target[0], scales[0], mode, align_corners)
        x, right = _axis(W, target[1], scales[1], mode, align_corners)
        natural = (y[:, None, :, None] * W + x[None, :, None, :]).reshape(len(y) * len(x), -1)
        weights = (down[:, None, :, None] * right[None, :, None, :]).reshape(natural.shape)
        return cls((H, W), (len(y), len(x)), torch.from_numpy(natural.astype(np.int32)), torch.from_numpy(weights))

    @cached_property
    def copies(self) -> bool:
        """Whether every output is one input, unweighted, as in nearest-neighbour resizing."""
        return self.weights.shape[1] == 1 and bool((self.weights == 1).all())

    def apply(self, frames: Tensor, index: Tensor, source: Tensor | None) -> Tensor:
        """Return frames read through ``index``, (M, K) or (B, M, K); ``source`` (M,) is the output's order."""
        rows = to_rows(frames)
        if self.copies:
            return from_rows(gather_rows(rows, index.squeeze(-1)), self.output_size)
        weights = self.weights.to(rows)
        ordered = weights if source is None else weights.index_select(0, source)
        return from_rows(weighted_rows(rows, index, ordered), self.output_size)


def keyed_interpolate(
    input: Tensor,
    size: IntOrPair | None = None,
    scale_factor: Scale | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    *,
    permutation_in: PixelOrder | None = None,
    permutation_out: PixelOrder | None = None,
    slot: Tensor | None = None,
) -> Tensor:
    """Resize shuffled maps as ``torch.nn.functional.interpolate`` resizes natural ones, without antialiasing.

    Every output is the weighted sum of its taps in a fixed order, whatever the key: the result on a shuffled map is bit
    for bit the shuffled result on the natural one.

    Parameters
    ----------
    input : Tensor of floating point, shape (B, C, H, W)
        In the order of ``permutation_in``.
    size, scale_factor, mode, align_corners, recompute_scale_factor
        As ``interpolate`` takes them; mode "nearest", "nearest-exact", "bilinear", "bicubic" or "area".
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.
    slot : Tensor of integers, shape (N,) or (B, N), optional
        Slot table of the input's order for this call, or one for each map; replaces ``permutation_in``.

    Returns
    -------
    Tensor, shape (B, C, Ho, Wo)

    Raises
    ------
    OperatorError
        When shapes, permutations or options do not fit together.

    Examples
    --------
    >>> x = torch.tensor([[[[4.0, 0.0]]]])  # 0 4, shuffled
    >>> keyed_interpolate(x, (1, 3), mode="bilinear", align_corners=True, slot=torch.tensor([1, 0])).tolist()
    [[[[0.0, 2.0, 4.0]]]]
    """
    if input.ndim != 4:
        raise OperatorError(f"frames must have the shape (B, C, H, W); got {tuple(input.shape)}")
    H, W = input.shape[2:]
    resize = Resize.of((H, W), size, scale_factor, mode, align_corners, recompute_scale_factor)
    layer = KeyedInterpolate(resize, permutation_in, permutation_out).to(input.device)
    resized: Tensor = layer(input, None if slot is None else check_slot(slot, input))
    return resized


class KeyedInterpolate(KeyedModule):
    """A fixed resize between two pixel orders; see :func:`keyed_interpolate`.

    Parameters
    ----------
    resize : Resize or nn.Upsample
        An ``nn.Upsample`` needs ``input_size``.
    permutation_in, permutation_out : permutation, optional
        Pixel orders of input and output; None for natural order.

    Raises
    ------
    OperatorError
        When a permutation has the wrong length.
    """

    source: Tensor | None
    places: Tensor
    index: Tensor

    def __init__(
        self, resize: Resize, permutation_in: PixelOrder | None = None, permutation_out: PixelOrder | None = None
    ) -> None:
        super().__init__(resize.input_size, resize.output_size)
        (H, W), (Ho, Wo) = self.input_size, self.output_size
        self.resize = resize
        self.register_table("source", source_table(permutation_out, Ho * Wo))
        self.register_table("places", resize.natural if self.source is None else resize.natural[self.source])
        self.register_table("index", compose(slot_table(permutation_in, H * W), self.places))

    @classmethod
    def of_upsample(
        cls,
        plain: nn.Upsample,
        input_size: IntOrPair,
        permutation_in: PixelOrder | None = None,
        permutation_out: PixelOrder | None = None,
    ) -> Self:
        """Return the keyed twin of an ``nn.Upsample`` for maps of one size."""
        resize = Resize.of(
            input_size,
            plain.size,  # type: ignore[arg-type]  # PyTorch types it as any number of sizes; two are checked
            plain.scale_factor,  # type: ignore[arg-type]  # likewise
            plain.mode,
            plain.align_corners,
            plain.recompute_scale_factor,
        )
        return cls(resize, permutation_in, permutation_out)

    def forward(self, x: Tensor, slot: Tensor | None = None) -> Tensor:
        """Resize maps (B, C, H, W); ``slot``, (N,) or (B, N), replaces the input's order for this call."""
        own = self.accept(x, slot)
        return self.resize.apply(x, self.index if own is None else compose(own, self.places), self.source)

r"""Frames under schemes that are affine value by value: the map folds into the first convolution.

A protected value is :math:`y = a\,x + s` at the place where its scheme put it. A convolution of the plain frame is then

.. math:: W * x = W * (y / a) - W * (s / a)

(docs: theory): taps find their values where they are and are multiplied by 1 / a, which is a sign for negatives and 1
for added matrices, and the second term is a bias map that depends on key and weights alone. Padding counts as black in
both terms, as it does in the plain layer. No frame without its shift is ever stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from networks.errors import ConversionError
from networks.masked import MaskReading, frames_of
from operators.protected_convolution import ProtectedConv2d
from scrambler import FrameError, Key, Protected, Scheme, SchemeError, WrongKeyError, nonces_for
from scrambler import scheme as named_scheme
from scrambler.nonce import NONCE_BYTES
from scrambler.schemes import AffineMap, AffineScheme, ChaCha20Values, ShuffleMask

CODES: dict[torch.dtype, np.dtype[Any]] = {torch.uint8: np.dtype(np.uint8), torch.uint16: np.dtype(np.uint16)}
# Taps of more frames are made in turns: fresh blocks of over 64 MB cost page faults.
_TAPS_AT_ONCE = 1 << 23


def affine_conv2d(
    values: Tensor,
    index: Tensor,
    factor: Tensor,
    addend: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    groups: int = 1,
) -> Tensor:
    r"""Convolve frames whose plain values are :math:`x = factor \cdot y + addend`.

    Everything is computed in float64, so that large shifts cancel, and the result gets the weights' type: whole numbers
    are exact below 2**53.

    Parameters
    ----------
    values : Tensor, shape (B, V)
        The protected values y of each frame.
    index : Tensor of int64, shape (P, C, M, K)
        Where the value of every tap is; P is B, or 1 for all frames. Taps in the padding may point anywhere.
    factor, addend : Tensors of float64, shape (P, C, M, K)
        0 in the padding.
    weight : Tensor, shape (D, C / groups, kh, kw) with kh * kw = K
    bias : Tensor, shape (D,), optional
    groups : int
        As for ``nn.Conv2d``.

    Returns
    -------
    Tensor, shape (B, D, M, 1)

    Examples
    --------
    One value, 10, as its negative in 8 bits, times two.

    >>> one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    >>> affine_conv2d(torch.tensor([[245]]), 0 * one.long(), -one, 255 * one, 2 * one).item()
    20.0
    """
    (B, _), (P, C, M, K) = values.shape, index.shape
    kernel = weight.double().reshape(weight.shape[0], -1, 1, K)
    lifted = F.conv2d(addend, kernel, None if bias is None else bias.double(), groups=groups)
    parts = []
    at_once = max(1, _TAPS_AT_ONCE // (C * M * K))
    for first in range(0, max(B, 1), at_once):
        some = slice(first, first + at_once)
        own = slice(None) if P == 1 else some
        some_values = values[some].double()
        flat = index[own].reshape(-1, C * M * K).expand(len(some_values), -1)
        taps = some_values.gather(1, flat).reshape(-1, C, M, K) * factor[own]
        parts.append((F.conv2d(taps, kernel, groups=groups) + lifted[own]).to(weight.dtype))
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class AffineConv2d(ProtectedConv2d):
    """``nn.Conv2d`` on frames under an affine scheme, with the plain layer's own parameters."""

    def forward(self, x: Tensor, slot: Tensor, maps: Tensor) -> Tensor:
        """Convolve frames (B, C, H', W') whose plain values are where `slot`, (P, C, N), and what `maps` say.

        `maps` is float64, (P, 2, C, N): the factor and the addend of :func:`affine_conv2d`, with 1.0 for white.
        """
        factor, addend = maps.unbind(1)
        if self.before is not None:
            black, white = (
                self.before(factor.new_full((1, factor.shape[1], 1, 1), level)).squeeze(-1) for level in (0.0, 1.0)
            )
            factor, addend = factor * (white - black), addend * (white - black) + black
        # One more pixel, black: what padding reads.
        index, factor, addend = (F.pad(part, (0, 1))[..., self.places.long()] for part in (slot, factor, addend))
        values = x.permute(0, 2, 3, 1).flatten(1)
        out = affine_conv2d(values, index, factor, addend, self.weight, self.bias, self.groups)
        return out.reshape(*out.shape[:2], *self.output_size)


class AffineReading:
    """How a network reads frames of an affine scheme; it holds no key.

    Parameters
    ----------
    scheme : AffineScheme
    size : (int, int)
        Height and width of the plain frames.
    codes : dtype
        Type of the plain frames, for values that do not tell.
    """

    layer = AffineConv2d

    def __init__(self, scheme: Scheme, size: tuple[int, int], codes: np.dtype[Any]) -> None:
        self._scheme: Any = replace(scheme, key=None)  # type: ignore[type-var]  # every scheme is a dataclass
        self.size = size
        self.codes = codes

    def check(self, key: Key, channels: int) -> None:
        """Check that the scheme is affine with its parameters.

        Raises
        ------
        ConversionError
            If it is not.
        """
        card = self._scheme.card
        try:
            if not isinstance(self._scheme, AffineScheme):
                raise SchemeError(f"scheme {card.name!r} is not affine value by value.")
            # The wider type, which any number of bits fits.
            self._map(key, channels, bytes(NONCE_BYTES), np.dtype(np.uint16))
        except SchemeError as error:
            raise ConversionError(
                f"a converted network can't read frames under scheme {card.name!r} ({card.network}): {error}"
            ) from error

    def accept(self, protected: Protected, key_id: str) -> Tensor:
        """Return protected images as frames (B, C, H', W').

        Raises
        ------
        FrameError, WrongKeyError
            If they are not of this scheme, key and type of codes.
        """
        frames = frames_of(protected, self._scheme.card.name, key_id)
        if frames.dtype not in CODES and protected.dtype not in (None, self.codes):
            raise FrameError(
                f"these images were {protected.dtype}, and this network was converted for {self.codes}: "
                f"convert it with codes={str(protected.dtype)!r}."
            )
        return frames

    def _map(self, key: Key, channels: int, nonce: bytes | None, dtype: np.dtype[Any]) -> AffineMap:
        made: AffineMap = replace(self._scheme, key=key).affine_map((*self.size, channels), nonce, dtype)
        return made

    def tables(
        self, key: Key, frames: Tensor, nonce: bytes | Sequence[bytes] | None, admit: Callable[[Sequence[bytes]], None]
    ) -> tuple[Tensor, Tensor]:
        """Return where the plain values of frames (B, C, H', W') are, (P, C, N), and :class:`AffineConv2d`'s maps.

        Raises
        ------
        ShuffleCamError
            If the frames' size or type do not fit the scheme, or nonces are missing or too few.
        """
        dtype: np.dtype[Any] = CODES.get(frames.dtype, self.codes)
        each: Sequence[bytes | None] = [None]
        if nonce is not None:
            nonces = nonces_for(nonce, len(frames))
            admit(nonces)
            each = [nonce] if isinstance(nonce, bytes) else nonces
        made = [self._map(key, frames.shape[1], one, dtype) for one in each]
        if any(tuple(frames.shape[2:]) != one.shape[:2] for one in made):
            height, width = made[0].shape[:2]
            raise FrameError(
                f"frames under {self._scheme.card.name!r} must have the shape (B, C, {height}, {width}) for this "
                f"network, got {tuple(frames.shape)}."
            )
        parts = [one.inverse(self.size) for one in made]
        blank = np.empty((0, frames.shape[1], self.size[0] * self.size[1]))
        slot, factor, addend = (
            torch.from_numpy(np.stack(part) if part else blank) for part in (zip(*parts, strict=True) or ((), (), ()))
        )
        white = torch.tensor([one.white for one in made], dtype=torch.float64)[:, None, None, None]
        maps = torch.stack([factor, addend], dim=1) / white
        return slot.long().to(frames.device), maps.to(frames.device)


def reading_of(
    scheme: Scheme | str, key: Key, size: tuple[int, int], channels: int, codes: str
) -> AffineReading | MaskReading:
    """Return how a network reads frames of a scheme.

    Raises
    ------
    ConversionError, WrongKeyError
        If it cannot, or the scheme has another key.
    """
    if codes not in ("uint8", "uint16"):
        raise ConversionError(f"codes must be uint8 or uint16, got {codes!r}")
    if isinstance(scheme, str):
        scheme = named_scheme(scheme, key=key)
    if not is_dataclass(scheme) or not hasattr(scheme, "card"):
        raise ConversionError(f"scheme must be a scheme, such as scrambler.scheme('mat'), got {type(scheme).__name__}")
    own = getattr(scheme, "key", None)
    if own is not None and own != key:
        raise WrongKeyError(
            f"this scheme has key {getattr(own, 'id', own)}, and the network is converted with {key.id}: give both the "
            "same."
        )
    if isinstance(scheme, (ShuffleMask, ChaCha20Values)):
        return MaskReading(scheme, size)
    reading = AffineReading(scheme, size, np.dtype(codes))
    reading.check(key, channels)
    return reading

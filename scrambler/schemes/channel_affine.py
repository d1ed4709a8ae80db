"""`ChannelAffine`: a gain and an offset for each channel, alone or after a scheme; what amplifiers and ISPs do.

It protects nothing, so it is no entry of the list; it is here because networks read frames through it, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, SchemeError
from scrambler.key import Key
from scrambler.schemes.affine_map import AffineMap, AffineScheme
from scrambler.schemes.base import Card, Protected, Scheme, check_plain_shape, check_protected, is_channels, read_codes
from scrambler.schemes.registry import scheme

_NAME = "channel-affine"


@dataclass(frozen=True, kw_only=True)
class ChannelAffine:
    r"""Multiply and lift every channel: :math:`y_c = gain_c\, x_c + offset_c`, in codes.

    Parameters
    ----------
    key : Key, optional
        That of `first`; nothing else needs one.
    gain, offset : tuple of float
        One number for each channel, or one for all; gains are not zero. The negative of 8-bit images, by default.
    first : str or None
        Name of a scheme, with its default parameters, whose values are multiplied: "pixel-shuffle" gives what a
        shuffling camera delivers after its gains.

    Raises
    ------
    SchemeError
        If a number is not finite, a gain is zero, or `first` is not affine value by value.

    Examples
    --------
    >>> image = np.array([[[10, 20, 30]]], np.uint8)
    >>> gains = ChannelAffine(gain=(2, 1, -1), offset=(0, 5, 255))
    >>> np.asarray(gains.protect(image)).ravel().tolist(), gains.reveal(gains.protect(image)).ravel().tolist()
    ([20.0, 25.0, 225.0], [10, 20, 30])
    """

    key: Key | None = None
    gain: tuple[float, ...] = (-1.0,)
    offset: tuple[float, ...] = (255.0,)
    first: str | None = None

    card: ClassVar[Card] = Card(
        name=_NAME,
        paper="none: what gains, black levels and normalisation do",
        summary="every channel is multiplied by a number and another is added",
        parameters={
            "gain": "(-1,): factor of each channel, or one for all",
            "offset": "(255,): what is added to each channel, in codes",
            "first": "None: name of a scheme whose values are multiplied",
        },
        key_bits="none",
        effective_key_bits="none, or that of the scheme that came first",
        invertible=True,
        keyed=False,
        nonce="that of the scheme that came first",
        strength="broken",
        accuracy="that of the plain network",
        attacks="the picture shows as it is, in other colours: correlation with the plain one 1.0 in every channel",
        network="exact conversion: factors and a bias map in the first layer",
    )

    def __post_init__(self) -> None:
        for name, numbers in (("gain", self.gain), ("offset", self.offset)):
            if not (isinstance(numbers, Sequence) and numbers and np.isfinite(np.array(numbers, np.float64)).all()):
                raise SchemeError(f"{name} must be a tuple of finite numbers, one for each channel, got {numbers!r}.")
        if 0 in self.gain:
            raise SchemeError(f"gain must not be zero, or the channel is lost, got {self.gain!r}.")
        if self.first is not None and not isinstance(scheme(self.first), AffineScheme):
            raise SchemeError(f"first must be a scheme that is affine value by value, got {self.first!r}.")

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the images with gains and offsets, float64; inverse of :meth:`reveal`.

        Parameters
        ----------
        images : array-like of uint8 or uint16
            One image (H, W) or (H, W, C), or a batch (B, H, W) or (B, H, W, C).
        nonce : bytes or sequence of bytes, optional
            For the scheme that comes first.
        """
        batch, _ = read_codes(images)
        one = None if self.first is None else self._first().protect(images, nonce)
        values = np.asarray(images) if one is None else one.values
        gain, offset = self._of_channels(batch.shape[3])
        lifted = (values.reshape(-1, batch.shape[3]) * gain + offset).reshape(values.shape)
        made = Protected(lifted, (), np.shape(images), _NAME, dtype=batch.dtype)
        return made if one is None else replace(made, nonces=one.nonces, key_id=one.key_id)

    def reveal(
        self, protected: Any, nonce: bytes | Sequence[bytes] | None = None, shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """Return the plain images, rounded to codes; inverse of :meth:`protect`.

        Bare values give uint8 images.

        Raises
        ------
        FrameError
            If the values are no images under these numbers.
        """
        check_protected(protected, _NAME, protected.key_id if isinstance(protected, Protected) else None)
        values, dtype = np.asarray(protected), np.dtype(np.uint8)
        if isinstance(protected, Protected):
            nonce = protected.nonces if nonce is None else nonce
            shape = protected.shape if shape is None else shape
            dtype = protected.dtype or dtype
        channels = values.shape[-1] if values.ndim > 2 and is_channels(values.shape[-1]) else 1
        gain, offset = self._of_channels(channels)
        plain = np.rint((values.reshape(-1, channels) - offset) / gain).reshape(values.shape)
        top = np.iinfo(dtype).max
        if plain.size and not (plain.min() >= 0 and plain.max() <= top):
            raise FrameError(f"the values are no {dtype} images under this gain and this offset: give the right ones.")
        codes: NDArray[Any] = plain.astype(dtype)
        if self.first is None:
            check_plain_shape(codes, shape)
            return codes
        return self._first().reveal(codes, nonce=nonce or None, shape=shape)

    def affine_map(self, shape: tuple[int, int, int], nonce: bytes | None = None, dtype: Any = np.uint8) -> AffineMap:
        """Return both as one map of a frame (H, W, C), for networks to fold into their first layer."""
        gain, offset = (np.tile(part, shape[0] * shape[1]) for part in self._of_channels(shape[2]))
        if self.first is None:
            return AffineMap(shape=shape, source=None, slope=gain, shift=offset, white=float(np.iinfo(dtype).max))
        inner = self._first()
        assert isinstance(inner, AffineScheme)
        one = inner.affine_map(shape, nonce, dtype)
        gain, offset = (np.resize(part, int(np.prod(one.shape))) for part in (gain, offset))
        return replace(one, slope=gain * one.slope, shift=gain * one.shift + offset)

    def _first(self) -> Scheme:
        assert self.first is not None
        return scheme(self.first, key=self.key)

    def _of_channels(self, channels: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return gain and offset of each channel."""
        for name, numbers in (("gain", self.gain), ("offset", self.offset)):
            if len(numbers) not in (1, channels):
                raise SchemeError(f"{name} holds {len(numbers)} numbers for {channels} channels: give one for each.")
        gain, offset = (np.broadcast_to(np.array(part, np.float64), channels) for part in (self.gain, self.offset))
        return gain, offset

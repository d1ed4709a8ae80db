"""What all schemes share: the card, the protected images, the interface, and the reading of images and batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, NonceError, WrongKeyError

_CHANNELS = (1, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What there is to know about a scheme before using it; needs no key.

    Attributes
    ----------
    name : str
        As given to :func:`scrambler.scheme`.
    paper : str
        Where it was published.
    summary : str
        What it does to an image.
    parameters : mapping of str to str
        Each parameter with its default and its meaning.
    key_bits : str
        Number of keys as log2, as published; N is the number of pixels.
    effective_key_bits : str
        What an attacker really has to search.
    invertible : bool
        Whether ``reveal`` exists.
    keyed : bool
        Whether it needs a key.
    nonce : str
        "per image", or "one for a data set" where the paper has it so.
    strength : str
        "shuffle", "shuffle+mask", "sealed", "weak" or "broken", as docs/security.md explains.
    accuracy : str
        As published.
    attacks : str
        Known attacks, with figures.
    network : str
        How networks use it: exact conversion, adaptation network or retraining.
    """

    name: str
    paper: str
    summary: str
    parameters: Mapping[str, str]
    key_bits: str
    effective_key_bits: str
    invertible: bool
    keyed: bool
    nonce: str
    strength: str
    accuracy: str
    attacks: str
    network: str


@dataclass(frozen=True, eq=False)
class Protected:
    """Protected images: an array-like that carries what ``reveal`` needs besides the key; all of it is public.

    Attributes
    ----------
    values : array
        What may be shown, stored or sent; ``np.asarray(protected)`` is the same.
    nonces : tuple of bytes
        One for each image; empty for schemes without.
    shape : tuple of int
        Shape of the plain images.
    scheme : str
        Name of the scheme.
    key_id : str or None
        Public id of the key.
    dtype : numpy dtype or None
        Type of the plain images, where it may differ from that of the values.
    """

    values: NDArray[Any]
    nonces: tuple[bytes, ...]
    shape: tuple[int, ...]
    scheme: str
    key_id: str | None = None
    dtype: np.dtype[Any] | None = None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return (
            f"Protected(scheme={self.scheme!r}, shape={self.shape}, dtype={self.values.dtype}, key_id={self.key_id!r})"
        )


class Scheme(Protocol):
    """The interface of every scheme."""

    @property
    def card(self) -> Card:
        """What there is to know about the scheme."""
        ...

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the protected images; inverse of :meth:`reveal`."""
        ...

    def reveal(
        self, protected: Any, nonce: bytes | Sequence[bytes] | None = None, shape: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        """Return the plain images; inverse of :meth:`protect`, where the card says that it exists."""
        ...


def is_channels(places: int) -> bool:
    """Tell whether a last axis of this length holds the channels of a colour image."""
    return places in _CHANNELS


def read_batch(images: Any) -> tuple[NDArray[Any], bool]:
    """Return images as a batch, shape (B, H, W) or (B, H, W, C), and whether a single image was given.

    Parameters
    ----------
    images : array-like of integers or finite floats
        (H, W) or (H, W, C) is one image, (B, H, W) or (B, H, W, C) a batch, with C = 1, 3 or 4. Three axes are one
        colour image when the last one has 1, 3 or 4 places, and a batch of grey images or mosaics otherwise.

    Raises
    ------
    FrameError
        If the axes, the type or the values do not fit.
    """
    batch = np.asarray(images)
    if batch.dtype.kind not in "uif":
        raise FrameError(f"images must hold integers or real numbers, got dtype {batch.dtype}.")
    if batch.dtype.kind == "f" and not np.isfinite(batch).all():
        raise FrameError("images holds NaN or infinite values: replace them first.")
    if batch.ndim not in (2, 3, 4) or (batch.ndim == 4 and batch.shape[3] not in _CHANNELS):
        raise FrameError(
            "images must have the shape (H, W), (H, W, C), (B, H, W) or (B, H, W, C) with 1, 3 or 4 channels, "
            f"got {batch.shape}."
        )
    single = batch.ndim == 2 or (batch.ndim == 3 and is_channels(batch.shape[2]))
    return (batch[None] if single else batch), single


def read_codes(images: Any) -> tuple[NDArray[Any], bool]:
    """Return images of integer codes as a batch of shape (B, H, W, C), and whether a single image was given.

    Parameters
    ----------
    images : array-like of uint8 or uint16
        As for :func:`read_batch`; grey images and mosaics get one channel.

    Raises
    ------
    FrameError
        If the axes or the type do not fit.
    """
    batch, single = read_batch(images)
    if batch.dtype not in (np.uint8, np.uint16):
        raise FrameError(f"images must be uint8 or uint16 for this scheme, got {batch.dtype}: convert them first.")
    return (batch if batch.ndim == 4 else batch[..., None]), single


def check_protected(protected: Any, scheme_name: str, key_id: str | None) -> None:
    """Check that `protected`, where it says so, was made by this scheme and this key.

    Raises
    ------
    FrameError, WrongKeyError
        If it was not.
    """
    if not isinstance(protected, Protected):
        return
    if protected.scheme != scheme_name:
        raise FrameError(f"these images were protected by {protected.scheme!r}, not {scheme_name!r}: use that scheme.")
    if protected.key_id != key_id:
        raise WrongKeyError(
            f"these images were protected with key {protected.key_id}, and the key given is {key_id}: load that one."
        )


def check_plain_shape(protected: Any, shape: tuple[int, ...] | None) -> None:
    """Check the plain shape of a scheme that keeps it.

    Raises
    ------
    FrameError
        If it differs from the values' shape.
    """
    if shape is not None and tuple(shape) != np.shape(protected):
        raise FrameError(f"shape {tuple(shape)} differs from that of the protected images, {np.shape(protected)}.")


def given_nonces(protected: Any) -> tuple[bytes, ...]:
    """Return the nonces that protected images carry.

    Raises
    ------
    NonceError
        If they carry none.
    """
    if isinstance(protected, Protected):
        return protected.nonces
    raise NonceError("revealing bare values needs nonce=, the nonces of the protected images.")

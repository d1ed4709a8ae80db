"""The frame of the keyless schemes that add noise: batches, types and the account of releases."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import NonceError, SchemeError
from scrambler.schemes.base import Card, Protected, read_codes
from scrambler.schemes.noise import Guarantee, PrivacyLedger, noise_generator
from scrambler.schemes.parameters import check_positive

NOISE_PARAMETERS = {
    "rng": "None: seed or numpy Generator of the noise; a seed is for tests and studies only",
    "budget": "None: refuse releases of one image beyond this total epsilon",
}


@dataclass(frozen=True, kw_only=True)
class NoisyScheme(ABC):
    """What the keyless schemes have in common: a release is one call of `protect` for one image, and is accounted.

    Parameters
    ----------
    key : None
        These schemes have no key; given only because every scheme takes one.
    rng : int, numpy Generator, or None
        Seed or generator of the noise; None seeds from the operating system.
    budget : float, optional
        Most that the releases of one image may add up to in epsilon.

    Attributes
    ----------
    ledger : PrivacyLedger
        What was spent so far by this object.
    """

    key: object = None
    rng: int | np.random.Generator | None = None
    budget: float | None = None
    ledger: PrivacyLedger = field(init=False, repr=False)
    _generator: np.random.Generator = field(init=False, repr=False)

    card: ClassVar[Card]

    def __post_init__(self) -> None:
        if self.budget is not None:
            check_positive("budget", self.budget)
        object.__setattr__(self, "ledger", PrivacyLedger(self.budget))
        object.__setattr__(self, "_generator", noise_generator(self.rng))

    @abstractmethod
    def guarantee(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> Guarantee:
        """Return what one release of an image of this shape, (H, W) or (H, W, C), is worth."""

    @abstractmethod
    def _release(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return what is released of images (B, H, W, C)."""

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the images with noise; every call is one more release of each image, and is written down.

        Parameters
        ----------
        images : array-like of uint8 or uint16
            One image (H, W) or (H, W, C), or a batch (B, H, W) or (B, H, W, C).
        nonce : None
            There is none.

        Raises
        ------
        FrameError, NonceError, SchemeError
            If the images do not fit, a nonce is given, or the budget is spent.
        """
        if nonce is not None and len(nonce):
            raise NonceError(f"scheme {self.card.name!r} takes no nonce: leave nonce out.")
        batch, single = read_codes(images)
        self.ledger.spend(batch, self.guarantee(batch.shape[1:], batch.dtype).epsilon)
        values = self._release(batch)
        if values.ndim == 4 and np.ndim(images) == 3 - single:
            values = values[..., 0]
        return Protected(
            values=values[0] if single else values,
            nonces=(),
            shape=np.shape(images),
            scheme=self.card.name,
            dtype=batch.dtype,
        )

    def reveal(
        self, protected: Any, nonce: bytes | Sequence[bytes] | None = None, shape: tuple[int, ...] | None = None
    ) -> NoReturn:
        """Refuse: what was averaged, cut and covered with noise cannot be undone.

        Raises
        ------
        SchemeError
            Always.
        """
        raise SchemeError(f"scheme {self.card.name!r} cannot be undone: nobody holds a key to it.")


def to_codes(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values clipped and rounded to codes; both come after the noise, so they cost no privacy."""
    info = np.iinfo(dtype)
    codes: NDArray[Any] = np.rint(np.clip(values, info.min, info.max)).astype(dtype)
    return codes

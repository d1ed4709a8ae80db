"""Noise for keyless schemes, and what differential privacy it buys, said honestly."""

from dataclasses import dataclass, field
from hashlib import blake2b
from os import urandom
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import SchemeError


def noise_generator(rng: object) -> np.random.Generator:
    """Return the generator to draw noise from.

    Parameters
    ----------
    rng : int, numpy Generator, or None
        A seed repeats the noise, for tests and studies only: whoever knows it takes the noise off. None seeds a new
        generator from the operating system.

    Raises
    ------
    SchemeError
        If it is something else.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or (isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0):
        return np.random.default_rng(rng)
    raise SchemeError(f"rng must be a whole number from zero on, a numpy Generator or None, got {rng!r}.")


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What one release of one image is worth in differential privacy; ``str`` says it in a paragraph.

    Attributes
    ----------
    epsilon : float
        Total privacy loss of one release, over everything that is released.
    neighbourhood : str
        Which images are hard to tell apart.
    sensitivity : float
        How far neighbours can lie apart before noise, in the norm of the mechanism.
    norm : str
        That norm, and of what.
    scale : float
        Scale of the noise; the largest one where cells differ.
    not_covered : str
        What the guarantee says nothing about.
    """

    epsilon: float
    neighbourhood: str
    sensitivity: float
    norm: str
    scale: float
    not_covered: str

    def __str__(self) -> str:
        return (
            f"{self.epsilon:g}-differential privacy for one release of one image. Neighbours: {self.neighbourhood}. "
            f"Sensitivity {self.sensitivity:g} ({self.norm}), noise scale {self.scale:g}. "
            f"Not covered: {self.not_covered}."
        )


@dataclass(eq=False)
class PrivacyLedger:
    """Adds up the privacy losses of repeated releases (sequential composition: Dwork, Roth, 2014, theorem 3.16).

    Images are remembered as digests under a random salt that never leaves the process.

    Parameters
    ----------
    budget : float or None
        Most that the releases of one image may add up to.

    Attributes
    ----------
    total : float
        Loss if all images released so far show the same subject, as frames of a video do.

    Examples
    --------
    >>> ledger, image = PrivacyLedger(budget=1.0), np.zeros((2, 2), np.uint8)
    >>> ledger.spend([image], 0.5); ledger.spend([image, image + 1], 0.5); ledger.spent_on(image), ledger.total
    (1.0, 1.5)
    """

    budget: float | None = None
    total: float = 0.0
    _salt: bytes = field(default_factory=lambda: urandom(16), repr=False)
    _spent: dict[bytes, float] = field(default_factory=dict, repr=False)

    def _name(self, image: NDArray[Any]) -> bytes:
        shape = image.shape[:2] if image.shape[2:] == (1,) else image.shape
        content = f"{image.dtype.str}{shape}".encode() + np.ascontiguousarray(image).tobytes()
        return blake2b(content, key=self._salt, digest_size=16).digest()

    def spent_on(self, image: NDArray[Any]) -> float:
        """Return what the releases of exactly this image add up to."""
        return self._spent.get(self._name(image), 0.0)

    @property
    def most_on_one_image(self) -> float:
        """What the releases of the most often released image add up to."""
        return max(self._spent.values(), default=0.0)

    def spend(self, images: Any, epsilon: float) -> None:
        """Write down one more release of each image.

        Raises
        ------
        SchemeError
            If that would go beyond the budget; then none is written down.
        """
        spent: dict[bytes, float] = {}
        for image in images:
            name = self._name(image)
            spent[name] = spent.get(name, self._spent.get(name, 0.0)) + epsilon
        most = max(spent.values(), default=0.0)
        if self.budget is not None and most > self.budget * (1 + 1e-12):
            raise SchemeError(
                f"this release would bring the privacy loss on one image to epsilon {most:g}, and budget is "
                f"{self.budget:g}: release it no more, or raise the budget knowingly."
            )
        self._spent.update(spent)
        self.total += epsilon * len(images)

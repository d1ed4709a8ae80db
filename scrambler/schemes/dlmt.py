"""DLMT's five matrix transforms: `mat`, `mmt`, `rise-mmt`, `mat-mmt` and `mmt-mat`.

One secret matrix R of whole numbers, as large as the image, is added to it or multiplied with it, value by value; all
images of a data set share it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import SchemeError
from scrambler.schemes.affine import affine, inverse_affine, stretch
from scrambler.schemes.affine_map import AffineMap
from scrambler.schemes.base import Card
from scrambler.schemes.draws import Draws
from scrambler.schemes.family import DATA_SET_PARAMETERS, PerDataSet
from scrambler.schemes.parameters import check_choice, check_whole
from scrambler.schemes.registry import register_scheme


def _lifted(numbers: Any, by: int) -> Any:
    """Add to fresh numbers, uint32, in place where they are an array: sums stay below 2**22."""
    numbers += np.uint32(by)
    return numbers


_PAPER = "Zhao, Chen, Xiang, Li, CSCWD 2023 (DLMT)"
_NETWORK = "exact conversion: the transform folds into the first layer; the paper retrains"


@dataclass(frozen=True, kw_only=True)
class _Dlmt(PerDataSet):
    """What the five have in common; a subclass names its operations and carries their ranges.

    Parameters
    ----------
    normalise : {"none", "global", "per_image"}
        Keep whole numbers; divide by the largest value that the scheme can give (float64, still exact); or stretch
        each image to 0 .. 255, which cannot be undone.
    """

    normalise: str = "none"

    published: ClassVar[Card]
    # Published range of each operation; the order of the two is the scheme.
    operations: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        check_choice("normalise", self.normalise, ("none", "global", "per_image"))
        self._ranges()

    def _ranges(self) -> tuple[int, int, int]:
        """Return the largest addend, the largest factor, and the rise; 0, 1 and 0 where the scheme has none."""
        names = ("max_add", "max_mul", "rise")
        return tuple(  # type: ignore[return-value]  # three names, three numbers
            check_whole(name, getattr(self, name), 1, 10**6) if hasattr(self, name) else neutral
            for name, neutral in zip(names, (0, 1, 0), strict=True)
        )

    @property
    def card(self) -> Card:
        """What there is to know about the scheme with these parameters."""
        return replace(self.published, invertible=self.normalise != "per_image")

    def _matrices(self, shape: tuple[int, ...], draws: Draws) -> tuple[Any, Any, Any]:
        """Return what is added before, multiplied, and added after."""
        size = int(np.prod(shape))
        max_add, max_mul, rise = self._ranges()
        add = _lifted(draws.below("add", max_add, size), 1).reshape(shape) if max_add else np.uint32(0)
        times = _lifted(draws.below("multiply", max_mul, size), 1).reshape(shape) if max_mul > 1 else np.uint32(1)
        none = np.uint32(0)
        return (none, times, add) if self.operations[-1] == "add" else (_lifted(add, rise), times, none)

    def _largest(self, dtype: np.dtype[Any]) -> int:
        max_add, max_mul, rise = self._ranges()
        first, last = (0, max_add) if self.operations[-1] == "add" else (max_add, 0)
        return (int(np.iinfo(dtype).max) + first + rise) * max_mul + last

    def forward(self, images: NDArray[Any], draws: Draws, nonces: Sequence[bytes]) -> NDArray[Any]:
        """Return the transformed images."""
        values = affine(images, *self._matrices(images.shape[1:], draws))
        if self.normalise == "global":
            return values / self._largest(images.dtype)
        return values if self.normalise == "none" else stretch(values)

    def backward(
        self, values: NDArray[Any], draws: Draws, nonces: Sequence[bytes], dtype: np.dtype[Any]
    ) -> NDArray[Any]:
        """Return the images that `forward` got."""
        if self.normalise == "global":
            if dtype not in (np.uint8, np.uint16):
                raise SchemeError("normalise='global' needs the images' type: reveal what protect returned, whole.")
            values = values * self._largest(dtype)
        return inverse_affine(values, *self._matrices(values.shape[1:], draws), dtype)

    def affine_parts(self, shape: tuple[int, int, int], draws: Draws, dtype: np.dtype[Any]) -> AffineMap:
        """Return the factors as slopes, and what is added as shifts."""
        if self.normalise == "per_image":
            raise SchemeError("normalise='per_image' cannot be undone, so no network can fold it: use another.")
        before, times, after = self._matrices(shape, draws)
        add, factor, last = (np.asarray(part, np.float64) for part in (before, times, after))
        slope, shift = (np.broadcast_to(part, shape).reshape(-1) for part in (factor, add * factor + last))
        scale = self._largest(dtype) if self.normalise == "global" else 1
        white = float(np.iinfo(dtype).max)
        return AffineMap(shape=shape, source=None, slope=slope / scale, shift=shift / scale, white=white)


def _parameters(**own: str) -> dict[str, str]:
    normalise = '"none": whole numbers; "global" divides by the largest possible; "per_image" stretches, irreversibly'
    return {**own, "normalise": normalise, **DATA_SET_PARAMETERS}


def _card(name: str, summary: str, parameters: dict[str, str], bits: str, accuracy: str, attacks: str) -> Card:
    return Card(
        name=name,
        paper=_PAPER,
        summary=summary,
        parameters=parameters,
        key_bits=bits,
        effective_key_bits=f"256; no key is needed: {attacks}",
        invertible=True,
        keyed=True,
        nonce="one for a data set, as published",
        strength="broken",
        accuracy=accuracy,
        attacks=attacks,
        network=_NETWORK,
    )


@dataclass(frozen=True, kw_only=True)
class Mat(_Dlmt):
    """Add R: :math:`A' = A + R`, R uniform over 1 .. max_add.

    Examples
    --------
    >>> from scrambler import Key
    >>> images, mat = np.arange(24, dtype=np.uint8).reshape(2, 3, 4), Mat(key=Key.generate())
    >>> bool((mat.reveal(mat.protect(images)) == images).all())
    True
    """

    max_add: int = 256

    operations: ClassVar[tuple[str, ...]] = ("add",)
    published: ClassVar[Card] = _card(
        "mat",
        "a secret matrix of 1 .. max_add is added",
        _parameters(max_add="256: largest number of R; published 256, 512, 1024, 2048, also 5"),
        "N C log2(max_add): 24576 for 32 x 32 RGB",
        "CIFAR-10 91.361 % (plain 95.220), MNIST 99.205 % (99.440), ResNet18; visual privacy 90.256, misuse 20.161",
        "10 / 100 / 1,000 ciphertexts and a public mean image: SSIM 0.86 / 0.97 / 0.996; one known pair: 1.0",
    )


@dataclass(frozen=True, kw_only=True)
class Mmt(_Dlmt):
    """Multiply by R: :math:`A' = A R`, R uniform over 1 .. max_mul; zeros stay zero."""

    max_mul: int = 100

    operations: ClassVar[tuple[str, ...]] = ("multiply",)
    published: ClassVar[Card] = _card(
        "mmt",
        "multiplied by a secret matrix of 1 .. max_mul; zeros stay zero",
        _parameters(max_mul="100: largest number of R; published 10, 100, 1000, 10000"),
        "N C log2(max_mul): 20410 for 32 x 32 RGB",
        "CIFAR-10 91.090 %, MNIST 99.202 %, ResNet18; visual privacy 90.028 (49 on MNIST), misuse 10.232",
        "the greatest common divisor of the ciphertexts is R: SSIM 0.998 from 10, 1.0 from 100; one known pair: 0.94",
    )


@dataclass(frozen=True, kw_only=True)
class RiseMmt(_Dlmt):
    """Lift, then multiply by R: :math:`A' = (A + V) R`, R uniform over 1 .. max_mul."""

    max_mul: int = 1000
    rise: int = 100

    operations: ClassVar[tuple[str, ...]] = ("rise", "multiply")
    published: ClassVar[Card] = _card(
        "rise-mmt",
        "a constant is added, then multiplied by a secret matrix of 1 .. max_mul",
        _parameters(
            max_mul="1000: largest number of R", rise="100: the constant V, public; published 100, 200, 300, 400"
        ),
        "N C log2(max_mul): 30615 for 32 x 32 RGB",
        "CIFAR-10 90.166 %, MNIST 99.018 %, ResNet18; visual privacy 90.000, misuse 10.000",
        "the greatest common divisor of the ciphertexts is R: SSIM 0.996 from 10, 1.0 from 100",
    )


@dataclass(frozen=True, kw_only=True)
class MatMmt(_Dlmt):
    """Add, then multiply: :math:`A' = (A + R_a) R_m`."""

    max_add: int = 256
    max_mul: int = 10

    operations: ClassVar[tuple[str, ...]] = ("add", "multiply")
    published: ClassVar[Card] = _card(
        "mat-mmt",
        "a secret matrix is added, then multiplied by another",
        _parameters(max_add="256: largest addend", max_mul="10: largest factor"),
        "N C (log2(max_add) + log2(max_mul)): 34781 for 32 x 32 RGB",
        "CIFAR-10 89.062 %, MNIST 98.944 %, ResNet18",
        "the greatest common divisor of the ciphertexts' differences is the factor; with a public mean image SSIM "
        "0.86 / 0.97 / 0.996 from 10 / 100 / 1,000",
    )


@dataclass(frozen=True, kw_only=True)
class MmtMat(_Dlmt):
    """Multiply, then add: :math:`A' = A R_m + R_a`."""

    max_mul: int = 10
    max_add: int = 2048

    operations: ClassVar[tuple[str, ...]] = ("multiply", "add")
    published: ClassVar[Card] = _card(
        "mmt-mat",
        "multiplied by a secret matrix, then another is added",
        _parameters(max_mul="10: largest factor", max_add="2048: largest addend"),
        "N C (log2(max_mul) + log2(max_add)): 43997 for 32 x 32 RGB",
        "CIFAR-10 88.933 %, MNIST 98.952 %, ResNet18",
        "the greatest common divisor of the ciphertexts' differences is the factor; with a public mean image SSIM "
        "0.86 / 0.97 / 0.996 from 10 / 100 / 1,000",
    )


for _family in (Mat, Mmt, RiseMmt, MatMmt, MmtMat):
    register_scheme(_family.published.name, _family)

"""`peep`: eigenface coefficients with Laplace noise (privacy using eigenface perturbation)."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from scrambler.errors import FrameError, SchemeError
from scrambler.schemes.base import Card, read_batch
from scrambler.schemes.components import Basis, cosines, eigenfaces
from scrambler.schemes.keyless import NOISE_PARAMETERS, NoisyScheme, to_codes
from scrambler.schemes.noise import Guarantee
from scrambler.schemes.parameters import check_choice, check_positive, check_whole
from scrambler.schemes.registry import register_scheme


@dataclass(frozen=True, kw_only=True)
class Peep(NoisyScheme):
    r"""Publish only eigenface coefficients, with noise: :math:`\tilde z = z_{01} + \mathrm{Lap}(0, b)^k`.

    The coefficients, scaled and cut to 0 .. 1, of two arbitrary faces lie up to k apart in the L1 norm, so k noises of
    scale :math:`b = k/\epsilon` give :math:`\epsilon` in all; the paper's :math:`b = 1/\epsilon` gives it for each
    coefficient and :math:`k \epsilon` in all. Channels are planes of their own, and count as more coefficients.

    Parameters
    ----------
    components : int
        Number k of coefficients of a plane; fewer where the basis has fewer.
    epsilon : float
        As `composition` has it.
    composition : {"vector", "per_index"}
        `epsilon` is for the whole vector, or for each coefficient as in the paper.
    public : array-like, shape (B, H, W) or (B, H, W, C), optional
        Public images of the same size to fit the components to; without them cosines of low frequency are used.
    output : {"image", "indices"}
        Return the picture that the noisy coefficients stand for, as codes; or the coefficients, float64, shape
        (B, k) or (B, C, k).

    Examples
    --------
    >>> Peep(components=10, epsilon=8.0).guarantee((112, 92)).epsilon
    8.0
    >>> Peep(components=10, epsilon=8.0, composition="per_index").guarantee((112, 92)).epsilon
    80.0
    """

    components: int = 64
    epsilon: float = 8.0
    composition: str = "vector"
    public: Any = field(default=None, repr=False, compare=False)
    output: str = "image"

    card: ClassVar[Card] = Card(
        name="peep",
        paper="Chamikara and others, Computers & Security 97, 2020, arXiv 2005.10486 (built from its abstract)",
        summary="eigenface coefficients with Laplace noise, and nothing else, are published",
        parameters={
            "components": "64: number k of coefficients of a plane (not known as published)",
            "epsilon": "8: total privacy loss, or that of each coefficient (not known as published)",
            "composition": '"vector": epsilon in all; "per_index", as in the paper: k epsilon in all',
            "public": "None: public images to fit the components to; without them cosines are used",
            "output": '"image", or "indices": the noisy coefficients themselves',
            **NOISE_PARAMETERS,
        },
        key_bits="none",
        effective_key_bits="none",
        invertible=False,
        keyed=False,
        nonce="none",
        strength="weak",
        accuracy="around 70 to 90 % face recognition under standard privacy settings (abstract)",
        attacks="per index, k coefficients cost k times the stated epsilon; components fitted to private faces leak; "
        "repeated releases average out, and each adds its epsilon",
        network="a recogniser trained on noisy coefficients",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("components", self.components, 1, 65536)
        check_positive("epsilon", self.epsilon)
        check_choice("composition", self.composition, ("vector", "per_index"))
        check_choice("output", self.output, ("image", "indices"))

    def basis(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> Basis:
        """Return the components for images of this shape, (H, W) or (H, W, C).

        Raises
        ------
        SchemeError, FrameError
            If the public images are too few or of another size.
        """
        height, width = shape[:2]
        if self.public is None:
            return cosines(height, width, self.components, int(np.iinfo(dtype).max))
        faces, single = read_batch(self.public)
        if single or len(faces) < 2:
            raise SchemeError("public must hold two images or more, shape (B, H, W) or (B, H, W, C).")
        if faces.shape[1:3] != (height, width):
            raise FrameError(f"public holds images of {faces.shape[1:3]}, and images of {(height, width)} were given.")
        planes = faces if faces.ndim == 3 else np.moveaxis(faces, 3, 1).reshape(-1, height, width)
        return eigenfaces(planes, self.components)

    def guarantee(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> Guarantee:
        """Return what one release of an image of this shape, (H, W) or (H, W, C), is worth."""
        count = self.basis(shape, dtype).lowest.size * (shape[2] if len(shape) == 3 else 1)
        scale = self._scale(count)
        fitted = "the images that the components were fitted to, " if self.public is not None else ""
        return Guarantee(
            epsilon=count / scale if count else 0.0,
            neighbourhood="any two images of one size",
            sensitivity=float(count),
            norm=f"L1, {count} coefficients within 0 .. 1, each epsilon {1 / scale if count else 0.0:g}",
            scale=scale,
            not_covered=f"{fitted}further releases (each adds its epsilon), the lowest bits of floating-point noise",
        )

    def _scale(self, count: int) -> float:
        """Return the scale of the noise on each of `count` coefficients."""
        return count / self.epsilon if self.composition == "vector" else 1 / self.epsilon

    def _release(self, images: NDArray[Any]) -> NDArray[Any]:
        channels = images.shape[3]
        basis = self.basis(images.shape[1:], images.dtype)
        noisy = basis.coefficients(np.moveaxis(images, 3, 1).astype(np.float64))
        noisy = noisy + self._generator.laplace(0.0, self._scale(channels * noisy.shape[2]), noisy.shape)
        if self.output == "indices":
            return noisy[:, 0] if channels == 1 else noisy
        return to_codes(np.moveaxis(basis.planes(noisy), 1, 3), images.dtype)


register_scheme(Peep.card.name, Peep)

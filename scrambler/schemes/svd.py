"""`svd`: the largest singular values of each channel, moved at random within their own space."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import ArpackError, eigsh

from scrambler.schemes.base import Card
from scrambler.schemes.keyless import NOISE_PARAMETERS, NoisyScheme, to_codes
from scrambler.schemes.noise import Guarantee
from scrambler.schemes.parameters import check_positive, check_whole
from scrambler.schemes.registry import register_scheme

# Planes of sides so many times the rank take the shorter way.
_LARGE_FROM = 8


def ball_noise(rng: np.random.Generator, count: int, size: int, epsilon: float) -> NDArray[Any]:
    r"""Return vectors with density proportional to :math:`e^{-\epsilon \|x\|_2}`, float64, shape (count, size).

    The direction is uniform on the sphere, the radius Gamma(size, 1/epsilon), with mean size / epsilon.
    """
    direction = rng.standard_normal((count, size))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    vectors: NDArray[Any] = direction * rng.gamma(size, 1.0 / epsilon, (count, 1))
    return vectors


def keep_and_move(planes: NDArray[Any], rank: int, noise: NDArray[Any] | float) -> NDArray[Any]:
    """Return planes (..., H, W) rebuilt from their `rank` largest singular values, noise (..., rank) added to them.

    >>> keep_and_move(np.diag([3.0, 1.0]), 1, 0.0).round(12).tolist()
    [[3.0, 0.0], [0.0, 0.0]]
    """
    if _LARGE_FROM * rank < min(planes.shape[-2:]):
        basis = _leading_columns(planes, rank)
        rebuilt: NDArray[Any] = basis @ keep_and_move(basis.swapaxes(-1, -2) @ planes, rank, noise)
    else:
        u, s, vt = np.linalg.svd(planes, full_matrices=False)
        moved = s[..., :rank] + noise
        rebuilt = (u[..., :, :rank] * moved[..., None, :]) @ vt[..., :rank, :]
    return rebuilt


def _leading_columns(planes: NDArray[Any], rank: int) -> NDArray[Any]:
    """Return the first left singular vectors (..., H, rank) of planes, without all the others."""
    flat = planes.reshape(-1, *planes.shape[-2:])
    return np.array([_leading_eigenvectors(plane @ plane.T, rank) for plane in flat]).reshape(*planes.shape[:-1], rank)


def _leading_eigenvectors(square: NDArray[Any], rank: int) -> NDArray[Any]:
    """Return the eigenvectors (H, rank) of a symmetric matrix with the largest eigenvalues."""
    height = len(square)
    # Lanczos needs products with the matrix only; the start is fixed, so that the same image gives the same picture.
    start = np.random.default_rng(0).standard_normal(height)
    try:
        vectors = eigsh(square, rank, v0=start, ncv=min(height, max(3 * rank, 20)))[1]
    except ArpackError:  # such as for a black plane, which has no direction to start in
        vectors = eigh(square, subset_by_index=(height - rank, height - 1))[1]
    found: NDArray[Any] = vectors
    return found


@dataclass(frozen=True, kw_only=True)
class Svd(NoisyScheme):
    r"""Keep the k largest singular values of each channel and publish them with noise.

    The vector s of k singular values becomes :math:`s + r u`, u uniform on the sphere and r from
    Gamma(k, 1/epsilon): a metric privacy of :math:`\epsilon \|s - s'\|_2`. The singular vectors are published as they
    are, so the picture as such is not covered, only its k singular values.

    Parameters
    ----------
    rank : int
        Number k of singular values; fewer where the image has fewer.
    epsilon : float
        Privacy loss for every unit of distance between singular values, in codes.
    changed_px : int
        Neighbours for the stated total: images that differ in that many pixels.

    Examples
    --------
    >>> Svd(epsilon=0.01).guarantee((64, 64)).sensitivity
    1020.0
    """

    rank: int = 16
    epsilon: float = 0.01
    changed_px: int = 16

    card: ClassVar[Card] = Card(
        name="svd",
        paper="Fan, IEEE ICME 2019 (built from descriptions of it)",
        summary="each channel is cut to its largest singular values, and those get noise",
        parameters={
            "rank": "16: number k of singular values (not known as published)",
            "epsilon": "0.01: privacy loss for every unit of distance between singular values (not known as published)",
            "changed_px": "16: pixels that neighbours differ in, for the total that is stated",
            **NOISE_PARAMETERS,
        },
        key_bits="none",
        effective_key_bits="none",
        invertible=False,
        keyed=False,
        nonce="none",
        strength="broken",
        accuracy="none known as published",
        attacks="singular vectors are published as they are: CIFAR-10 images keep SSIM 0.46; the privacy is that of k "
        "numbers; repeated releases average out, and each adds its epsilon",
        network="retraining",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("rank", self.rank, 1, 65536)
        check_positive("epsilon", self.epsilon)
        check_whole("changed_px", self.changed_px, 1, 2**31)

    def guarantee(self, shape: tuple[int, ...], dtype: Any = np.uint8) -> Guarantee:
        """Return what one release of an image of this shape, (H, W) or (H, W, C), is worth.

        Singular values move no further than the channel does (Mirsky, Quart. J. Math. 11, 1960): for m pixels by the
        square root of m, times the largest code. Each of the C channels has noise of its own, and their losses add up.
        """
        channels = shape[2] if len(shape) == 3 else 1
        top = float(np.iinfo(dtype).max)
        sensitivity = channels * top * float(np.sqrt(min(self.changed_px, shape[0] * shape[1])))
        return Guarantee(
            epsilon=self.epsilon * sensitivity,
            neighbourhood=f"images of one size that differ in at most {self.changed_px} pixels, by their "
            f"{min(self.rank, *shape[:2])} singular values a channel",
            sensitivity=sensitivity,
            norm="sum over the channels of L2 norms of singular values",
            scale=1.0 / self.epsilon,
            not_covered="the singular vectors, which are published as they are and show the picture; further releases "
            "(each adds its epsilon)",
        )

    def _release(self, images: NDArray[Any]) -> NDArray[Any]:
        if not images.size:
            return images.copy()
        count, height, width, channels = images.shape
        rank = min(self.rank, height, width)
        planes = np.moveaxis(images, 3, 1).astype(np.float64)
        noise = ball_noise(self._generator, count * channels, rank, self.epsilon).reshape(count, channels, rank)
        return to_codes(np.moveaxis(keep_and_move(planes, rank, noise), 1, 3), images.dtype)


register_scheme(Svd.card.name, Svd)

"""Orthonormal components of pictures for `peep`: eigenfaces of public pictures, or cosines that need none."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis(ABC):
    """A mean, orthonormal components, and the range of each coefficient, lowest .. highest.

    Attributes
    ----------
    mean : array of float64, broadcast to (H, W)
    lowest, highest : arrays of float64, shape (k,)
    """

    mean: NDArray[Any]
    lowest: NDArray[Any]
    highest: NDArray[Any]

    @abstractmethod
    def project(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return the products (..., k) of planes (..., H, W) with the components."""

    @abstractmethod
    def rebuild(self, products: NDArray[Any]) -> NDArray[Any]:
        """Return the sums (..., H, W) of the components, times (..., k)."""

    def coefficients(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return the coefficients of planes (..., H, W), scaled to their range and cut to 0 .. 1, shape (..., k)."""
        reach = np.where(self.highest > self.lowest, self.highest - self.lowest, 1.0)
        cut: NDArray[Any] = np.clip((self.project(planes - self.mean) - self.lowest) / reach, 0.0, 1.0)
        return cut

    def planes(self, coefficients: NDArray[Any]) -> NDArray[Any]:
        """Return the planes (..., H, W) that coefficients (..., k) stand for."""
        planes: NDArray[Any] = self.rebuild(coefficients * (self.highest - self.lowest) + self.lowest) + self.mean
        return planes


@dataclass(frozen=True, kw_only=True, eq=False)
class Eigenfaces(Basis):
    """Principal components of faces, shape (k, H, W)."""

    components: NDArray[Any]

    def project(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return the products (..., k) of planes (..., H, W) with the components."""
        return np.tensordot(planes, self.components, axes=([-2, -1], [1, 2]))

    def rebuild(self, products: NDArray[Any]) -> NDArray[Any]:
        """Return the sums (..., H, W) of the components, times (..., k)."""
        return np.tensordot(products, self.components, axes=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Cosines(Basis):
    """Products of cosines down, shape (k, H), and to the right, shape (k, W)."""

    down: NDArray[Any]
    right: NDArray[Any]

    def project(self, planes: NDArray[Any]) -> NDArray[Any]:
        """Return the products (..., k) of planes (..., H, W) with the components."""
        products: NDArray[Any] = ((self.down @ planes) * self.right).sum(axis=-1)
        return products

    def rebuild(self, products: NDArray[Any]) -> NDArray[Any]:
        """Return the sums (..., H, W) of the components, times (..., k)."""
        planes: NDArray[Any] = (products[..., None, :] * self.down.T) @ self.right
        return planes


def eigenfaces(faces: Any, count: int) -> Eigenfaces:
    """Return the principal components of faces, and the range of their coefficients over these faces.

    Parameters
    ----------
    faces : array-like, shape (B, H, W)
        Public faces, two or more: whatever is fitted to private ones leaks.
    count : int
        Number of components k; fewer are returned where faces or pixels do not suffice.

    Examples
    --------
    >>> basis = eigenfaces([[[1, 0]], [[3, 0]], [[2, 1]], [[2, -1]]], 2)
    >>> basis.mean.tolist(), abs(basis.components).round(12).tolist()
    ([[2.0, 0.0]], [[[1.0, 0.0]], [[0.0, 1.0]]])
    """
    stack = np.asarray(faces, np.float64)
    mean = stack.mean(axis=0)
    flat = (stack - mean).reshape(len(stack), -1)
    _, strengths, directions = np.linalg.svd(flat, full_matrices=False)
    # Centred faces span one direction less than there are faces; what is left over is rounding noise.
    components = directions[:count][strengths[:count] > 1e-10 * strengths[0]]
    products = flat @ components.T
    return Eigenfaces(
        mean=mean,
        lowest=products.min(axis=0),
        highest=products.max(axis=0),
        components=components.reshape(-1, *mean.shape),
    )


def cosines(height: int, width: int, count: int, top: int) -> Cosines:
    """Return the cosines of lowest frequency, and the range of their coefficients over all images.

    They need no faces: principal components of smooth images come close to them (Ahmed, Natarajan, Rao, IEEE Trans.
    Computers 23, 1974).

    Parameters
    ----------
    height, width : int
        Size of the images.
    count : int
        Number of components k; fewer are returned where pixels do not suffice.
    top : int
        Largest code.
    """
    # No more than `count` frequencies of either direction can be among the lowest.
    u, v = (part.reshape(-1) for part in np.indices((min(height, count), min(width, count))))
    lowest_first = np.lexsort((v, u, u / max(height, 1) + v / max(width, 1)))[:count]
    down, right = _cosines_of(u[lowest_first], height), _cosines_of(v[lowest_first], width)
    reach = np.abs(down).sum(axis=1) * np.abs(right).sum(axis=1) * (top / 2)
    return Cosines(mean=np.array(top / 2), lowest=-reach, highest=reach, down=down, right=right)


def _cosines_of(frequencies: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the orthonormal cosines (DCT-II) of some frequencies, shape (frequencies, size)."""
    waves = np.cos(np.pi * frequencies[:, None] * (2 * np.arange(size) + 1) / (2 * max(size, 1)))
    orthonormal: NDArray[Any] = np.sqrt(np.where(frequencies == 0, 1.0, 2.0)[:, None] / max(size, 1)) * waves
    return orthonormal

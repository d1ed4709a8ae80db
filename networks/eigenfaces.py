r"""The recogniser that goes with the scheme `peep`: eigenface coefficients, then a perceptron.

Chamikara and others (Computers & Security 97, 2020, arXiv 2005.10486): principal components of faces, scaled to [0, 1],

.. math:: z = V(x - \mu), \quad z_{01} = \mathrm{clip}\left(\frac{z - l}{h - l}, 0, 1\right),

and a perceptron with one hidden layer of 1,024. The network reads faces, or coefficients that the scheme has already
made (and covered with noise): ``scheme("peep", output="indices", public=faces)`` gives those of the same components.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scrambler.errors import FrameError
from scrambler.schemes.components import Basis, cosines, eigenfaces

_SIZE = (112, 92)  # of the AT&T faces, height and width
_COMPONENTS = 64


class EigenfaceMLP(nn.Module):
    """Coefficients of grey 112x92 faces, and a perceptron on them.

    The components start as cosines of low frequency, as those of the scheme do; :func:`fit_eigenfaces` replaces them.

    Parameters
    ----------
    num_classes : int
        Number of people.
    components : int
        Number k of coefficients.
    """

    mean: Tensor
    components: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, num_classes: int = 40, *, components: int = _COMPONENTS) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_SIZE[0] * _SIZE[1]))
        self.register_buffer("components", torch.zeros(components, _SIZE[0] * _SIZE[1]))
        self.register_buffer("lowest", torch.zeros(components))
        self.register_buffer("highest", torch.ones(components))
        self.flatten = nn.Flatten()
        # Faces use a small part of the range 0 .. 1, which holds any picture.
        self.norm = nn.BatchNorm1d(components, affine=False)
        self.mlp = nn.Sequential(nn.Linear(components, 1024), nn.ReLU(), nn.Linear(1024, num_classes))
        self.set_basis(cosines(*_SIZE, components, 1))

    @torch.no_grad()
    def set_basis(self, basis: Basis) -> None:
        """Take other components, fitted to faces in [0, 1]; where there are fewer than k, the rest stay empty."""
        found = len(basis.lowest)
        self.mean.copy_(torch.from_numpy(np.broadcast_to(basis.mean, _SIZE).reshape(-1).copy()))
        self.components.zero_()
        self.lowest.zero_()
        self.highest.fill_(1)
        self.components[:found] = torch.from_numpy(basis.rebuild(np.eye(found)).reshape(found, -1))
        self.lowest[:found], self.highest[:found] = torch.from_numpy(basis.lowest), torch.from_numpy(basis.highest)

    def coefficients(self, x: Tensor) -> Tensor:
        """Return the coefficients (B, k) in [0, 1] of grey faces (B, 1, 112, 92) in [0, 1]."""
        products = nn.functional.linear(self.flatten(x) - self.mean, self.components)
        return ((products - self.lowest) / (self.highest - self.lowest)).clamp(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for grey faces (B, 1, 112, 92) in [0, 1]."""
        return self.recognise(self.coefficients(x))

    def recognise(self, coefficients: Tensor) -> Tensor:
        """Return logits (B, num_classes) for coefficients (B, k), as they are or with noise."""
        logits: Tensor = self.mlp(self.norm(coefficients))
        return logits


def fit_eigenfaces(model: EigenfaceMLP, faces: NDArray[np.uint8]) -> None:
    """Replace a network's components by the principal components of faces.

    Parameters
    ----------
    model : EigenfaceMLP
        Changed in place.
    faces : uint8 array, shape (B, 112, 92)
        Public ones, two or more: whatever is fitted to private faces leaks.

    Raises
    ------
    FrameError
        If there are fewer than two, or of another size.
    """
    if faces.ndim != 3 or len(faces) < 2 or faces.shape[1:] != _SIZE:
        raise FrameError(f"faces must be two or more of shape {_SIZE}, got an array of shape {faces.shape}.")
    model.set_basis(eigenfaces(faces / 255, len(model.lowest)))

"""Where the torch camera gets its random numbers: from a torch generator, or from the numbers of the Numba camera."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sensor.counter_rng import NoiseSource, Stream
from sensor.shot_noise import poisson_quantile


class Draws(Protocol):
    """Random numbers for a batch of B frames; h x w is the frame's size, or 1 where all its rows or columns share."""

    def words(self, stream: Stream, height: int, width: int) -> Tensor:
        """Return whole numbers from 0 to 2**32 - 1, int64, shape (B, h, w)."""

    def normals(self, stream: Stream, height: int, width: int) -> Tensor:
        """Return standard normal numbers, shape (B, h, w)."""

    def counts(self, mean: Tensor) -> Tensor:
        """Return Poisson numbers of this mean, (B, H, W)."""


class GeneratorDraws:
    """Numbers of a torch generator.

    Parameters
    ----------
    like : Tensor, shape (B, ...)
        A tensor of the batch, whose device and type the numbers get.
    generator : torch.Generator, optional
        On that device; torch's own by default.
    """

    def __init__(self, like: Tensor, generator: torch.Generator | None) -> None:
        self._like = like
        self._generator = generator

    def words(self, stream: Stream, height: int, width: int) -> Tensor:
        """See :meth:`Draws.words`."""
        shape = (len(self._like), height, width)
        return torch.randint(0, 1 << 32, shape, generator=self._generator, device=self._like.device)

    def normals(self, stream: Stream, height: int, width: int) -> Tensor:
        """See :meth:`Draws.normals`."""
        shape, like = (len(self._like), height, width), self._like
        return torch.randn(shape, generator=self._generator, device=like.device, dtype=like.dtype)

    def counts(self, mean: Tensor) -> Tensor:
        """See :meth:`Draws.counts`."""
        return torch.poisson(mean, self._generator)


class FrameDraws:
    """The numbers that a :class:`sensor.Camera` with this seed uses for these frames; drawn on the processor.

    Parameters
    ----------
    like : Tensor, shape (B, ...)
        A tensor of the batch, whose device and type the numbers get.
    seed : int
        Seed of the camera.
    frames : sequence of int
        Number of each frame of the batch.
    """

    def __init__(self, like: Tensor, seed: int, frames: Sequence[int]) -> None:
        self._like = like
        self._sources = [NoiseSource(seed=seed, frame=frame) for frame in frames]

    def words(self, stream: Stream, height: int, width: int) -> Tensor:
        """See :meth:`Draws.words`."""
        words = np.stack([source.words(stream, (height, width)) for source in self._sources])
        return torch.from_numpy(words.astype(np.int64)).to(self._like.device)

    def normals(self, stream: Stream, height: int, width: int) -> Tensor:
        """See :meth:`Draws.normals`."""
        normals = np.stack([source.normals(stream, (height, width)) for source in self._sources])
        return torch.from_numpy(normals).to(self._like)

    def counts(self, mean: Tensor) -> Tensor:
        """See :meth:`Draws.counts`."""
        height, width = mean.shape[1:]
        means = mean.detach().cpu().float().numpy()
        drawn = [
            poisson_quantile(np.ascontiguousarray(one), source.words(Stream.SHOT, (height, width)))
            for one, source in zip(means, self._sources, strict=True)
        ]
        return torch.from_numpy(np.stack(drawn)).to(mean)


def uniforms(words: Tensor) -> Tensor:
    """Return words as numbers between 0 and 1, float64, as :meth:`sensor.counter_rng.NoiseSource.uniforms` does."""
    return (words.double() + 0.5) * 2.0**-32

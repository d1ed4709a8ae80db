"""Frames, permutations and keyed batches for the operators' tests."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st

from operators import shuffle_pixels, stack_slots
from scrambler import Permutation


@dataclass
class Draw:
    """Reproducible test data."""

    rng: np.random.Generator

    def frames(self, *shape, dtype=torch.float64):
        """Whole numbers from -8 to 8: every sum of them is exact."""
        return torch.from_numpy(self.rng.integers(-8, 9, shape)).to(dtype)

    def weights(self, *shape, dtype=torch.float64):
        """Quarters from -2 to 2: every product and sum is exact."""
        return torch.from_numpy(self.rng.integers(-8, 9, shape) / 4).to(dtype)

    def order(self, size):
        height, width = size
        return Permutation(self.rng.permutation(height * width))

    def keyed_batch(self, frames, *, own_keys):
        """Shuffle frames (B, C, H, W); return them with the arguments that tell an operator how."""
        size = frames.shape[2:]
        if not own_keys or not len(frames):
            order = self.order(size)
            return shuffle_pixels(frames, order), {"permutation_in": order}
        orders = [self.order(size) for _ in frames]
        shuffled = torch.cat([shuffle_pixels(frame[None], order) for frame, order in zip(frames, orders, strict=True)])
        return shuffled, {"slot": stack_slots(orders)}


draws = st.integers(0, 2**32 - 1).map(lambda seed: Draw(np.random.default_rng(seed)))


def drawn(examples):
    """Return settings for a law on drawn sizes; compiling and warming up may take its time."""
    return settings(deadline=None, max_examples=examples)


def assert_exact(draw, keyed, plain, tau, x, *, own_keys):
    """Assert that a keyed layer reads shuffled frames as its plain twin reads natural ones, bit for bit."""
    shuffled, how = draw.keyed_batch(x, own_keys=own_keys)
    slot = how["slot"] if "slot" in how else torch.from_numpy(how["permutation_in"].slot.astype("int32"))
    y = keyed(shuffled, slot)
    assert torch.equal(y, shuffle_pixels(plain(x), tau))
    assert y.is_contiguous(memory_format=torch.channels_last) or not len(x)

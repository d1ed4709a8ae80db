"""Pictures under a scheme, on their way into a network that trains on them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from networks.training.config import Protect
from scrambler import Key, keyed_permutation, scheme

_CHUNK = 512  # images protected at a time
_LOOKED_AT = 1000  # images whose values decide the scale


@dataclass(frozen=True)
class ProtectedInputs:
    """Protected pictures for a network.

    Attributes
    ----------
    inputs : Tensor of float32, shape (B, C, H, W)
        8-bit values in [0, 1]; others with the mean 0.5 and deviation 0.25 of the training pictures.
    nonces : tuple of bytes
        One an image; empty for schemes without.
    """

    inputs: Tensor
    nonces: tuple[bytes, ...] = field(default=(), repr=False)


class Protection:
    """A scheme under one key for training and test pictures.

    Parameters
    ----------
    protect : Protect
        The scheme and how it is used.
    key : Key or None
        Needed by keyed schemes.
    seed : int
        Fixes the nonces: they follow from seed, epoch and image, which is right for studies only.
    """

    def __init__(self, protect: Protect, key: Key | None, seed: int) -> None:
        card = scheme(protect.scheme).card
        parameters: dict[str, Any] = dict(protect.parameters)
        if card.keyed:
            parameters["key"] = key
        self._scheme = scheme(protect.scheme, **parameters)
        self._seed, self._key = seed, key
        self.keyed = protect.network == "keyed"
        self._per_image = card.keyed and card.nonce.startswith("per image")
        self.once = protect.augment == "protected"
        self._scale: tuple[float, float] | None = None

    def apply(self, images: NDArray[np.uint8], numbers: Tensor, epoch: int, kind: str = "training") -> ProtectedInputs:
        """Protect pictures (B, H, W, C), whose ``numbers`` in the data set decide their nonces with the epoch."""
        nonces: list[bytes] = []
        if self._per_image:
            nonces = [self._nonce(kind, epoch, int(number)) for number in numbers]
        parts = []
        for start in range(0, len(images), _CHUNK):
            part = slice(start, start + _CHUNK)
            values = np.asarray(self._scheme.protect(images[part], nonce=nonces[part] or None))
            parts.append(self._input(values))
        return ProtectedInputs(torch.cat(parts), tuple(nonces))

    def apply_to_test(self, images: NDArray[np.uint8], first: int, epoch: int) -> ProtectedInputs:
        """Protect test pictures from number ``first`` on; their nonces meet none of the training ones."""
        return self.apply(images, torch.arange(first, first + len(images)), epoch, "test")

    def _nonce(self, kind: str, epoch: int, number: int) -> bytes:
        text = f"shufflecam training nonce/v1;seed={self._seed};{kind} epoch={epoch};image={number}"
        return sha256(text.encode()).digest()[:16]

    def gathers(self, natural: Tensor, nonces: Sequence[bytes], size: tuple[int, int]) -> Tensor:
        r"""Return the gathers that do to shuffled frames what ``natural`` does to plain ones.

        With a frame's slot table s and its inverse :math:`\sigma`, :math:`g[j] = s[m[\sigma[j]]]` (theory, section 12).

        Parameters
        ----------
        natural : Tensor of integers, shape (B, H * W)
            m: which natural pixel each pixel of the changed picture is.
        nonces : sequence of bytes
            The frames' own.
        size : tuple of int
            H and W.
        """
        assert self._key is not None
        orders = (keyed_permutation(self._key, size, nonce=nonce) for nonce in nonces)
        places = [order.slot[places.numpy()[order.source]] for order, places in zip(orders, natural, strict=True)]
        return torch.from_numpy(np.stack(places).astype(np.int64))

    def _input(self, values: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values, np.float32)).permute(0, 3, 1, 2)
        if values.dtype == np.uint8:
            return tensor / 255
        if self._scale is None:
            seen = values[:_LOOKED_AT].astype(np.float64)
            self._scale = float(seen.mean()), max(float(seen.std()), 1e-12)
        mean, deviation = self._scale
        return 0.5 + 0.25 * (tensor - mean) / deviation

"""The learned schemes `transform-net` and `gan`: a trained U-Net turns pictures into protected ones, without a key.

They appear in :func:`scrambler.list_schemes` once `networks` has been imported; `scrambler` alone does not know of
networks. :mod:`networks.learned_training` trains them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import torch
from torch import Tensor

from networks.checkpoint import WeightsError, halved, read_tensors, write_tensors
from networks.transformation_network import TransformationNetwork
from scrambler import Card, Protected, register_scheme
from scrambler.errors import FrameError, NonceError, SchemeError
from scrambler.schemes.base import read_codes

_ARCHITECTURE = "transformation_network"
_TILE_PX = 512
# At least the 18 pixels that the network sees in each direction, and whole strides, so that tiles fit without a seam.
_HALO_PX = 32
_BATCH_PIXELS = 1 << 20


def save_transformation(path: Path | str, network: TransformationNetwork, scheme_name: str) -> None:
    """Write a network's weights for a learned scheme, in half precision, atomically."""
    write_tensors(path, halved(network.state_dict()), {"model": _ARCHITECTURE, "scheme": scheme_name})


def load_transformation(path: Path | str, scheme_name: str) -> TransformationNetwork:
    """Return the network that :func:`save_transformation` wrote, in evaluation mode.

    Raises
    ------
    WeightsError
        If the file is missing or damaged, or belongs to something else.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("scheme") != scheme_name:
        held = metadata.get("scheme", metadata.get("model", "something else"))
        raise WeightsError(f"{path} holds weights of {held}, not of scheme {scheme_name!r}: give those")
    network = TransformationNetwork()
    try:
        network.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in tensors.items()})
    except RuntimeError:
        raise WeightsError(f"{path} does not fit the network of scheme {scheme_name!r}: train it again") from None
    return network.eval()


@torch.inference_mode()
def transform(network: TransformationNetwork, pictures: Tensor) -> Tensor:
    """Return protected pictures, tile by tile where they are large, with the same result.

    Parameters
    ----------
    network : TransformationNetwork
        In evaluation mode.
    pictures : Tensor of float32, shape (B, 3, H, W)
        RGB in [0, 1].
    """
    height, width = pictures.shape[2:]
    out = torch.empty_like(pictures)
    for top in range(0, height, _TILE_PX):
        for left in range(0, width, _TILE_PX):
            up, before = max(top - _HALO_PX, 0), max(left - _HALO_PX, 0)
            bottom, right = min(top + _TILE_PX, height), min(left + _TILE_PX, width)
            seen = pictures[:, :, up : bottom + _HALO_PX, before : right + _HALO_PX]
            made = network(seen)
            out[:, :, top:bottom, left:right] = made[:, :, top - up : bottom - up, left - before : right - before]
    return out


@dataclass(frozen=True, kw_only=True)
class LearnedScheme:
    """What the two learned schemes have in common.

    Parameters
    ----------
    key : None
        They have no key; given only because every scheme takes one.
    weights : path, optional
        Safetensors file that training wrote; needed to protect. Whoever has it can train an inverse network: keep it
        as you would keep a key.
    """

    key: object = None
    weights: str | Path | None = None

    card: ClassVar[Card]
    trainer: ClassVar[str]

    @cached_property
    def _network(self) -> TransformationNetwork:
        name = self.card.name
        if self.weights is None:
            raise SchemeError(
                f"scheme {name!r} needs weights: train them with networks.{self.trainer}(images, labels, out=FOLDER) "
                f"or `shufflecam train {name} --out FOLDER`, and give weights='FOLDER/{name}.safetensors'."
            )
        if not isinstance(self.weights, str | Path):
            raise SchemeError(f"weights must be the name of a file, got a {type(self.weights).__name__}.")
        return load_transformation(self.weights, name)

    def protect(self, images: Any, nonce: bytes | Sequence[bytes] | None = None) -> Protected:
        """Return the protected pictures: RGB of the same type and size; grey ones become RGB.

        Parameters
        ----------
        images : array-like of uint8 or uint16
            One image (H, W) or (H, W, 3), or a batch (B, H, W) or (B, H, W, 3).
        nonce : None
            There is none: equal pictures give equal results.

        Raises
        ------
        FrameError, NonceError, SchemeError, WeightsError
            If the images do not fit, a nonce is given, or the weights are missing or not the scheme's.
        """
        if nonce is not None and len(nonce):
            raise NonceError(f"scheme {self.card.name!r} takes no nonce: leave nonce out.")
        batch, single = read_codes(images)
        if batch.shape[3] == 4:
            raise FrameError(f"scheme {self.card.name!r} takes grey or RGB images: drop the fourth channel.")
        network = self._network
        values = np.empty((*batch.shape[:3], 3), batch.dtype)
        top = float(np.iinfo(batch.dtype).max)
        at_once = max(1, _BATCH_PIXELS // max(1, batch.shape[1] * batch.shape[2]))
        for start in range(0, len(batch) if values.size else 0, at_once):
            some = torch.from_numpy(batch[start : start + at_once].astype(np.float32) / np.float32(top))
            made = transform(network, some.permute(0, 3, 1, 2).expand(-1, 3, -1, -1))
            values[start : start + at_once] = (made.permute(0, 2, 3, 1).double() * top).round().numpy()
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
        """Refuse: the network was not made to be undone.

        Raises
        ------
        SchemeError
            Always.
        """
        raise SchemeError(f"scheme {self.card.name!r} cannot be undone: nobody holds a key to it.")


def _card(*, name: str, paper: str, summary: str, trainer: str, accuracy: str, attacks: str) -> Card:
    """Return a card with what both have in common filled in."""
    return Card(
        name=name,
        paper=f"{paper} (losses and layers built from excerpts)",
        summary=summary,
        parameters={"weights": f"None: file that networks.{trainer} wrote; needed to protect"},
        key_bits="none",
        effective_key_bits="none; the weights are the secret",
        invertible=False,
        keyed=False,
        nonce="none",
        strength="weak",
        accuracy=accuracy,
        attacks=f"{attacks}; on pictures larger than those of the training the scene is plainly seen; equal pictures "
        "give equal results",
        network="the classifier that was trained with it",
    )


@dataclass(frozen=True, kw_only=True)
class TransformNet(LearnedScheme):
    """A U-Net that was trained together with a classifier to push pictures and protected pictures apart."""

    trainer = "train_transform_net"
    card = _card(
        name="transform-net",
        paper="Ito, Kinoshita, Kiya, arXiv 2008.03143",
        summary="a U-Net, trained with a classifier, turns pictures into ones that look different to other networks",
        trainer=trainer,
        accuracy="near that of plain CIFAR images (as described, no figure known)",
        attacks="pairs, or the weights, train an inverse network",
    )


@dataclass(frozen=True, kw_only=True)
class Gan(LearnedScheme):
    """The generator of a CycleGAN whose other domain are encrypted pictures."""

    trainer = "train_gan"
    card = _card(
        name="gan",
        paper="Sirichotedumrong, Kiya, EUSIPCO 2020, arXiv 2006.01342",
        summary="the generator of a CycleGAN turns pictures into ones that look pixel-wise encrypted",
        trainer=trainer,
        accuracy="no figure known; lowest SSIM of reconstructions among the schemes compared (abstract)",
        attacks="pairs, or the weights, train an inverse network, and the way back is one",
    )


for _family in (TransformNet, Gan):
    register_scheme(_family.card.name, _family)

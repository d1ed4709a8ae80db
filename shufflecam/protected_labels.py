"""From a protected picture to a label, without revealing it: the scheme folds into the network's first convolution."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from networks import KeyedNetwork, convert
from scrambler import FrameError, Key, scheme
from scrambler.errors import MissingKeyError, ShuffleCamError
from shufflecam.chain import Label, Labeller
from shufflecam.protected_file import load_protected

_COLOURS = 3


class Thumbnail(nn.Module):
    """A network behind the average of square cells: it reads pictures larger than its input.

    The cells are the largest that leave enough of them; those in the middle are looked at. Grey becomes three equal
    colours, and a fourth channel is left out.

    Parameters
    ----------
    network : nn.Module
        Takes (B, 3, h, w).
    input_size : (int, int)
        h and w.
    size : (int, int)
        Of the pictures, in pixels.
    channels : int
        1, 3 or 4.

    Raises
    ------
    FrameError
        If the pictures are smaller than the network's input.
    """

    def __init__(self, network: nn.Module, input_size: tuple[int, int], size: tuple[int, int], channels: int) -> None:
        super().__init__()
        (h, w), (height, width) = input_size, size
        side = min(height // h, width // w)
        if side < 1:
            raise FrameError(f"pictures of {height} x {width} are smaller than the network's input, {h} x {w}.")
        self.average = nn.Conv2d(channels, _COLOURS, side, stride=side, bias=False)
        mix = torch.eye(_COLOURS, channels) if channels > 1 else torch.ones(_COLOURS, 1)
        self.average.weight = nn.Parameter(
            (mix / side**2)[:, :, None, None].expand(-1, -1, side, side).clone(), requires_grad=False
        )
        top, left = (height // side - h) // 2, (width // side - w) // 2
        self._rows, self._columns = slice(top, top + h), slice(left, left + w)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's answer."""
        answer: Tensor = self.network(self.average(x)[:, :, self._rows, self._columns])
        return answer


class ProtectedLabeller:
    """Labels what ``shufflecam protect`` wrote, with one network.

    Parameters
    ----------
    labeller : Labeller
        Has the network, its class names and its input size.
    """

    def __init__(self, labeller: Labeller) -> None:
        self.labeller = labeller
        # Converting takes longer than running: pictures of one size under one scheme convert once.
        self._converted: dict[tuple[Any, ...], KeyedNetwork] = {}

    @torch.inference_mode()
    def label(self, path: Path, key: Key | None) -> tuple[Label, str, bytes | None]:
        """Return the label of one picture, the id of its key, and its nonce, if it has one.

        Raises
        ------
        ShuffleCamError
            Naming the file, if it is damaged or was changed, key and picture do not belong together, or no network can
            read its scheme.
        """
        protected, parameters = load_protected(path, key)
        if protected.key_id is None:
            raise ShuffleCamError(f"{path}: no network reads pictures under {protected.scheme!r}: see its card.")
        if key is None:
            raise MissingKeyError(f"{path}: protected under key {protected.key_id}; give that key to label it.")
        dtype = str(protected.dtype or protected.values.dtype)
        size, channels = (protected.shape[0], protected.shape[1]), (*protected.shape, 1)[2]
        settings = (protected.scheme, json.dumps(parameters, sort_keys=True), size, channels, dtype, key)
        try:
            if settings not in self._converted:
                made = scheme(protected.scheme, key=key, **parameters)
                plain = self.labeller.pretrained
                model = Thumbnail(self.labeller.network, plain.input_size, size, channels)
                self._converted[settings] = convert(
                    model, key, size, channels=channels, scheme=made, codes=dtype
                ).eval()
            answer = self.labeller.answer(self._converted[settings].read(protected))
        except ShuffleCamError as error:
            raise type(error)(f"{path}: {error}") from None
        return answer, protected.key_id, next(iter(protected.nonces), None)

"""From a RAW frame to a label, without ever putting the picture back together.

``black level -> white balance -> demosaic -> largest centred square, averaged to the network's input -> colour matrix
-> tone curve`` happens in one pass over the shuffled mosaic (:func:`operators.keyed_raw_to_rgb`); its output is again
shuffled, in the order that the converted network behind it reads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from networks import KeyedNetwork, Pretrained, convert, load_network
from operators import keyed_raw_to_rgb
from scrambler import Key, Permutation, keyed_permutation
from scrambler.errors import MissingKeyError, ShuffleCamError
from sensor import RawFrame
from sensor.orientation import upright

DEFAULT_MODEL = "cifar10-airbench94"


@dataclass(frozen=True)
class Label:
    """A network's answer for one frame.

    Attributes
    ----------
    name : str
        Class with the largest logit.
    probability : float
        Its softmax, in [0, 1].
    logits : tuple of float
        All of them, by class number.
    """

    name: str
    probability: float
    logits: tuple[float, ...]


class Labeller:
    """Labels RAW frames with one network.

    Parameters
    ----------
    pretrained : Pretrained
        The network, its class names and its input size; one that reads grey gets the luma.
    """

    def __init__(self, pretrained: Pretrained) -> None:
        self.pretrained = pretrained
        self.network = pretrained.reading_rgb()
        # Converting takes longer than running, so a folder under one key converts once. Keys hash by their public id.
        self._keyed: dict[Key, KeyedNetwork] = {}

    @classmethod
    def load(cls, model: str | Path = DEFAULT_MODEL) -> Self:
        """Load a shipped network by name or a weights file."""
        return cls(load_network(model))

    def label(self, frame: RawFrame, key: Key | None = None, *, force: bool = False) -> Label:
        """Label one frame in the order it was read out.

        Parameters
        ----------
        frame : RawFrame
            Shuffled (then ``key`` is needed) or natural (then it is ignored).
        key : Key, optional
            The camera's key.
        force : bool
            Use a key whose id is not the frame's: gives what a thief of the frame would get.

        Raises
        ------
        MissingKeyError, WrongKeyError
            If the frame is shuffled and there is no key or another one.
        """
        if not frame.is_shuffled:
            return self.label_as_natural(frame)
        if key is None:
            raise MissingKeyError(f"this frame is shuffled under key {frame.key_id}; give that key to label it")
        assert frame.nonce is not None
        order = keyed_permutation(key, self.pretrained.input_size, nonce=frame.nonce)
        rgb = network_input(frame, self.pretrained.input_size, frame.readout_permutation(key, force=force), order)
        return self.answer(self._network(key)(rgb, nonce=[frame.nonce]))

    def label_as_natural(self, frame: RawFrame) -> Label:
        """Label a frame as if its pixels were in natural order: all that can be done without a key."""
        return self.answer(self.network(network_input(frame, self.pretrained.input_size)))

    def _network(self, key: Key) -> KeyedNetwork:
        if key not in self._keyed:
            self._keyed[key] = convert(self.network, key, self.pretrained.input_size).eval()
        return self._keyed[key]

    def forget(self, key: Key) -> None:
        """Drop the network converted for ``key``."""
        self._keyed.pop(key, None)

    def answer(self, logits: Tensor) -> Label:
        """Return the label that logits (1, classes) say.

        Raises
        ------
        ShuffleCamError
            If the network gives no labels.
        """
        if logits.ndim != 2:
            raise ShuffleCamError(f"{self.pretrained.name} gives masks, not labels: choose another model")
        number = int(logits.argmax())
        probability = float(logits[0].detach().double().softmax(0)[number])
        return Label(self.pretrained.classes[number], probability, tuple(logits[0].tolist()))


def seen_without_key(frame: RawFrame) -> RawFrame:
    """Return a shuffled frame as software that knows nothing of the shuffle takes it: slots for photosites."""
    return frame.as_if_natural()


@torch.inference_mode()
def network_input(
    frame: RawFrame, size: tuple[int, int], readout: Permutation | None = None, order: Permutation | None = None
) -> Tensor:
    """Return a frame, with any colour filter array or none, as the network's input: upright, whichever way it lies.

    Parameters
    ----------
    frame : RawFrame
        In the order it was read out.
    size : tuple of int
        Height and width of the input, in pixels.
    readout : Permutation, optional
        Which photosite is in which slot; None takes the mosaic as it lies.
    order : Permutation, optional
        The order to write the input in; None is natural order.

    Returns
    -------
    Tensor of float32, shape (1, 3, H, W)
        sRGB in [0, 1].
    """
    height, width = size
    # Which pixel of the picture as it lies on the sensor each pixel of the upright one is.
    lying = (width, height) if frame.orientation >= 5 else size
    pixels = upright(np.arange(height * width).reshape(lying), frame.orientation).reshape(-1)
    rgb = keyed_raw_to_rgb(
        frame.mosaic, lying, slot=None if readout is None else readout.slot, cfa=frame.cfa,
        black_level=frame.black_level, white_level=frame.white_level, white_balance=frame.white_balance,
        color_matrix=frame.color_matrix,
        permutation_out=Permutation(pixels if order is None else pixels[order.source]),
    )  # fmt: skip
    return rgb.reshape(1, 3, height, width)

"""Conversion of a plain network into its keyed twin: same weights, shuffled pixels in, the same answers out.

The model is traced with ``torch.fx``; every operator that reads a fixed neighbourhood is replaced by its keyed form,
whose output gets a pixel order of its own, and everything that works in any order stays as it is (the theorem
of docs/theory.md). ``networks.rules`` is the list of what can be converted.
"""

import copy

from torch import nn

from networks.conversion import Conversion
from networks.errors import ConversionError
from networks.keyed import KeyedNetwork
from networks.rules import find_rule
from networks.tracing import trace
from scrambler import Key, Multiplexer

KEYS = ("layer", "stem")


def convert(
    model: nn.Module,
    key: Key,
    input_size: tuple[int, int],
    *,
    channels: int = 3,
    pattern: str = "frame",
    unit: str = "pixel",
    mask: bool = False,
    keys: str = "layer",
) -> KeyedNetwork:
    """Return the keyed twin of a plain network.

    The twin has a copy of the model's weights under the same ``state_dict`` names; nothing is retrained. Residual,
    dense, U-shaped, separable, squeeze-and-excite, patch and attention models convert; ``print(keyed.plan)`` shows what
    was done.

    Parameters
    ----------
    model : torch.nn.Module
        Takes (B, channels, H, W) and returns one tensor. It is not changed.
    key : Key
        The camera's key.
    input_size : tuple of int
        Height and width of the frames, in pixels.
    channels : int
        Channels of the frames.
    pattern, unit : str
        How the frames were shuffled, as for :class:`scrambler.Multiplexer`.
    mask : bool
        The frames are masked, too: the network takes them as uint8 or uint16, as the scheme "shuffle+mask" gives
        them, and reads 0 to 1 for black to white. The mask comes off inside the first gather, value by value.
    keys : {"layer", "stem"}
        "layer": the output of every spatial layer is shuffled under a key of its own, derived from ``key`` and the
        layer's name (layers whose outputs meet in a sum or a concatenation share one). Whoever reads the network's
        memory sees no feature map in natural order except what the portable engine holds while it runs a layer, and
        what has no pixels any more: pooled features and answers. "stem": natural order after the first spatial layer,
        so that the rest runs at plain speed. That protects the frame on its way to the network only: feature maps lie
        in memory as the plain network's do, and a picture can be reconstructed from early ones. In both, tables
        determine the key of the layer they belong to.

    Returns
    -------
    KeyedNetwork
        Call it as ``keyed(frames, nonce=nonces)``.

    Raises
    ------
    ConversionError
        If the model can't be traced, can't run at this size, or has a layer that no gather table can express; the
        message names the layer and the reason. Also for ``keys`` that do not exist.
    """
    if keys not in KEYS:
        raise ConversionError(f"keys must be one of {', '.join(KEYS)}; got {keys!r}")
    if not (isinstance(input_size, list | tuple) and len(input_size) == 2 and all(type(n) is int for n in input_size)):
        raise ConversionError(f"input_size must be (height, width) in pixels; got {input_size!r}")
    input_size = (input_size[0], input_size[1])
    multiplexer = Multiplexer(key, pattern=pattern, unit=unit)
    root = copy.deepcopy(model)
    graph = trace(root, (channels, *input_size))
    conversion = Conversion(root, graph, input_size, stem_only=keys == "stem", masked=mask, find_rule=find_rule)
    output = conversion.run()
    return KeyedNetwork(conversion, multiplexer, input_size, output)

"""Conversion of a plain network into its keyed twin: same weights, shuffled pixels in, the same answers out.

The model is traced with ``torch.fx``, or with ``torch.export`` where that can't follow. Every operator that reads a
fixed neighbourhood is replaced by its keyed form, whose output gets a pixel order of its own, and everything that works
in any order stays as it is (the theorem of docs/theory.md). ``networks.rules`` is the list of what can be converted.
"""

import copy

from torch import nn

from networks.affine import AffineReading, reading_of
from networks.channel_keys import ChannelReading, join_channels
from networks.conversion import Conversion
from networks.engine_choice import ENGINES
from networks.errors import ConversionError
from networks.keyed import KeyedNetwork
from networks.masked import MaskReading
from networks.rules import find_rule
from networks.tracing import trace
from operators import MaskedConv2d
from scrambler import Key, Multiplexer, Scheme

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
    channel_keys: bool = False,
    scheme: Scheme | str | None = None,
    codes: str = "uint8",
    engine: str = "auto",
) -> KeyedNetwork:
    """Return the keyed twin of a plain network.

    The twin has a copy of the model's weights under the same ``state_dict`` names; nothing is retrained. Residual,
    dense, U-shaped, separable, squeeze-and-excite, patch and attention models convert; ``print(keyed.plan)`` shows what
    was done.

    Parameters
    ----------
    model : torch.nn.Module
        Takes (B, channels, H, W) and returns a tensor, or an object that holds tensors. It is not changed. What only
        ``torch.export`` can follow, such as models of transformers, is read in evaluation mode: its layers of
        ``torch.nn`` train as ever, but other code that differs in training, such as stochastic depth, does not.
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
        "layer": the output of every spatial layer is shuffled by a permutation of its own that ``key`` decides (layers
        whose outputs meet in a sum or a concatenation share one). Whoever reads the network's
        memory sees no feature map in natural order except what the portable engine holds while it runs a layer, and
        what has no pixels any more: pooled features and answers. "stem": natural order after the first spatial layer,
        so that the rest runs at plain speed. That protects the frame on its way to the network only: feature maps lie
        in memory as the plain network's do, and a picture can be reconstructed from early ones. In both, tables
        determine the key of the layer they belong to.
    channel_keys : bool
        Every channel of a frame was shuffled by a permutation of its own, :func:`networks.channel_permutation`. The
        first step brings them into one keyed order.
    scheme : Scheme or str, optional
        The frames are not shuffled by a multiplexer: this scheme protected them (:func:`scrambler.scheme`, the name of
        one with its default parameters, or :class:`scrambler.ChannelAffine`). Schemes that move values, negate them,
        multiply them or add to them fold into the first convolution, and masks come off in it; cards say "exact
        conversion" of those. The network takes the values as ``protect`` gives them, codes, and reads 0 to 1 for black
        to white; frames without nonces need none.
    codes : {"uint8", "uint16"}
        With ``scheme``: type of the plain images, where protected values (whole numbers of 32 bits, real numbers) do
        not tell.
    engine : {"auto", "indirect", "gather"}
        "auto": each layer by what is fast for it. "indirect": every convolution reads through its table, so that no
        feature map lies in natural order even for a moment, also where a layer of few channels would be faster
        otherwise; what that engine cannot take (other types than float32, GPUs, gradients) goes by "gather". "gather":
        PyTorch's own operations only.

    Returns
    -------
    KeyedNetwork
        Call it as ``keyed(frames, nonce=nonces)``, or with ``scheme`` as ``keyed.read(scheme.protect(images))``.

    Raises
    ------
    ConversionError
        If the model can't be traced, can't run at this size, or has a layer that no gather table can express; the
        message names the layer and the reason. Also for ``keys``, ``codes`` or an ``engine`` that do not exist, and
        schemes that a network cannot read.
    WrongKeyError
        If the scheme has another key.
    """
    if keys not in KEYS:
        raise ConversionError(f"keys must be one of {', '.join(KEYS)}; got {keys!r}")
    if engine not in ENGINES:
        raise ConversionError(f"engine must be one of {', '.join(ENGINES)}; got {engine!r}")
    if not (isinstance(input_size, list | tuple) and len(input_size) == 2 and all(type(n) is int for n in input_size)):
        raise ConversionError(f"input_size must be (height, width) in pixels; got {input_size!r}")
    input_size = (input_size[0], input_size[1])
    multiplexer = Multiplexer(key, pattern=pattern, unit=unit)
    reading: AffineReading | ChannelReading | MaskReading | None = None
    if channel_keys:
        if mask or scheme is not None or (pattern, unit) != ("frame", "pixel"):
            raise ConversionError("channel_keys says how the frames were shuffled: leave mask, scheme and pattern out")
        reading = ChannelReading(input_size, channels)
    if scheme is not None:
        if mask or (pattern, unit) != ("frame", "pixel"):
            raise ConversionError("scheme= says how the frames were protected: leave mask, pattern and unit out")
        reading = reading_of(scheme, key, input_size, channels, codes)
    root = copy.deepcopy(model)
    graph = trace(root, (channels, *input_size))
    first_layer = (MaskedConv2d if mask else None) if reading is None else reading.layer
    conversion = Conversion(
        root, graph, input_size, stem_only=keys == "stem", first_layer=first_layer, find_rule=find_rule
    )
    if channel_keys:
        join_channels(conversion)
    output = conversion.run()
    return KeyedNetwork(conversion, multiplexer, channels, input_size, output, reading, engine)

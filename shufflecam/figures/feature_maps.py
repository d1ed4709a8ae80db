"""What a converted network holds inside: maps in shuffled order."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shufflecam.figures.sheets import Panel, draw_sheet
from shufflecam.figures.style import FigureError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import nn

    from scrambler import Key

_LEAST_SIDE = 4


def map_layers(network: "nn.Module") -> list[str]:
    """Return the names of the layers whose maps can be shown: convolutions that the network calls once each."""
    from torch import fx, nn

    graph = fx.symbolic_trace(network).graph
    layers = dict(network.named_modules())
    names = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    return [name for name in names if isinstance(layers[name], nn.Conv2d) and names.count(name) == 1]


def keyed_feature_maps(
    network: "nn.Module", picture: NDArray[np.floating], key: "Key", layer: str | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Run the first part of a network on a shuffled picture, up to one layer.

    Parameters
    ----------
    network : torch.nn.Module
        Plain; reads float RGB (B, 3, H, W).
    picture : float array, shape (H, W, 3)
        In [0, 1], natural order, of the network's input size.
    key : Key
        The picture is shuffled under it and a fresh nonce.
    layer : str, optional
        Name of the layer; default: the first convolution.

    Returns
    -------
    tuple of float32 arrays
        The shuffled picture (H, W, 3), the layer's maps in shuffled order (C, h, w), and the same maps in natural
        order: equal to those of the plain network.

    Raises
    ------
    FigureError
        If the network has no such layer.
    """
    import torch
    from torch import fx

    from networks import convert
    from scrambler import Multiplexer

    names = map_layers(network)
    if not names or (layer is not None and layer not in names):
        shown = ", ".join(names) or "none"
        raise FigureError(f"no maps of layer {layer!r}: this network's layers are {shown}; name one of them")
    name = layer or names[0]
    traced = fx.symbolic_trace(network)
    (node,) = (n for n in traced.graph.nodes if n.op == "call_module" and n.target == name)
    (output,) = (n for n in traced.graph.nodes if n.op == "output")
    output.args = (node,)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    height, width = picture.shape[:2]
    keyed = convert(traced.eval(), key, (height, width)).eval()
    shuffled, nonce = Multiplexer(key).shuffle(np.ascontiguousarray(picture, np.float32), unit="pixel")
    with torch.inference_mode():
        frames = torch.from_numpy(np.array(shuffled)).permute(2, 0, 1)[None]
        maps = keyed(frames, nonce=[nonce])
        natural = keyed.unshuffle(maps, [nonce])
    return np.asarray(shuffled), maps[0].float().numpy(), natural[0].float().numpy()


def draw_feature_maps(
    network: "nn.Module",
    picture: NDArray[np.floating],
    key: "Key",
    layer: str | None = None,
    channels: int = 4,
) -> "Figure":
    """Draw a layer's maps as the keyed network holds them, and below them what they are in natural order.

    Parameters and errors as for :func:`keyed_feature_maps`; ``channels`` is how many maps are drawn, those that vary
    most.
    """
    shuffled, maps, natural = keyed_feature_maps(network, picture, key, layer)
    most_varied = np.argsort(-natural.std(axis=(1, 2)), kind="stable")[:channels]
    top: list[Panel] = [("shuffled picture", shuffled)]
    below: list[Panel] = [("plain picture", np.asarray(picture))]
    for number in sorted(most_varied.tolist()):
        top.append((f"map {number}, as the network holds it", _grey(maps[number])))
        below.append((f"map {number}, natural order", _grey(natural[number])))
    return draw_sheet([top, below])


def _grey(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map between black and white."""
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)

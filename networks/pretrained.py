"""Weights that come with the package, and weights files of the same form.

A weights file is a safetensors file whose metadata says which architecture it fills (``model``), its class names
(``classes``, JSON) and its input size. Shipped ones also have a model card beside them (``NAME.json``: recipe, data,
accuracy and the command that reproduces it).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from networks.checkpoint import WeightsError, halved, read_tensors, write_tensors
from networks.layers import luma
from networks.registry import build, model_entry

_FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Pretrained:
    """A network with what is needed to use it.

    Attributes
    ----------
    name : str
        Name or file it was loaded from.
    network : torch.nn.Module
        In evaluation mode, float32, on the CPU.
    classes : tuple of str
        Class names, by number.
    input_size : tuple of int
        Height and width of its input, in pixels.
    channels : int
        Of its input: 3 for RGB, 1 for grey.
    model : str
        Its architecture, by the name of :func:`networks.build`.
    """

    name: str
    network: nn.Module
    classes: tuple[str, ...]
    input_size: tuple[int, int]
    channels: int
    model: str

    def reading_rgb(self) -> nn.Module:
        """Return the network, behind the luma of RGB where it reads grey; convertible like any other."""
        return self.network if self.channels == 3 else nn.Sequential(luma(), self.network).eval()


def list_pretrained() -> list[str]:
    """Return the names of the shipped weights, sorted.

    >>> list_pretrained()
    ['cifar10-airbench94', 'mnist-conv5']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.safetensors"))


def model_card(name: str) -> dict[str, Any]:
    """Return the card of shipped weights: recipe, data, accuracy, command.

    Raises
    ------
    WeightsError
        If no weights of that name are shipped.
    """
    if name not in list_pretrained():
        raise WeightsError(f"no pretrained network is called {name!r}; choose one of {', '.join(list_pretrained())}")
    card: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text())
    return card


def load_network(name: str | Path) -> Pretrained:
    """Load shipped weights by name, or a weights file by path, with classes and input size.

    Raises
    ------
    WeightsError
        If there are no such weights, or the file is damaged or of another architecture.
    """
    shipped = str(name) in list_pretrained()
    path = _FOLDER / f"{name}.safetensors" if shipped else Path(name)
    if not shipped and path.suffix != ".safetensors":
        if path.exists():
            raise WeightsError(f"{path}: weights are read from files that end in .safetensors, and from no others")
        model_card(str(name))  # raises: not a file name, so it should have been one of ours
    tensors, metadata = read_tensors(path)
    model, classes, size = _description(path, metadata)
    network = build(model, len(classes), seed=0)
    single = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    try:
        network.load_state_dict(single)
    except RuntimeError:
        raise WeightsError(f"{path} does not fit the architecture {model} it names") from None
    return Pretrained(str(name), network.eval(), classes, size, model_entry(model).channels, model)


def _description(path: Path, metadata: dict[str, str]) -> tuple[str, tuple[str, ...], tuple[int, int]]:
    """Return architecture, class names and input size from a weights file's metadata, checked."""
    try:
        model, classes = metadata["model"], json.loads(metadata["classes"])
        height, width = json.loads(metadata["input_size"])
    except (KeyError, ValueError, TypeError):
        classes = None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise WeightsError(f"{path} does not say what it holds: its metadata needs model, classes and input_size")
    if not all(type(side) is int and 1 <= side <= 1 << 14 for side in (height, width)):
        raise WeightsError(f"{path} names an impossible input_size, {metadata['input_size']}")
    model_entry(model)
    return model, tuple(classes), (height, width)


def load_pretrained(name: str | Path) -> nn.Module:
    """Return a trained network in evaluation mode.

    Parameters
    ----------
    name : str or Path
        One of :func:`list_pretrained`, or a safetensors file that this package wrote.

    Returns
    -------
    torch.nn.Module
        Float32, on the CPU; takes RGB in [0, 1].

    Raises
    ------
    WeightsError
        If there are no such weights, or the file is damaged or of another architecture.
    """
    return load_network(name).network


def save_network(path: Path | str, network: nn.Module, model: str, classes: tuple[str, ...]) -> None:
    """Write weights in half precision, batch-norm statistics in single, with the metadata that loading needs."""
    size = model_entry(model).input_size
    metadata = {"model": model, "classes": json.dumps(classes), "input_size": json.dumps(size)}
    write_tensors(path, halved(network.state_dict()), metadata)

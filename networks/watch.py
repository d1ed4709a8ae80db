"""Notices when somebody puts another layer or parameter into a converted network."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import nn

from networks.errors import ConversionError

# What works pixel by pixel whatever its parameters, so that one may stand for another.
_EXCHANGEABLE = (nn.Linear, nn.BatchNorm2d, nn.Dropout, nn.ReLU, nn.GELU, nn.SiLU)


class Watch:
    """What a network's compiled graph was made with: its layers, and the tensors that the graph itself reads.

    Parameters
    ----------
    network : nn.Module
    tensors : iterable of str
        Names of the parameters and buffers that are read without a layer.
    """

    def __init__(self, network: nn.Module, tensors: Iterable[str]) -> None:
        self._entries: list[tuple[Mapping[str, Any], str, Any, str]] = [
            (module._modules, name, child, f"{path}.{name}" if path else name)
            for path, module in network.named_modules()
            for name, child in module.named_children()
        ]
        for path in tensors:
            home, _, name = path.rpartition(".")
            module = network.get_submodule(home)
            for table in (module._parameters, module._buffers):
                if name in table:
                    self._entries.append((table, name, table[name], path))

    def sees_change(self) -> bool:
        """Whether one of them was replaced."""
        return any(table.get(name) is not value for table, name, value, _ in self._entries)

    def replaced_layers(self) -> Iterator[tuple[str, Any, Any]]:
        """Give the name, the former and the new layer of each place where layers were exchanged."""
        for table, name, value, path in self._entries:
            if isinstance(value, nn.Module) and table.get(name) is not value:
                yield path, value, table.get(name)


def check_exchange(path: str, old: nn.Module, new: nn.Module | None) -> None:
    """Raise ConversionError unless ``new`` may stand for ``old`` in a converted network.

    Linear layers of as many inputs, and layers that work value by value, may: a new head for other classes, say.
    """
    fits = type(new) is type(old) and isinstance(old, _EXCHANGEABLE)
    if fits and isinstance(old, nn.Linear) and isinstance(new, nn.Linear):
        fits = old.in_features == new.in_features
    if not fits:
        raise ConversionError(
            f"layer {path!r} of a converted network was replaced ({type(old).__name__} by {type(new).__name__}), and "
            "its neighbours' tables know nothing of it: replace it in the plain model and convert that again"
        )

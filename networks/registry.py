"""The list of architectures: :func:`build` makes one by name."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from networks.airbench import AirBench94
from networks.vgg import VGG16BN
from scrambler.errors import ShuffleCamError


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """What the list knows of an architecture.

    Attributes
    ----------
    builder : callable
        Called with ``num_classes``.
    input_size : tuple of int
        Height and width it is usually trained at, in pixels.
    source : str
        Paper.
    """

    builder: Callable[[int], nn.Module]
    input_size: tuple[int, int]
    source: str


_MODELS = {
    "airbench94": ModelEntry(builder=AirBench94, input_size=(32, 32), source="Jordan 2024, arXiv 2404.00498"),
    "vgg16_bn": ModelEntry(builder=VGG16BN, input_size=(32, 32), source="Simonyan & Zisserman 2015, arXiv 1409.1556"),
}


def list_models() -> list[str]:
    """Return the names that :func:`build` takes, sorted.

    >>> list_models()
    ['airbench94', 'vgg16_bn']
    """
    return sorted(_MODELS)


def model_entry(name: str) -> ModelEntry:
    """Return the list's entry for ``name``.

    Raises
    ------
    ShuffleCamError
        If there is no such architecture.
    """
    if name not in _MODELS:
        raise ShuffleCamError(f"there is no model called {name!r}; choose one of {', '.join(list_models())}")
    return _MODELS[name]


def build(name: str, num_classes: int = 10, *, seed: int | None = None) -> nn.Module:
    """Return a freshly initialised network.

    Parameters
    ----------
    name : str
        One of :func:`list_models`.
    num_classes : int
        Size of the output.
    seed : int, optional
        Fixes the initial weights without touching torch's global generator; None draws from that generator.

    Returns
    -------
    torch.nn.Module
        Takes float RGB in [0, 1], shape (B, 3, H, W); normalises inside; returns logits (B, num_classes).

    Raises
    ------
    ShuffleCamError
        If there is no such architecture.

    Examples
    --------
    >>> sum(p.numel() for p in build("vgg16_bn", num_classes=10).parameters())
    33646666
    """
    entry = model_entry(name)
    if seed is None:
        return entry.builder(num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return entry.builder(num_classes)

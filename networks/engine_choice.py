"""Which engine a converted network's layers run by: chosen layer by layer, or by name for all of them."""

from torch import nn

from operators import KeyedAdaptiveAvgPool2d, KeyedAdaptiveMaxPool2d, KeyedAvgPool2d, KeyedConv2d, KeyedMaxPool2d

ENGINES = ("auto", "indirect", "gather")
_POOLS = (KeyedMaxPool2d, KeyedAvgPool2d, KeyedAdaptiveAvgPool2d, KeyedAdaptiveMaxPool2d)


def engine_setting(module: nn.Module, engine: str) -> tuple[str, object] | None:
    """Return the attribute and the value that make a layer run by an engine; None if there is nothing to set.

    Parameters
    ----------
    module : nn.Module
        Any; only keyed convolutions and pools have a choice.
    engine : {"auto", "indirect", "gather"}
        See :func:`networks.convert`.
    """
    if engine != "auto" and isinstance(module, KeyedConv2d):
        return "tries_indirect", engine == "indirect"
    if engine == "gather" and isinstance(module, _POOLS):
        return "engine", "gather"
    return None

"""Which numbers a training computes with: bfloat16 where the processor multiplies it in matrix units, else float32."""

import torch

from networks.errors import TrainingError


def check_precision(precision: str) -> None:
    """Raise :class:`TrainingError` unless ``precision`` is ``"auto"``, ``"bfloat16"`` or ``"float32"``."""
    if precision not in ("auto", "bfloat16", "float32"):
        raise TrainingError(f"precision must be auto, bfloat16 or float32, got {precision!r}")


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """Return whether a training autocasts to bfloat16.

    Parameters
    ----------
    precision : str
        ``"bfloat16"``, ``"float32"``, or ``"auto"``: bfloat16 on a GPU and on processors with AMX (measured: three to
        five times as fast there), float32 elsewhere, where bfloat16 is emulated and slower.
    device : torch.device
        Where the network is trained.

    Examples
    --------
    >>> uses_bfloat16("bfloat16", torch.device("cpu")), uses_bfloat16("float32", torch.device("cpu"))
    (True, False)
    """
    if precision != "auto":
        return precision == "bfloat16"
    if device.type != "cpu":
        return device.type == "cuda"
    # Not a public name yet, and missing from older releases.
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return probe is not None and bool(probe())

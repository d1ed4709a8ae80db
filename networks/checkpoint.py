"""Weights on disk: safetensors only, written to a temporary name and then renamed."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from scrambler.errors import ShuffleCamError
from scrambler.files import write_atomically


class WeightsError(ShuffleCamError):
    """A weights file is missing, damaged or of another architecture."""


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict in half precision, batch-norm statistics in single, for files that ship.

    >>> [str(t.dtype) for t in halved({"weight": torch.ones(2), "norm.running_var": torch.ones(2)}).values()]
    ['torch.float16', 'torch.float32']
    """
    return {
        name: tensor.half() if tensor.dtype is torch.float32 and "running_" not in name else tensor
        for name, tensor in tensors.items()
    }


def write_tensors(path: Path | str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write named tensors and text metadata atomically; the same ones always give the same bytes.

    Parameters
    ----------
    path : path
        Replaced if it exists.
    tensors : mapping of str to Tensor
        Any dtypes and devices; memory formats are not kept.
    metadata : mapping of str to str
        Public facts only: the file is not encrypted.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, _ordered(save(plain, dict(metadata))))


def _ordered(content: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted: the library writes them in another order each time."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors behind it stay aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def read_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what :func:`write_tensors` wrote.

    Returns
    -------
    tuple of dict
        Tensors by name, on the CPU, and the metadata.

    Raises
    ------
    WeightsError
        If the file is missing or no safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a readable safetensors file: {error}") from None

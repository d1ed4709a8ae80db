"""Deployment: a converted network as an ONNX file without its key, and a loader that supplies the tables.

The file holds the plain weights and the graph. Every table, and the slot tables of the frames, are inputs of it:
without them it computes nothing, and they are never written.
"""

import io
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from networks.engine_choice import engine_setting
from networks.errors import ConversionError
from networks.keyed import KeyedNetwork, Nonces
from networks.tracing import PROBE_BATCH
from operators.modules import KeyedModule
from scrambler import nonces_for
from scrambler.files import write_atomically

FRAMES, SLOT = "frames", "input_slot"
_OPSET = 17


def export_onnx(network: KeyedNetwork, path: str | os.PathLike[str]) -> None:
    """Write a converted network as an ONNX file whose tables are inputs, so that it holds no key.

    Parameters
    ----------
    network : KeyedNetwork
        In evaluation mode, on the CPU; not converted with ``mask=True``. It is not changed.
    path : path
        Replaced if it exists.

    Raises
    ------
    ConversionError
        If the network reads masked frames, is training, or has an operation that ONNX lacks.
    LockedError
        While the network is locked: its graph is read off a run.
    """
    if network.masked:
        raise ConversionError(
            "a network that reads masked or protected frames can't be exported: convert it without mask= and scheme="
        )
    if network.training:
        raise ConversionError("a network in training mode can't be exported: call eval() first")
    tables = tables_of(network)
    like = next(network.parameters(), torch.empty(0))
    frames = torch.zeros(PROBE_BATCH, network.frame_channels, *network.input_size, dtype=like.dtype)
    slot = network.slots([bytes([n] * 16) for n in range(PROBE_BATCH)])
    names, content = [FRAMES, SLOT, *tables], io.BytesIO()
    try:
        # The exporter that needs nothing but PyTorch calls itself old, and remarks on every size that it keeps.
        with _portable(network), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _WithTables(network, list(tables)).eval(),
                (frames, slot, *tables.values()),
                content,  # type: ignore[arg-type]  # it takes open files, though typed as paths
                input_names=names,
                output_names=["answers"],
                dynamic_axes={FRAMES: {0: "batch"}, SLOT: {0: "batch"}, "answers": {0: "batch"}},
                opset_version=_OPSET,
                do_constant_folding=False,
                dynamo=False,
            )
    except Exception as error:  # the exporter raises many types
        raise ConversionError(f"the network can't be exported to ONNX ({str(error).splitlines()[0]})") from error
    write_atomically(path, content.getvalue())


def tables_of(network: KeyedNetwork) -> dict[str, Tensor]:
    """Return every table of a network by name. They are as secret as its key."""
    network.require_unlocked()
    return {
        f"{path}.{name}": table
        for path, module in network.named_modules()
        if isinstance(module, KeyedModule)
        for name in sorted(module._non_persistent_buffers_set)
        if (table := module._buffers[name]) is not None
    }


class _WithTables(nn.Module):
    """A network whose tables are arguments."""

    def __init__(self, network: KeyedNetwork, names: list[str]) -> None:
        super().__init__()
        self.graph = fx.GraphModule(network, network._graph)
        self.names = names

    def forward(self, frames: Tensor, slot: Tensor, *tables: Tensor) -> Any:
        places = [(self.graph.get_submodule(path), leaf) for path, _, leaf in (n.rpartition(".") for n in self.names)]
        own = [module._buffers[leaf] for module, leaf in places]
        # torch.func.functional_call does this, but not under the exporter.
        for (module, leaf), table in zip(places, tables, strict=True):
            module._buffers[leaf] = table
        try:
            return self.graph(frames, slot)
        finally:
            for (module, leaf), kept in zip(places, own, strict=True):
                module._buffers[leaf] = kept


@contextmanager
def _portable(network: KeyedNetwork) -> Iterator[None]:
    """Let every layer run by PyTorch alone, as an exporter can follow it."""
    changed: list[tuple[nn.Module, str, Any]] = []
    for module in network.modules():
        setting = engine_setting(module, "gather")
        if setting is not None:
            changed.append((module, setting[0], getattr(module, setting[0])))
            setattr(module, *setting)
    # The fused attention that inference takes has no ONNX form.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, name, value in changed:
            setattr(module, name, value)


class OnnxNetwork:
    """An exported network in onnxruntime, with the tables of a key.

    Parameters
    ----------
    path : path
        Written by :func:`export_onnx`.
    network : KeyedNetwork
        Converted from the same architecture; it supplies tables and slot tables, and its weights are not used.

    Raises
    ------
    ConversionError
        If the file cannot be read or asks for tables that the network does not have, ``network`` is none, or
        onnxruntime is not installed.
    LockedError
        While the network is locked.
    """

    def __init__(self, path: str | os.PathLike[str], network: KeyedNetwork) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ConversionError("running ONNX files needs onnxruntime: install it first") from error
        if not isinstance(network, KeyedNetwork):
            raise ConversionError(f"network must be a converted network, got {type(network).__name__}: see convert()")
        if not Path(path).is_file():
            raise ConversionError(f"{path}: there is no such file; export_onnx() writes one")
        try:
            self._session = onnxruntime.InferenceSession(str(Path(path)), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises many types
            raise ConversionError(
                f"{path}: onnxruntime cannot read this file ({str(error).splitlines()[0].rpartition(': ')[2]})"
            ) from error
        self._network = network
        wanted = [entry.name for entry in self._session.get_inputs() if entry.name not in (FRAMES, SLOT)]
        tables: Mapping[str, Tensor] = tables_of(network)
        missing = [name for name in wanted if name not in tables]
        if missing:
            raise ConversionError(f"{path} asks for the table {missing[0]!r}, which this network does not have")
        self._tables = {name: tables[name].numpy() for name in wanted}
        shapes = {entry.name: tuple(entry.shape[1:]) for entry in self._session.get_inputs()}
        self._takes_slot = SLOT in shapes
        self._frame = shapes.get(FRAMES, ())
        like = next(network.parameters(), torch.empty(0))
        self._dtype = like.detach().cpu().numpy().dtype

    def __call__(self, frames: Tensor | NDArray[Any], nonce: Nonces) -> NDArray[Any]:
        """Return the answers for shuffled frames (B, C, H, W) with one nonce each.

        Raises
        ------
        ShuffleCamError
            If the frames have another size or type, nonces are missing, malformed or too few, or one is used twice.
        """
        array = np.asarray(frames.detach() if isinstance(frames, Tensor) else frames)
        if array.dtype != self._dtype:
            raise ConversionError(
                f"this network was exported for {self._dtype} frames, got {array.dtype}: convert them"
            )
        if array.shape[1:] != self._frame:
            wanted = ", ".join(map(str, self._frame))
            raise ConversionError(f"this network was exported for (B, {wanted}) frames, got {array.shape}")
        inputs: dict[str, Any] = {FRAMES: array, **self._tables}
        if self._takes_slot:
            inputs[SLOT] = self._network.slots(nonces_for(nonce, len(frames))).numpy()
        (answers,) = self._session.run(None, inputs)
        return np.asarray(answers)

    def __repr__(self) -> str:
        return f"OnnxNetwork({self._network.input_size[0]}x{self._network.input_size[1]})"

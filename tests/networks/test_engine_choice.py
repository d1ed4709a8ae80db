"""Which engine a converted network runs by: the answers stay, and what lies in memory is as said."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from networks import build, convert
from networks.errors import ConversionError
from operators import KeyedConv2d
from scrambler import Key, keyed_permutation, new_nonces

KEY, NONCES = Key.from_bytes(bytes(range(32))), new_nonces(2)


def thin() -> nn.Module:
    """Return a network whose layers have too few maps for the engine to be worth it."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(6, 5, 3, stride=2), nn.ReLU(), nn.Conv2d(5, 7, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(28, 4),
    )  # fmt: skip


def shuffled(frames: Tensor) -> Tensor:
    size = (frames.shape[2], frames.shape[3])
    moved = [keyed_permutation(KEY, size, nonce=one).shuffle(f) for f, one in zip(frames, NONCES, strict=True)]
    return torch.stack([torch.as_tensor(frame) for frame in moved])


class Recorder(TorchDispatchMode):
    """Keeps every tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.seen: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen += [one for one in (out if isinstance(out, tuple | list) else [out]) if isinstance(one, Tensor)]
        return out


def natural_maps(model: nn.Module, frames: Tensor) -> list[Tensor]:
    """Return the plain network's maps of 4x4 and more."""
    maps: list[Tensor] = [frames]
    hooks = [layer.register_forward_hook(lambda _m, _i, out: maps.append(out.clone())) for layer in model.modules()]
    model(frames)
    for hook in hooks:
        hook.remove()
    return [one for one in maps if one.ndim == 4 and min(one.shape[2:]) >= 4]


@pytest.mark.parametrize("engine", ["auto", "indirect", "gather"])
@pytest.mark.parametrize(("make", "size"), [(thin, (19, 23)), (lambda: build("airbench94_quarter", seed=1), (32, 32))])
def test_every_engine_gives_the_plain_answers(
    make: Callable[[], nn.Module], size: tuple[int, int], engine: str
) -> None:
    torch.manual_seed(0)
    model, frames = make().eval(), torch.rand(2, 3, *size)
    keyed = convert(model, KEY, size, engine=engine)
    assert keyed.engine_name == engine
    for _ in range(2):  # Locked and unlocked again, it has the same engine.
        with torch.no_grad():
            plain, got = model(frames), keyed(shuffled(frames), nonce=NONCES)
        torch.testing.assert_close(got, plain, rtol=1e-5, atol=1e-5 * float(plain.abs().max()))
        if engine != "auto":
            tries = {layer.tries_indirect for layer in keyed.modules() if isinstance(layer, KeyedConv2d)}
            assert tries == {engine == "indirect"}
        keyed.lock()
        keyed.unlock(KEY)


def test_the_engine_by_name_leaves_no_natural_map_in_memory_however_thin_the_layers() -> None:
    torch.manual_seed(0)
    model, frames = thin().eval(), torch.rand(2, 3, 19, 23)
    natural = natural_maps(model, frames)
    assert len(natural) > 5
    found = {}
    for engine in ("indirect", "gather"):
        keyed, delivered = convert(model, KEY, (19, 23), engine=engine), shuffled(frames)
        with torch.no_grad(), Recorder() as recorder:
            keyed(delivered, nonce=NONCES)
        assert len(recorder.seen) > 5
        found[engine] = sum(
            one.dtype == plain.dtype and one.shape == plain.shape and torch.allclose(one, plain, atol=1e-5)
            for one in recorder.seen for plain in natural
        )  # fmt: skip
    assert found["indirect"] == 0
    assert found["gather"] > 0  # The test sees what there is to be seen.


def test_other_types_and_gradients_go_by_the_portable_engine() -> None:
    model, frames = thin().eval().double(), torch.rand(2, 3, 19, 23, dtype=torch.float64)
    keyed = convert(model, KEY, (19, 23), engine="indirect")
    torch.testing.assert_close(keyed(shuffled(frames), nonce=NONCES), model(frames), rtol=1e-12, atol=1e-12)


def test_an_engine_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConversionError, match="engine must be one of auto, indirect, gather; got 'cudnn'"):
        convert(thin(), KEY, (19, 23), engine="cudnn")

"""A converted network as an ONNX file: the plain answers in onnxruntime, and no key in the file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import ConvNeXt, MobileNet, ResNet, UNet, VisionTransformer
from torch import Tensor, nn

from networks import ConversionError, LockedError, OnnxNetwork, convert, export_onnx
from networks.onnx_network import tables_of
from scrambler import Key, keyed_permutation
from scrambler.errors import ShuffleCamError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("one_thread")

KEY = Key.from_bytes(bytes(range(3, 35)))
SIZE = (12, 15)


def nonces(count: int) -> list[bytes]:
    return [bytes([n] * 16) for n in range(count)]


def seen(frames: Tensor) -> Tensor:
    orders = [keyed_permutation(KEY, SIZE, nonce=nonce) for nonce in nonces(len(frames))]
    return torch.stack([order.shuffle(frame) for order, frame in zip(orders, frames, strict=True)])


@pytest.mark.parametrize("family", [ResNet, UNet, MobileNet, ConvNeXt, VisionTransformer])
@torch.no_grad()
def test_onnxruntime_gives_the_plain_answers_without_a_table_in_the_file(
    family: type[nn.Module], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model = (family(SIZE) if family is VisionTransformer else family()).eval()
    keyed, path = convert(model, KEY, SIZE), tmp_path / "keyed.onnx"
    export_onnx(keyed, path)
    loaded = OnnxNetwork(path, keyed)
    for count in (1, 5):
        frames = torch.rand(count, 3, *SIZE)
        plain = model(frames)
        got = torch.from_numpy(loaded(seen(frames), nonces(count)))
        got = keyed.unshuffle(got) if got.ndim == 4 else got
        torch.testing.assert_close(got, plain, rtol=0, atol=1e-5 * float(plain.abs().max()))
    graph = onnx.load(path).graph
    stored = [onnx.numpy_helper.to_array(one) for one in graph.initializer]
    stored += [onnx.numpy_helper.to_array(a.t) for node in graph.node for a in node.attribute if a.name == "value"]
    whole = [array.ravel() for array in stored if array.dtype.kind in "iu" and array.size >= 6]
    for name, table in tables_of(keyed).items():
        assert not [name for array in whole if array.size == table.numel() and np.array_equal(array, table.ravel())]
    assert KEY.to_bytes() not in path.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["keyed.onnx"]


@torch.no_grad()
def test_another_key_in_the_loader_gives_other_answers(tmp_path: Path) -> None:
    model = ResNet().eval()
    export_onnx(convert(model, KEY, SIZE), tmp_path / "keyed.onnx")
    frames = torch.rand(2, 3, *SIZE)
    wrong = OnnxNetwork(tmp_path / "keyed.onnx", convert(model, Key.generate(), SIZE))
    assert np.abs(wrong(seen(frames), nonces(2)) - model(frames).numpy()).max() > 1e-3


def test_a_network_of_grey_frames_is_exported_too(tmp_path: Path) -> None:
    keyed = convert(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(1), nn.Linear(2 * 4 * 5, 3)).eval(), KEY, (6, 7), channels=1
    )
    export_onnx(keyed, tmp_path / "grey.onnx")
    frames = torch.rand(2, 1, 6, 7)
    answers = OnnxNetwork(tmp_path / "grey.onnx", keyed)(frames, nonces(2))
    np.testing.assert_allclose(answers, keyed(frames, nonces(2)).detach().numpy(), atol=1e-6)


def test_exporting_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    keyed = convert(ResNet().eval(), KEY, SIZE)
    before = {name: dict(vars(module)) for name, module in keyed.named_modules()}
    export_onnx(keyed, tmp_path / "keyed.onnx")
    for name, module in keyed.named_modules():
        assert {k: v for k, v in vars(module).items() if isinstance(v, (str, bool))} == {
            k: v for k, v in before[name].items() if isinstance(v, (str, bool))
        }


def test_what_cannot_be_exported_or_loaded_is_named(tmp_path: Path) -> None:
    keyed, path = convert(ResNet().eval(), KEY, SIZE), tmp_path / "keyed.onnx"
    export_onnx(keyed, path)
    with pytest.raises(ConversionError, match="asks for the table"):
        OnnxNetwork(path, convert(UNet().eval(), KEY, SIZE))
    with pytest.raises(ConversionError, match=r"none.onnx: there is no such file"):
        OnnxNetwork(tmp_path / "none.onnx", keyed)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ConversionError, match=r"text.onnx: onnxruntime cannot read this file"):
        OnnxNetwork(tmp_path / "text.onnx", keyed)
    with pytest.raises(ConversionError, match="got Key"):
        OnnxNetwork(path, KEY)
    with pytest.raises(ConversionError, match=r"exported for \(B, 3, .* frames, got \(1, 2, 9, 9\)"):
        OnnxNetwork(path, keyed)(torch.rand(1, 2, 9, 9), nonces(1))
    with pytest.raises(ShuffleCamError, match="nonce"):
        OnnxNetwork(path, keyed)(torch.rand(2, 3, *SIZE), nonces(1))
    with pytest.raises(ConversionError, match="eval"):
        export_onnx(convert(ResNet().train(), KEY, SIZE), path)
    with pytest.raises(ConversionError, match="mask"):
        export_onnx(convert(nn.Sequential(nn.Conv2d(3, 2, 3)).eval(), KEY, SIZE, mask=True), path)
    keyed.lock()
    for call in (lambda: export_onnx(keyed, path), lambda: OnnxNetwork(path, keyed)):
        with pytest.raises(LockedError):
            call()

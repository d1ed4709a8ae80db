"""A network converted with mask=True reads shuffled and masked frames and gives the plain network's answers."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from networks import ConversionError, build, convert
from networks.layers import Normalize, Scale
from operators import MaskedConv2d, masked_conv2d
from operators.errors import OperatorError
from scrambler import Key, Multiplexer, ShuffleCamError, keyed_permutation, mask_of, scheme

KEY = Key.from_bytes(bytes(range(32)))
NONCES = [bytes([n] * 16) for n in range(5)]


def drawn(count: int, size: tuple[int, int], dtype: type = np.uint8) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, (count, *size, 3)).astype(dtype)


def tensor(images: NDArray[np.uint8]) -> Tensor:
    """Images (B, H, W, C) as frames (B, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))


def protected(images: NDArray[np.uint8]) -> Tensor:
    values = scheme("shuffle+mask", key=KEY).protect(images, nonce=NONCES[: len(images)]).values
    return tensor(values)


class Branches(nn.Module):
    """Two convolutions read the frame, one of them with padding, stride, groups and nothing before it."""

    def __init__(self) -> None:
        super().__init__()
        self.normalize = Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
        self.dim = Scale(0.5)
        self.wide = nn.Conv2d(3, 4, (3, 5), padding=(1, 2))
        self.grouped = nn.Conv2d(3, 6, 3, padding=1, dilation=1, groups=3, bias=False)
        self.point = nn.Conv2d(3, 2, 1)
        self.head = nn.Conv2d(12, 5, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dim(self.normalize(x))
        return self.head(torch.cat([self.wide(y), self.grouped(x), self.point(y)], 1).relu()).mean((2, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_one_layer_by_hand(dtype: type) -> None:
    # One row of three pixels, readout order 2 0 1; the taps of a 1x2 kernel with one column of zeros at each side.
    plain = np.array([10, 20, 30], dtype)
    mask = np.array([7, 0, 255], dtype)
    masked = torch.from_numpy((plain[[2, 0, 1]] ^ mask).reshape(1, 1, 1, 3))
    slot = torch.tensor([1, 2, 0])
    index = torch.tensor([[3, slot[0]], [slot[0], slot[1]], [slot[1], slot[2]], [slot[2], 3]])
    white = np.iinfo(dtype).max
    weight = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64) * white
    out = masked_conv2d(masked, torch.from_numpy(mask.astype(np.int32))[:, None], index, weight)
    assert out.flatten().tolist() == [20.0, 50.0, 80.0, 30.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(9, 14), (13, 8)])
def test_masked_equals_plain_with_a_nonce_per_frame(size: tuple[int, int], dtype: type) -> None:
    torch.manual_seed(0)
    model = Branches().double().eval()
    images = drawn(4, size, dtype)
    keyed = convert(model, KEY, size, mask=True)
    with torch.no_grad():
        plain = model(tensor(images).double() / np.iinfo(dtype).max)
        torch.testing.assert_close(keyed(protected(images), nonce=NONCES[:4]), plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["airbench94", "vgg16_bn"])
def test_the_shipped_architectures_read_masked_frames_and_give_what_they_give_for_unmasked_ones(name: str) -> None:
    model = build(name, seed=1).eval()
    images = drawn(3, (32, 32))
    shuffled = np.stack(
        [
            keyed_permutation(KEY, (32, 32), nonce).shuffle(image, channels_last=True)
            for image, nonce in zip(images, NONCES[:3], strict=True)
        ]
    )
    with torch.no_grad():
        unmasked = convert(model, KEY, (32, 32))(tensor(shuffled).float() / 255, nonce=NONCES[:3])
        masked = convert(model, KEY, (32, 32), mask=True)(protected(images), nonce=NONCES[:3])
    torch.testing.assert_close(masked, unmasked, rtol=1e-5, atol=1e-5 * float(unmasked.abs().max()))


def test_other_readout_patterns_are_unmasked_too() -> None:
    model, images = Branches().double().eval(), drawn(1, (8, 12))
    shuffled = (
        Multiplexer(KEY, "tiles:4", "pixel").permutation((8, 12), NONCES[0]).shuffle(images[0], channels_last=True)
    )
    masked = tensor((shuffled ^ mask_of(KEY, NONCES[0], (8, 12, 3), np.uint8))[None])
    with torch.no_grad():
        keyed = convert(model, KEY, (8, 12), pattern="tiles:4", mask=True)
        torch.testing.assert_close(keyed(masked, nonce=NONCES[:1]), model(tensor(images).double() / 255))


def test_one_nonce_for_a_batch_a_wrong_key_and_an_empty_batch() -> None:
    model, images = Branches().double().eval(), drawn(3, (9, 14))
    with pytest.warns(UserWarning, match="share one nonce"):
        values = scheme("shuffle+mask", key=KEY, fixed_nonce=True).protect(images, nonce=NONCES[0]).values
    keyed = convert(model, KEY, (9, 14), mask=True)
    with torch.no_grad():
        plain = model(tensor(images).double() / 255)
        with pytest.warns(UserWarning, match="share one nonce"):
            torch.testing.assert_close(keyed(tensor(values), nonce=NONCES[0], fixed_nonce=True), plain)
        wrong = convert(model, Key.generate(), (9, 14), mask=True)(protected(images), nonce=NONCES[:3])
        assert (wrong - plain).abs().max() > 1e-3
        assert keyed(torch.zeros(0, 3, 9, 14, dtype=torch.uint8), nonce=[]).shape == (0, 5)


def test_no_tensor_between_input_and_first_layer_holds_the_frame_without_its_mask() -> None:
    model, images = Branches().eval(), drawn(1, (9, 14))
    keyed = convert(model, KEY, (9, 14), mask=True)
    seen = protected(images)
    calls = [node for node in keyed._graph.nodes if node.op == "call_module"]
    frame = next(node for node in keyed._graph.nodes if node.op == "placeholder")
    readers = [node for node in calls if frame in node.all_input_nodes]
    assert {type(keyed.get_submodule(str(node.target))) for node in readers} == {MaskedConv2d}
    # Shuffled and masked values have no more in common with the frame than noise: 3/256 of 378 values agree by chance.
    assert (np.sort(seen.numpy().ravel()) == np.sort(images.ravel())).mean() < 0.2


def test_state_dict_is_the_plain_one() -> None:
    model = build("airbench94", seed=0)
    keyed = convert(model, KEY, (32, 32), mask=True)
    assert {n: t.shape for n, t in keyed.state_dict().items()} == {n: t.shape for n, t in model.state_dict().items()}


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x).mean((2, 3))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 2, 3)), r"layer '0' \(MaxPool2d\).*masked"),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(3, 2, 3)), r"layer '0' \(ReLU\).*masked"),
        (Pooled(), r"layer 'norm' \(BatchNorm2d\).*masked"),
        (nn.Sequential(Scale(2.0), nn.Identity()), "returns the masked frame"),
    ],
)
def test_what_cannot_take_a_mask_off_is_refused_by_name(model: nn.Module, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        convert(model, KEY, (9, 14), mask=True)


def test_bad_calls_are_named() -> None:
    keyed = convert(Branches().eval(), KEY, (9, 14), mask=True)
    with pytest.raises(ShuffleCamError, match="uint8 or uint16"):
        keyed(torch.rand(1, 3, 9, 14), nonce=NONCES[:1])
    with pytest.raises(ShuffleCamError, match="nonces"):
        keyed(torch.zeros(1, 3, 9, 14, dtype=torch.uint8))
    masked, index = torch.zeros(1, 1, 1, 3, dtype=torch.uint8), torch.tensor([[0]])
    with pytest.raises(OperatorError, match="masks must have the shape"):
        masked_conv2d(masked, torch.zeros(4, 1), index, torch.ones(1, 1, 1, 1))
    with pytest.raises(OperatorError, match="uint8 or uint16"):
        masked_conv2d(masked.float(), torch.zeros(3, 1), index, torch.ones(1, 1, 1, 1))

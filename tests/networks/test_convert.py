"""A converted network gives the plain network's answers on shuffled frames, whatever the architecture."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks import build, convert
from scrambler import Key, Multiplexer, keyed_permutation, new_nonces
from scrambler.errors import FixedNonceError, ShuffleCamError

pytestmark = pytest.mark.usefixtures("one_thread")

KEY = Key.from_bytes(bytes(range(32)))
NONCES = [bytes([n] * 16) for n in range(8)]


class Residual(nn.Module):
    """Strided residual block, squeeze-and-excite, and a head on a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.a = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.b = nn.Conv2d(8, 8, (3, 5), padding="same", dilation=(1, 2))
        self.squeeze = nn.Conv2d(8, 8, 1)
        self.short = nn.Conv2d(8, 12, 1, stride=2)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1, padding_mode="reflect")
        self.head = nn.LazyLinear(5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)))
        x = x + self.b(F.gelu(self.a(x)))
        x = x * torch.sigmoid(self.squeeze(F.adaptive_avg_pool2d(x, 1)))
        x = self.down(x) + self.short(x)
        return self.head(torch.flatten(F.max_pool2d(x, 3, stride=1, padding=1), 1))


class Inception(nn.Module):
    """Branches of different kernels, concatenated; overlapping pools; the mean as head."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, 4, 5, padding=2)
        self.narrow = nn.Conv2d(3, 4, 1)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.reduce = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.mix = nn.Conv2d(11, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.wide(x), self.narrow(x), self.pool(x)], dim=1)
        return self.mix(self.reduce(x)).mean((2, 3))


class Segmenter(nn.Module):
    """Fully convolutional: its output is a map."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def shuffled(frames: Tensor, nonces: list[bytes], key: Key = KEY) -> Tensor:
    """Shuffle each frame under its nonce with nothing but an index."""
    out = []
    for frame, nonce in zip(frames, nonces, strict=True):
        source = torch.from_numpy(keyed_permutation(key, frame[0].numel(), nonce=nonce).source.astype("int64"))
        out.append(frame.flatten(1)[:, source].view_as(frame))
    return torch.stack(out)


def randomised(model: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Return the model in evaluation mode with batch-norm statistics that are not the trivial ones."""
    torch.manual_seed(3)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(6, 3, *size))
    return model.eval()


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (Residual, (13, 18)), (Residual, (16, 11)), (Inception, (9, 14)),
        (lambda: build("airbench94", seed=1), (32, 32)),
        (lambda: build("vgg16_bn", seed=1), (32, 32)), (lambda: build("vgg16_bn", num_classes=3, seed=1), (38, 65)),
    ],
)  # fmt: skip
def test_keyed_equals_plain_with_a_nonce_per_frame(make: Callable[[], nn.Module], size: tuple[int, int]) -> None:
    model = randomised(make(), size).double()
    keyed = convert(model, KEY, size)
    frames = torch.rand(3, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain, got = model(frames), keyed(shuffled(frames, NONCES[:3]), nonce=NONCES[:3])
    torch.testing.assert_close(got, plain, rtol=1e-10, atol=1e-10 * float(plain.abs().max()))


def test_integers_pass_bit_for_bit() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, stride=2),
        nn.Flatten(),
        nn.Linear(20, 3),
    )
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=generator) / 2)
    frames = torch.randint(0, 16, (4, 3, 10, 13), generator=generator).float()
    keyed = convert(model, KEY, (10, 13))
    with torch.no_grad():
        torch.testing.assert_close(keyed(shuffled(frames, NONCES[:4]), nonce=NONCES[:4]), model(frames), rtol=0, atol=0)


def test_a_wrong_key_or_nonce_changes_the_answer() -> None:
    model = randomised(build("airbench94", seed=1), (32, 32))
    frames = torch.rand(2, 3, 32, 32)
    seen = shuffled(frames, NONCES[:2])
    with torch.no_grad():
        right = convert(model, KEY, (32, 32))(seen, nonce=NONCES[:2])
        wrong_key = convert(model, Key.generate(), (32, 32))(seen, nonce=NONCES[:2])
        wrong_nonce = convert(model, KEY, (32, 32))(seen, nonce=NONCES[2:4])
    assert (right - wrong_key).abs().max() > 1e-2
    assert (right - wrong_nonce).abs().max() > 1e-2


def test_maps_come_out_shuffled_and_unshuffle_brings_them_back() -> None:
    model = Segmenter().double().eval()
    keyed = convert(model, KEY, (11, 14))
    frames = torch.rand(3, 3, 11, 14, dtype=torch.float64)
    with torch.no_grad():
        plain, maps = model(frames), keyed(shuffled(frames, NONCES[:3]), nonce=NONCES[:3])
    assert not torch.allclose(maps, plain)
    torch.testing.assert_close(keyed.unshuffle(maps), plain)
    torch.testing.assert_close(keyed.unshuffle(maps.argmax(1)), plain.argmax(1))


def test_a_map_in_the_frames_own_order_needs_their_nonces_to_unshuffle() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Sigmoid()).eval()
    keyed = convert(model, KEY, (5, 7))
    frames = torch.rand(2, 3, 5, 7)
    with torch.no_grad():
        plain, maps = model(frames), keyed(shuffled(frames, NONCES[:2]), nonce=NONCES[:2])
    torch.testing.assert_close(keyed.unshuffle(maps, NONCES[:2]), plain)
    with pytest.raises(ShuffleCamError, match="no pixel order"):
        convert(nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), KEY, (5, 7)).unshuffle(maps)


@pytest.mark.parametrize("pattern", ["rows", "columns", "rows+columns", "tiles:4"])
def test_other_readout_patterns_are_read_too(pattern: str) -> None:
    model = Inception().double().eval()
    multiplexer = Multiplexer(KEY, pattern=pattern, unit="pixel")
    keyed = convert(model, KEY, (9, 14), pattern=pattern)
    frames = torch.rand(2, 3, 9, 14, dtype=torch.float64)
    seen = torch.stack(
        [multiplexer.permutation((9, 14), n).shuffle(f) for f, n in zip(frames, NONCES[:2], strict=True)]
    )
    with torch.no_grad():
        torch.testing.assert_close(keyed(seen, nonce=NONCES[:2]), model(frames))


def test_state_dict_is_the_plain_one_and_the_model_is_not_changed() -> None:
    model = build("airbench94", seed=0)
    before = copy.deepcopy(model.state_dict())
    keyed = convert(model, KEY, (32, 32))
    assert list(keyed.state_dict()) == list(before)
    for name, tensor in keyed.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    other = convert(build("airbench94", seed=9), Key.generate(), (32, 32))
    other.load_state_dict(model.state_dict())
    assert {n: t.shape for n, t in model.state_dict().items()} == {n: t.shape for n, t in before.items()}


def test_a_keyed_network_cannot_be_pickled_and_its_repr_holds_no_table() -> None:
    keyed = convert(build("airbench94", seed=0), KEY, (32, 32))
    with pytest.raises(ShuffleCamError, match="tables are the key"):
        pickle.dumps(keyed)
    assert KEY.to_bytes().hex() not in repr(keyed)
    assert "tensor(" not in repr(keyed)


def test_gradients_are_those_of_plain_training() -> None:
    model = randomised(Residual(), (13, 18)).double()
    keyed = convert(model, KEY, (13, 18))
    frames = torch.rand(4, 3, 13, 18, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3])
    F.cross_entropy(model(frames), labels).backward()
    F.cross_entropy(keyed(shuffled(frames, NONCES[:4]), nonce=NONCES[:4]), labels).backward()
    gradients = dict(keyed.named_parameters())
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name].grad, parameter.grad, rtol=1e-10, atol=1e-12)


def test_it_moves_to_another_dtype() -> None:
    model = Residual().eval()
    model(torch.rand(1, 3, 13, 18))
    keyed = convert(model, KEY, (13, 18)).double()
    frames = torch.rand(2, 3, 13, 18, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(
            keyed(shuffled(frames, NONCES[:2]), nonce=NONCES[:2]), copy.deepcopy(model).double()(frames)
        )


def test_one_nonce_for_many_frames_is_asked_for_twice() -> None:
    keyed = convert(nn.Sequential(nn.Conv2d(3, 1, 3)), KEY, (5, 5))
    frames = torch.rand(17, 3, 5, 5)
    assert keyed(frames[:1], nonce=NONCES[0]).shape == (1, 1, 3, 3)
    with pytest.raises(FixedNonceError):
        keyed(frames[:2], nonce=NONCES[0])
    with pytest.raises(FixedNonceError, match="allow_many"):
        keyed(frames, nonce=NONCES[0], fixed_nonce=True)
    with pytest.warns(UserWarning, match="17 frames"):
        assert len(keyed(frames, nonce=NONCES[0], fixed_nonce=True, allow_many=True)) == 17


def test_an_empty_batch_gives_an_empty_answer() -> None:
    keyed = convert(nn.Sequential(nn.Conv2d(3, 1, 3)), KEY, (5, 5))
    assert keyed(torch.rand(0, 3, 5, 5), nonce=[]).shape == (0, 1, 3, 3)


def test_bad_calls_are_named() -> None:
    keyed = convert(nn.Sequential(nn.Conv2d(3, 1, 3)), KEY, (5, 5))
    with pytest.raises(ShuffleCamError, match="nonce"):
        keyed(torch.rand(1, 3, 5, 5))
    with pytest.raises(ShuffleCamError, match=r"converted for \(B, 3, 5, 5\)"):
        keyed(torch.rand(1, 3, 6, 5), nonce=new_nonces(1))
    with pytest.raises(ShuffleCamError, match="2 frames"):
        keyed(torch.rand(2, 3, 5, 5), nonce=new_nonces(1))


def test_the_plan_tells_what_was_done() -> None:
    plan = convert(build("airbench94", seed=0), KEY, (32, 32)).plan
    assert [row.layer for row in plan[:3]] == ["whiten", "groups.0.0", "groups.0.1"]
    assert plan[0].input_size == (32, 32)
    assert plan[0].output_size == (31, 31)

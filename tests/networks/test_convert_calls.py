"""What a converted network does around its layers: batches, exchanged layers, several answers, compilers, types."""

from collections import namedtuple
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from architectures import ResNet, VisionTransformer
from torch import Tensor, nn

from networks import ConversionError, KeyedNetwork, channel_permutation, convert
from scrambler import Key, keyed_permutation
from scrambler.errors import ShuffleCamError

pytestmark = pytest.mark.usefixtures("one_thread")

KEY = Key.from_bytes(bytes(range(3, 35)))
NONCES = [bytes([n + 1] * 16) for n in range(3)]
SIZE = (13, 18)


class Calls(nn.Module):
    """A function of the frame itself, then a convolution where the result is a map."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x * self.scale)


def shuffled(frames: Tensor) -> Tensor:
    size = (frames.shape[2], frames.shape[3])
    orders = [keyed_permutation(KEY, size, nonce=nonce) for nonce in NONCES[: len(frames)]]
    return torch.stack([order.shuffle(frame) for order, frame in zip(orders, frames, strict=True)])


def frames_of(channels: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(3, channels, *SIZE, dtype=dtype, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[0], lambda x: x[:1], lambda x: x.flip(0), lambda x: x.mean(0), lambda x: x.mean(0, True) + x,
        lambda x: x.roll(1, 0), lambda x: x.transpose(0, 1), lambda x: x.reshape(-1, 1, *SIZE), lambda x: x.softmax(0),
        lambda x: torch.cat([x, x]), lambda x: x.cumsum(0), lambda x: x[torch.tensor([1, 0])],
    ],
)  # fmt: skip
def test_frames_of_a_batch_are_not_mixed_while_each_has_its_own_order(function: Callable[[Tensor], Tensor]) -> None:
    # As many channels as the converter's own probes have frames.
    with pytest.raises(ConversionError, match="frames of a batch"):
        convert(Calls(function), KEY, SIZE, channels=2)


@torch.no_grad()
def test_behind_a_convolution_frames_may_be_picked_and_mixed() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return y.flip(0) + y.mean(0, keepdim=True) + y[0]

    model = Net().double()
    keyed, frames = convert(model, KEY, SIZE), frames_of(dtype=torch.float64)
    torch.testing.assert_close(keyed.unshuffle(keyed(shuffled(frames), nonce=NONCES)), model(frames))


@torch.no_grad()
def test_a_new_head_is_used() -> None:
    model = ResNet().eval()
    keyed, frames = convert(model, KEY, SIZE), frames_of()
    keyed(shuffled(frames), nonce=NONCES)
    model.head = keyed.head = nn.Linear(12, 9)
    torch.testing.assert_close(keyed(shuffled(frames), nonce=NONCES), model(frames), rtol=1e-5, atol=1e-5)
    assert keyed.state_dict()["head.weight"].shape == (9, 12)


@torch.no_grad()
def test_a_new_parameter_is_used() -> None:
    model = VisionTransformer(SIZE).eval()
    keyed, frames = convert(model, KEY, SIZE), frames_of()
    keyed(shuffled(frames), nonce=NONCES)
    model.where = keyed.where = nn.Parameter(torch.randn_like(model.where))
    torch.testing.assert_close(keyed(shuffled(frames), nonce=NONCES), model(frames), rtol=1e-5, atol=1e-5)
    other = VisionTransformer(SIZE).eval()
    keyed.load_state_dict(other.state_dict(), assign=True)
    torch.testing.assert_close(keyed(shuffled(frames), nonce=NONCES), other(frames), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("path", "layer"),
    [("blocks.0.one.0", nn.Conv2d(8, 8, 3, 1, 1)), ("head", nn.Linear(6, 5)), ("head", nn.Sequential()),
     ("blocks", nn.Sequential()), ("blocks.1.short.0", nn.Identity())],
)  # fmt: skip
def test_a_layer_that_knows_nothing_of_the_tables_is_refused_by_name(path: str, layer: nn.Module) -> None:
    keyed = convert(ResNet().eval(), KEY, SIZE)
    home, _, name = path.rpartition(".")
    setattr(keyed.get_submodule(home), name, layer)
    for _ in range(2):
        with pytest.raises(ConversionError, match=f"layer '{path}' of a converted network was replaced.*convert"):
            keyed(shuffled(frames_of()), nonce=NONCES)


Both = namedtuple("Both", ["label", "mask"])


@torch.no_grad()
def test_several_answers_come_out_as_the_plain_network_gives_them() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            y = self.conv(x)
            return {"mask": y, "labels": (y.mean((2, 3)), x)}

    model = Net().double()
    keyed, frames = convert(model, KEY, SIZE), frames_of(dtype=torch.float64)
    out, plain = keyed(shuffled(frames), nonce=NONCES), model(frames)
    torch.testing.assert_close(out["labels"][0], plain["labels"][0])
    torch.testing.assert_close(keyed.unshuffle(out, NONCES), plain)
    with pytest.raises(ShuffleCamError, match="3 values: give all"):
        keyed.unshuffle(out["mask"], NONCES)


@torch.no_grad()
def test_an_answer_that_only_export_can_follow_keeps_its_type() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.BatchNorm2d(4)
            self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Both:
            batch, *_ = x.shape  # torch.fx cannot take this apart
            y = self.drop(F.relu(self.norm(self.conv(x)), inplace=True))[:, :, 1:, ::2]
            return Both(self.head(y.permute(0, 2, 3, 1)).reshape(batch, -1, 2).mean(1), y)

    model = Net().double().eval()
    keyed, frames = convert(model, KEY, SIZE), frames_of(dtype=torch.float64)
    assert keyed.plan[0].layer == "conv"
    plain, got = model(frames), keyed.unshuffle(keyed(shuffled(frames), nonce=NONCES), NONCES)
    assert isinstance(got, Both)
    torch.testing.assert_close(got, plain)
    assert keyed.train().drop.training
    assert not torch.equal(keyed(shuffled(frames), nonce=NONCES).label, got.label)


@torch.no_grad()
def test_under_autocast_it_computes_in_the_type_that_the_plain_network_does() -> None:
    model = ResNet().eval()
    keyed, frames = convert(model, KEY, SIZE), frames_of()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain, got = model(frames), keyed(shuffled(frames), nonce=NONCES)
    assert got.dtype == plain.dtype == torch.bfloat16
    torch.testing.assert_close(got, plain, rtol=0.02, atol=0.02)


@pytest.mark.slow
@torch.no_grad()
def test_it_may_be_compiled_and_the_tables_stay_out_of_the_compiled_code() -> None:
    keyed, frames = convert(ResNet().eval(), KEY, SIZE), frames_of()
    graphs: list[torch.fx.GraphModule] = []

    def keeps(graph: torch.fx.GraphModule, example: list[Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(keyed, backend=keeps)
    for nonces in (NONCES, NONCES[::-1]):
        torch.testing.assert_close(compiled(frames, nonce=nonces), keyed(frames, nonce=nonces), rtol=1e-5, atol=1e-6)
    assert graphs
    for graph in graphs:
        # Tables arrive as inputs; nothing whole-numbered is a constant of the graph.
        assert not [tensor for tensor in graph.state_dict().values() if not tensor.is_floating_point()]
    torch._dynamo.reset()


def channelwise(frames: Tensor, nonces: list[bytes]) -> Tensor:
    return torch.stack([
        torch.stack([channel_permutation(KEY, SIZE, nonce, c).shuffle(plane.flatten()).view(SIZE)
                     for c, plane in enumerate(frame)])
        for frame, nonce in zip(frames, nonces, strict=True)
    ])  # fmt: skip


@pytest.mark.parametrize("keys", ["layer", "stem"])
@torch.no_grad()
def test_frames_with_a_key_for_each_channel_are_read(keys: str) -> None:
    model = ResNet().double().eval()
    keyed: KeyedNetwork = convert(model, KEY, SIZE, channel_keys=True, keys=keys)
    frames = frames_of(dtype=torch.float64)
    torch.testing.assert_close(keyed(channelwise(frames, NONCES), nonce=NONCES), model(frames))
    one = keyed(channelwise(frames[:1], NONCES[:1]), nonce=NONCES[0])
    torch.testing.assert_close(one, model(frames[:1]))
    assert (keyed.plan[0].kind, keyed.plan[0].reads, keyed.plan[0].writes) == ("KeyedChannels", "frame", "channels")
    keyed.lock()
    keyed.unlock(KEY)
    torch.testing.assert_close(keyed(channelwise(frames, NONCES), nonce=NONCES), model(frames))
    with pytest.raises(ShuffleCamError, match="nonces"):
        keyed(frames)
    with pytest.raises(ShuffleCamError, match=r"converted for \(B, 3, 13, 18\)"):
        keyed(frames[:, :2], nonce=NONCES)


def test_channel_keys_say_how_frames_were_shuffled() -> None:
    with pytest.raises(ConversionError, match="leave mask, scheme and pattern out"):
        convert(ResNet().eval(), KEY, SIZE, channel_keys=True, pattern="rows")


def test_frames_that_are_none_are_refused_in_one_sentence() -> None:
    keyed = convert(nn.Sequential(nn.Conv2d(3, 2, 3)), KEY, SIZE)
    for frames in (torch.rand(3, 4, *SIZE), torch.rand(3, *SIZE), torch.rand(3, 3, *SIZE[::-1])):
        with pytest.raises(ShuffleCamError, match=r"converted for \(B, 3, 13, 18\) frames, got"):
            keyed(frames, NONCES)
    with pytest.raises(ShuffleCamError, match=r"torch tensor \(B, C, H, W\), got ndarray"):
        keyed(frames_of().numpy(), NONCES)


def test_maps_in_natural_order_stay_as_they_are() -> None:
    keyed, frames = convert(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1)), KEY, SIZE, keys="stem"), frames_of()
    maps = keyed(shuffled(frames), NONCES)
    torch.testing.assert_close(maps, keyed.unshuffle(maps, NONCES), rtol=0, atol=0)

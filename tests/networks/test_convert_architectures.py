"""Networks of many families give the plain answers on shuffled frames, at several sizes and batches."""

import pytest
import torch
import torch.nn.functional as F
from architectures import (
    ConvMixer,
    ConvNeXt,
    DenseNet,
    Functional,
    Inception,
    Mixer,
    MobileNet,
    PreResNet,
    ResNet,
    SegFormer,
    Shared,
    ShuffleNet,
    SqueezeExcite,
    SuperResolution,
    UNet,
    VisionTransformer,
    WrittenOutAttention,
)  # fmt: skip
from torch import Tensor, nn

from networks import KeyedNetwork, convert
from scrambler import Key, keyed_permutation

KEY = Key.from_bytes(bytes(range(1, 33)))
SIZED = (VisionTransformer, WrittenOutAttention, Mixer, SuperResolution, Functional)
FAMILIES = [
    ConvMixer, ConvNeXt, DenseNet, Functional, Inception, Mixer, MobileNet, PreResNet, ResNet, SegFormer, Shared,
    ShuffleNet, SqueezeExcite, SuperResolution, UNet, VisionTransformer, WrittenOutAttention,
]  # fmt: skip

# PyTorch's own remark on the plain ConvMixer.
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]


def nonces(count: int) -> list[bytes]:
    return [bytes([n + 1] * 16) for n in range(count)]


def shuffled(frames: Tensor) -> Tensor:
    """Shuffle each frame under its nonce with nothing but an index."""
    orders = [keyed_permutation(KEY, frames[0, 0].numel(), nonce=nonce) for nonce in nonces(len(frames))]
    return torch.stack(
        [f.flatten(1)[:, o.source.astype("int64")].view_as(f) for f, o in zip(frames, orders, strict=True)]
    )


def made(family: type[nn.Module], size: tuple[int, int]) -> nn.Module:
    """Return a network with statistics that are not the trivial ones, in float64 and evaluation mode."""
    torch.manual_seed(7)
    model = family(size) if family in SIZED else family()
    model.double().train()
    with torch.no_grad():
        model(torch.rand(4, 3, *size, dtype=torch.float64))
    return model.eval()


def frames_of(count: int, size: tuple[int, int]) -> Tensor:
    return torch.rand(count, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(count))


def answers(keyed: KeyedNetwork, frames: Tensor) -> Tensor:
    """Return the keyed answers in natural order."""
    out = keyed(shuffled(frames), nonce=nonces(len(frames)))
    return keyed.unshuffle(out, nonces(len(frames))) if out.ndim == 4 else out


@pytest.mark.parametrize("size", [(16, 12), (13, 18)])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_every_family_equals_its_plain_network(family: type[nn.Module], size: tuple[int, int]) -> None:
    model = made(family, size)
    keyed = convert(model, KEY, size)
    assert list(keyed.state_dict()) == list(model.state_dict())
    frames = frames_of(3, size)
    plain, got = model(frames), answers(keyed, frames)
    scale = float(plain.abs().max())
    torch.testing.assert_close(got, plain, rtol=0, atol=1e-11 * scale)
    assert torch.equal(got.argmax(1), plain.argmax(1))
    single = answers(keyed.float(), frames.float())
    torch.testing.assert_close(single.double(), plain, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_natural_order_after_the_stem_gives_the_same_answers(family: type[nn.Module]) -> None:
    model, size = made(family, (13, 18)), (13, 18)
    frames = frames_of(2, size)
    keyed = convert(model, KEY, size, keys="stem")
    out = keyed(shuffled(frames), nonce=nonces(2))
    plain = model(frames)
    torch.testing.assert_close(out, plain, rtol=0, atol=1e-11 * float(plain.abs().max()))
    assert {row.writes for row in keyed.plan} == {"natural"}


@pytest.mark.parametrize("family", [ResNet, VisionTransformer, UNet])
@pytest.mark.parametrize("batch", [0, 1, 64])
@torch.no_grad()
def test_any_batch_gives_the_same_answers(family: type[nn.Module], batch: int) -> None:
    model, size = made(family, (12, 15)), (12, 15)
    keyed, frames = convert(model, KEY, size), frames_of(batch, size)
    plain = model(frames)
    got = answers(keyed, frames) if batch else keyed(frames, nonce=[])
    torch.testing.assert_close(got, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("family", [ResNet, ConvNeXt, VisionTransformer, Functional, Mixer])
def test_one_training_step_has_the_plain_gradients(family: type[nn.Module]) -> None:
    size = (12, 15)
    model = made(family, size)
    keyed, frames = convert(model, KEY, size), frames_of(6, size)
    labels = torch.arange(6) % 5
    F.cross_entropy(model.train()(frames), labels).backward()
    F.cross_entropy(keyed.train()(shuffled(frames), nonce=nonces(6)), labels).backward()
    gradients = dict(keyed.named_parameters())
    assert gradients.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(gradients[name].grad, parameter.grad, rtol=1e-10, atol=1e-10)


def test_a_mask_is_learned_from_shuffled_frames_and_shuffled_masks() -> None:
    model, size = made(UNet, (12, 16)), (12, 16)
    keyed, frames = convert(model, KEY, size), frames_of(4, size)
    target = torch.randint(0, 3, (4, *size), generator=torch.Generator().manual_seed(1))
    F.cross_entropy(model(frames), target).backward()
    out = keyed(shuffled(frames), nonce=nonces(4))
    F.cross_entropy(keyed.unshuffle(out, nonces(4)), target).backward()
    for (name, parameter), twin in zip(model.named_parameters(), keyed.parameters(), strict=True):
        torch.testing.assert_close(twin.grad, parameter.grad, rtol=1e-10, atol=1e-12, msg=name)


@torch.no_grad()
def test_integers_pass_a_residual_u_shaped_network_bit_for_bit() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, 1)
            self.up, self.head = nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=(0, 1)), nn.Conv2d(12, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.one(x).relu()
            y = self.two(x)
            wide = F.interpolate(y, scale_factor=2, mode="bilinear")[:, :, :-1]
            return self.head(torch.cat([x + self.up(y), wide, F.pad(x, (1, -1, 0, 0), mode="reflect")], 1))

    model, size = Net(), (9, 14)
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        parameter.copy_(torch.randint(-3, 4, parameter.shape, generator=generator) / 2)
    frames = torch.randint(0, 16, (4, 3, *size), generator=generator).float()
    torch.testing.assert_close(answers(convert(model, KEY, size), frames), model(frames), rtol=0, atol=0)


def test_a_hundred_training_steps_follow_the_plain_loss_curve() -> None:
    size = (12, 15)
    model = made(ResNet, size).train()
    keyed, frames = convert(model, KEY, size), frames_of(8, size)
    labels, seen, losses = torch.arange(8) % 5, shuffled(frames), []
    for network, call in ((model, lambda: model(frames)), (keyed, lambda: keyed(seen, nonce=nonces(8)))):
        optimiser, curve = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9), []
        for _ in range(100):
            optimiser.zero_grad()
            loss = F.cross_entropy(call(), labels)
            loss.backward()
            optimiser.step()
            curve.append(loss.detach())
        losses.append(torch.stack(curve))
    assert losses[0][-1] < 0.2 * losses[0][0]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-7, atol=1e-9)

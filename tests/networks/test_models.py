"""The list of models: published sizes, shapes, seeds, files, learning, exact conversion."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from networks import build, convert, list_models, load_network
from networks.layers import Normalize
from networks.pretrained import save_network
from networks.registry import model_entry
from scrambler import Key, keyed_permutation
from scrambler.errors import ShuffleCamError

KEY = Key.from_bytes(bytes(range(1, 33)))
# Parameters and, where a source tells them, millions of multiply-adds.
PUBLISHED = {
    "airbench94": (1_972_792, 118),
    "airbench94_half": (None, 33),
    "vgg16_bn": (33_646_666, 332),
    "preresnet110": (1_730_522, 253),
    "preresnet164": (1_703_258, 248),
    "resnet18": (11_173_962, 555),
    "convmixer_256_8": (594_186, 148),
    "convmixer_512_16": (5_345_306, None),
    "ele_shakepyramid": (29_310_661, 4721),
    "lenet5": (61_706, None),
}
# Our own, so that a change does not go unnoticed.
OWN = {
    "airbench94_quarter": 127_096, "airbench96": 9_918_776, "conv5": 105_394, "cyclegan": 535_911,
    "deeplab_light": 1_200_788,
    "ele_preresnet20": 1_097_450, "le_preresnet20": 287_210, "le_shakepyramid": 28_500_421, "peep_mlp": 107_560,
    "pixelwise_resnet18": 11_190_986, "preresnet20": 272_282, "sit_autoencoder": 11_274_323,
    "transformation_network": 232_003, "unet": 1_964_267,
}  # fmt: skip
LARGE = ["vgg16_bn", "vgg13_bn", "vgg19_bn", "preresnet110", "preresnet164", "le_shakepyramid", "ele_shakepyramid"]
QUICK = [name for name in list_models() if name not in [*LARGE, "convmixer_512_16"]]
PICTURES = ["transformation_network", "cyclegan"]

pytestmark = pytest.mark.usefixtures("one_thread")


def without_memory(name: str, num_classes: int | None = None) -> nn.Module:
    with torch.device("meta"):
        return build(name, num_classes).eval()


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def size_for_tests(name: str) -> tuple[int, int]:
    """Return the usual size, a small odd one for networks that take any."""
    return (45, 60) if model_entry(name).num_classes == 11 else model_entry(name).input_size


def test_every_model_has_a_size_to_compare_with() -> None:
    assert {"vgg11_bn", "vgg13_bn", "vgg19_bn"} == set(list_models()) - set(PUBLISHED) - set(OWN)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_parameters_and_multiply_adds_are_the_published_ones(name: str) -> None:
    wanted, millions = PUBLISHED[name]
    model, entry = without_memory(name), model_entry(name)
    assert wanted is None or parameters(model) == wanted
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, entry.channels, *entry.input_size, device="meta"))
    # Two operations each; sources round, or leave small layers out.
    assert millions is None or counter.get_total_flops() / 2e6 == pytest.approx(millions, abs=3)


@pytest.mark.parametrize("name", sorted(OWN))
def test_parameters_of_networks_without_a_published_count_stay_as_they_are(name: str) -> None:
    assert parameters(without_memory(name)) == OWN[name]


@pytest.mark.parametrize(("depth", "convolutions"), [(11, 8), (13, 10), (16, 13), (19, 16)])
def test_vgg_networks_have_the_layers_that_their_names_count(depth: int, convolutions: int) -> None:
    model = without_memory(f"vgg{depth}_bn", 100)
    kinds = [type(module) for module in model.modules()]
    assert (kinds.count(nn.Conv2d), kinds.count(nn.Linear), kinds.count(nn.MaxPool2d)) == (convolutions, 3, 5)
    if depth == 16:
        assert parameters(model) == 34_015_396  # with the hundred logits of PrivDL's code


def test_the_bottleneck_preresnet_has_164_layers() -> None:
    kinds = [type(m) for name, m in without_memory("preresnet164").named_modules() if "downsample" not in name]
    assert kinds.count(nn.Conv2d) + kinds.count(nn.Linear) == 164


@pytest.mark.parametrize("name", list_models())
def test_shapes_classes_and_the_norm_inside(name: str) -> None:
    entry = model_entry(name)
    model = without_memory(name, None if entry.num_classes is None else 7)
    height, width = size_for_tests(name)
    out = model(torch.empty(2, entry.channels, height, width, device="meta"))
    expected = {10: (2, 7), 40: (2, 7), 11: (2, 7, height, width), None: (2, 3, height, width)}
    assert out.shape == expected[entry.num_classes]
    assert name == "peep_mlp" or any(isinstance(module, Normalize) for module in model.modules())
    assert entry.source


@pytest.mark.parametrize("name", ["vgg11_bn", "preresnet20", "resnet18", "convmixer_256_8", "le_preresnet20"])
def test_classifiers_that_average_take_other_sizes(name: str) -> None:
    assert without_memory(name)(torch.empty(1, 3, 40, 64, device="meta")).shape == (1, 10)


@pytest.mark.parametrize("name", ["unet", "deeplab_light", "transformation_network"])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (13, 2)])
@torch.no_grad()
def test_networks_that_return_pictures_take_any_size(name: str, size: tuple[int, int]) -> None:
    out = build(name, seed=0).eval()(torch.rand(2, 3, *size))
    assert out.shape[2:] == size
    assert out.isfinite().all()


@pytest.mark.parametrize("name", ["ele_preresnet20", "convmixer_256_8", "peep_mlp", "airbench94_half"])
def test_a_seed_fixes_all_weights_and_leaves_the_global_generator_alone(name: str) -> None:
    state = torch.get_rng_state()
    one, two, other = (build(name, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", ["preresnet20", "ele_preresnet20", "conv5", "peep_mlp", "unet", "convmixer_256_8"])
@torch.no_grad()
def test_weights_files_give_the_same_network_back(name: str, tmp_path: Path) -> None:
    network, classes = build(name, 4, seed=2).eval(), ("a", "b", "c", "d")
    save_network(tmp_path / "it.safetensors", network, name, classes)
    loaded = load_network(tmp_path / "it.safetensors")
    assert (loaded.classes, loaded.input_size) == (classes, model_entry(name).input_size)
    x = torch.rand(2, model_entry(name).channels, *size_for_tests(name))
    plain = network(x)
    # Weights are stored in half precision: eleven bits.
    torch.testing.assert_close(loaded.network(x), plain, rtol=0, atol=0.02 * float(plain.abs().max()))


def test_wrong_names_and_class_numbers_are_told() -> None:
    with pytest.raises(ShuffleCamError, match="no model called 'alexnet'; choose one of airbench94"):
        build("alexnet")
    with pytest.raises(ShuffleCamError, match="num_classes must be a whole number from 1 on, got 0"):
        build("preresnet20", 0)
    with pytest.raises(ShuffleCamError, match="cyclegan gives pictures, not classes"):
        build("cyclegan", 10)


def overfitted(name: str, steps: int, rate: float) -> tuple[float, float]:
    """Return the loss before and after some steps on one small batch of noise."""
    torch.manual_seed(5)  # for dropout and shaking
    entry, model = model_entry(name), build(name, seed=1).train()
    size = (16, 24) if entry.num_classes in (11, None) else entry.input_size
    x = torch.rand(6, entry.channels, *size, generator=torch.Generator().manual_seed(0))
    if entry.num_classes is None:

        def loss() -> Tensor:
            return F.mse_loss(model(x), x)

    else:
        labels = torch.arange(6) % 3
        labels = labels if entry.num_classes != 11 else (x[:, 0] > 0.5).long()

        def loss() -> Tensor:
            return F.cross_entropy(model(x), labels)

    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    curve = []
    for _ in range(steps):
        optimiser.zero_grad()
        value = loss()
        value.backward()
        optimiser.step()
        curve.append(float(value.detach()))
    return curve[0], curve[-1]


LEARNERS = ["airbench94_half", "preresnet20", "ele_preresnet20", "lenet5", "conv5", "peep_mlp", "unet", "deeplab_light",
            "transformation_network"]  # fmt: skip


@pytest.mark.parametrize("name", LEARNERS)
def test_a_small_network_learns_a_batch_by_heart(name: str) -> None:
    first, last = overfitted(name, 18, 4e-3)
    assert last < 0.6 * first


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(list_models()) - set(LEARNERS)))
def test_a_large_network_learns_a_batch_by_heart(name: str) -> None:
    first, last = overfitted(name, 12, 1e-3)
    assert last < 0.8 * first


@torch.no_grad()
def assert_converts(name: str) -> None:
    """Compare the keyed twin on shuffled frames with the plain network, in single precision."""
    entry, size = model_entry(name), size_for_tests(name)
    torch.manual_seed(6)
    model = build(name, seed=1).train()
    model(torch.rand(4, entry.channels, *size))  # statistics that are not the trivial ones
    model.eval()
    keyed = convert(model, KEY, size, channels=entry.channels)
    assert list(keyed.state_dict()) == list(model.state_dict())
    frames, nonces = torch.rand(2, entry.channels, *size), [bytes([n] * 16) for n in (1, 2)]
    orders = [keyed_permutation(KEY, size[0] * size[1], nonce=nonce).source.astype("int64") for nonce in nonces]
    shuffled = torch.stack([f.flatten(1)[:, o].view_as(f) for f, o in zip(frames, orders, strict=True)])
    plain, got = model(frames), keyed(shuffled, nonce=nonces)
    if got.ndim == 4:
        got = keyed.unshuffle(got, nonces)
    torch.testing.assert_close(got, plain, rtol=0, atol=1e-5 * float(plain.abs().max()))


@pytest.mark.parametrize("name", QUICK)
def test_the_keyed_twin_gives_the_plain_answers(name: str) -> None:
    assert_converts(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LARGE, "convmixer_512_16"])
def test_the_keyed_twin_of_a_large_network_gives_the_plain_answers(name: str) -> None:
    assert_converts(name)

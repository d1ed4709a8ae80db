"""The learned schemes: trained on a tiny budget, they protect pictures of any size, and say what they lack."""

from pathlib import Path

import numpy as np
import pytest
import torch

from networks import LearnedNetworks, LearnedRecipe, load_pretrained, train_gan, train_transform_net
from networks.checkpoint import WeightsError, read_tensors
from networks.learned_schemes import load_transformation, save_transformation, transform
from networks.learned_training import push_apart
from networks.training import TrainingError
from networks.transformation_network import TransformationNetwork
from scrambler import FrameError, NonceError, SchemeError, list_schemes, scheme

NAMES = ["transform-net", "gan"]
TRAIN = {"transform-net": train_transform_net, "gan": train_gan}

pytestmark = pytest.mark.usefixtures("one_thread")


def coloured(count: int, height: int = 16, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Return noisy pictures of two classes, red and blue."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 90, (count, height, width, 3), dtype=np.uint8)
    labels = np.arange(count) % 2
    images[labels == 0, ..., 0] += 150
    images[labels == 1, ..., 2] += 150
    return images, labels


def tiny(**changes: object) -> LearnedRecipe:
    return LearnedRecipe(**{"classifier": "preresnet20", "epochs": 3, "batch_size": 8, "seed": 3} | changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LearnedNetworks]:
    """Both, trained for seconds."""
    images, labels = coloured(32)
    folder = tmp_path_factory.mktemp("learned")
    return {name: TRAIN[name](images, labels, out=folder / name, recipe=tiny(epochs=5)) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_falls_and_the_classifier_reads_protected_pictures(
    trained: dict[str, LearnedNetworks], name: str
) -> None:
    made = trained[name]
    assert made.history[-1]["class"] < 0.5 * made.history[0]["class"]
    assert {"transform-net": "push", "gan": "likeness"}[name] in made.history[0]
    assert made.weights.name == f"{name}.safetensors"
    assert {file.name for file in made.weights.parent.iterdir()} == {"classifier.safetensors", made.weights.name}
    images, labels = coloured(32)
    protected = torch.from_numpy(np.asarray(scheme(name, weights=made.weights).protect(images)))
    logits = load_pretrained(made.classifier)(protected.permute(0, 3, 1, 2) / 255)
    assert (logits.argmax(1).numpy() == labels).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 7, 3), (4, 5, 7), (2, 33, 18, 3), (2, 9, 6, 1), (0, 4, 6), (0, 5, 7, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_any_size_keep_size_and_type_and_become_rgb(
    trained: dict[str, LearnedNetworks], name: str, shape: tuple[int, ...], dtype: type
) -> None:
    images = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    s = scheme(name, weights=str(trained[name].weights))
    protected = s.protect(images)
    grey = shape[-1] == 1 or len(shape) == 2 or (len(shape) == 3 and shape[-1] != 3)
    stem = shape[:-1] if shape[-1] == 1 and len(shape) == 4 else shape
    assert protected.values.shape == ((*stem, 3) if grey else shape)
    assert (protected.shape, protected.nonces, protected.key_id, protected.values.dtype) == (shape, (), None, dtype)
    np.testing.assert_array_equal(s.protect(images), protected)


def test_a_picture_is_protected_alike_alone_in_a_batch_and_in_sixteen_bits(trained: dict[str, LearnedNetworks]) -> None:
    s, images = scheme("transform-net", weights=trained["transform-net"].weights), coloured(3)[0]
    together = np.asarray(s.protect(images)).astype(int)
    assert np.abs(np.asarray(s.protect(images[1])).astype(int) - together[1]).max() <= 1
    deep = np.asarray(s.protect(images.astype(np.uint16) * 257))
    # 257 codes of sixteen bits to one of eight, and rounding.
    assert np.abs(deep / 257 - together).max() <= 0.51
    assert (together != images).mean() > 0.9


@torch.inference_mode()
def test_large_pictures_are_cut_into_tiles_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("networks.learned_schemes._TILE_PX", 64)
    torch.manual_seed(4)
    network = TransformationNetwork().eval()
    picture = torch.rand(1, 3, 73, 195)
    torch.testing.assert_close(transform(network, picture), network(picture), rtol=0, atol=1e-5)


def test_the_same_seed_trains_the_same_weights_and_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    images, labels = coloured(16)
    state = torch.get_rng_state()
    files = []
    for number, seed in enumerate((7, 7, 8)):
        made = train_gan(images, labels, out=tmp_path / str(number), recipe=tiny(seed=seed, epochs=1), cycle=0.0)
        assert "cycle" not in made.history[0]
        files.append(read_tensors(made.weights)[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])
    assert any(not torch.equal(files[0][key], files[2][key]) for key in files[0])


def test_progress_is_told(tmp_path: Path) -> None:
    images, labels = coloured(20)
    steps, epochs = [], []
    train_transform_net(
        images, labels, out=tmp_path, recipe=tiny(epochs=2, precision="float32"),
        on_step=lambda done, total: steps.append((done, total)), on_epoch=epochs.append,
    )  # fmt: skip
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [set(epoch) for epoch in epochs] == [{"class", "push", "seconds"}] * 2


def test_the_feature_term_by_hand() -> None:
    zero, far = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0], requires_grad=True)
    assert push_apart(zero, far, 9.0).item() == 2.5
    capped = push_apart(zero, far, 2.0)
    capped.backward()
    assert (capped.item(), far.grad.tolist()) == (2.0, [0.0, 0.0])


@pytest.mark.parametrize("name", NAMES)
def test_both_are_listed_with_a_card_and_need_weights_to_protect(name: str) -> None:
    assert name in list_schemes()
    card = scheme(name).card
    assert (card.name, card.keyed, card.invertible, card.strength) == (name, False, False, "weak")
    trainer = TRAIN[name].__name__
    assert trainer in card.parameters["weights"]
    with pytest.raises(SchemeError, match=rf"'{name}' needs weights: train them with networks.{trainer}\(images,"):
        scheme(name).protect(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(SchemeError, match="no parameter 'weight'"):
        scheme(name, weight="x")


def test_what_can_not_be_protected_or_undone_is_told(trained: dict[str, LearnedNetworks]) -> None:
    s = scheme("gan", weights=trained["gan"].weights)
    picture = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(SchemeError, match="'gan' cannot be undone"):
        s.reveal(s.protect(picture))
    with pytest.raises(NonceError, match="takes no nonce"):
        s.protect(picture, nonce=bytes(16))
    with pytest.raises(FrameError, match="drop the fourth channel"):
        s.protect(np.zeros((4, 5, 4), np.uint8))
    with pytest.raises(FrameError, match="uint8 or uint16"):
        s.protect(np.zeros((4, 5, 3)))


def test_weights_of_something_else_are_refused(trained: dict[str, LearnedNetworks], tmp_path: Path) -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(WeightsError, match="holds weights of transform-net, not of scheme 'gan'"):
        scheme("gan", weights=trained["transform-net"].weights).protect(picture)
    with pytest.raises(WeightsError, match="holds weights of preresnet20, not of scheme 'gan'"):
        scheme("gan", weights=trained["gan"].classifier).protect(picture)
    with pytest.raises(WeightsError, match="no weights file"):
        scheme("gan", weights=tmp_path / "none.safetensors").protect(picture)
    with pytest.raises(SchemeError, match="name of a file, got a int"):
        scheme("gan", weights=5).protect(picture)
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        scheme("gan", weights=tmp_path / "bad.safetensors").protect(picture)


def test_saved_networks_come_back_in_half_precision(tmp_path: Path) -> None:
    network = TransformationNetwork().eval()
    save_transformation(tmp_path / "a.safetensors", network, "gan")
    again = load_transformation(tmp_path / "a.safetensors", "gan")
    assert not again.training
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)
    # Two of them stay below a megabyte.
    assert (tmp_path / "a.safetensors").stat().st_size < 500_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classifier": "lenet5"}, "classifier must read RGB and return classes, and lenet5 does not"),
        ({"classifier": "cyclegan"}, "cyclegan does not"),
        ({"epochs": 0}, "epochs must be 1 or more, got 0"),
        ({"batch_size": 1}, "batch_size must be 2 or more"),
        ({"learning_rate": 0.0}, "learning_rate must be above zero"),
        ({"precision": "half"}, "bfloat16 or float32, got 'half'"),
    ],
)
def test_impossible_recipes_are_told(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        tiny(**changes)


def test_data_that_do_not_fit_are_told(tmp_path: Path) -> None:
    images, labels = coloured(16)
    bad = [
        (images.astype(float), labels, tiny(), None, "images must be uint8"),
        (images[:, :4], labels, tiny(), None, "8 x 8 pixels or more"),
        (images, labels[:5], tiny(), None, "16 class numbers"),
        (images, labels - 1, tiny(), None, "16 class numbers"),
        (images[:4], labels[:4], tiny(), None, "4 images do not fill one batch of 8"),
        (images, labels, tiny(), ("red",), "names 1 classes, and labels go up to 1"),
        (images, labels, tiny(classifier="airbench94_half"), None, "does not tell classes of 16 x 20 pictures"),
        (images, labels, tiny(classifier="unet"), None, "does not tell classes"),
        (images, labels, tiny(learning_rate=1e30, epochs=9), None, "a loss is no number"),
    ]
    for pictures, numbers, recipe, classes, message in bad:
        with pytest.raises(TrainingError, match=message):
            train_transform_net(pictures, numbers, out=tmp_path / "out", recipe=recipe, classes=classes)
    assert not (tmp_path / "out").exists()

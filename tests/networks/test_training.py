"""Training: resumes where it stopped, with the same bits; augmentation does what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from networks import LabelledImages, TrainConfig, load_network, train
from networks.airbench import AirBench94, whiten_from_images
from networks.augment import alternating_flip, translate
from networks.checkpoint import read_tensors, write_tensors
from networks.training import TrainingError


def some_images(count: int, seed: int) -> LabelledImages:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return LabelledImages(images, rng.integers(0, 3, count), ("a", "b", "c"))


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    config = TrainConfig(epochs=2, batch_size=16, precision="float32")
    data = some_images(32, 0), some_images(8, 1)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, out=tmp_path / "stopped", train_set=data[0], test_set=data[1], on_epoch=stop)
    resumed = train(config, out=tmp_path / "stopped", train_set=data[0], test_set=data[1])
    straight = train(config, out=tmp_path / "straight", train_set=data[0], test_set=data[1])
    for (name, a), b in zip(straight.state_dict().items(), resumed.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=name)
    assert len((tmp_path / "stopped" / "log.jsonl").read_text().splitlines()) == 2
    loaded = load_network(tmp_path / "stopped" / "weights.safetensors")
    assert loaded.classes == ("a", "b", "c")
    assert loaded.input_size == (32, 32)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    config, data = TrainConfig(epochs=1, batch_size=16), some_images(16, 0)
    train(config, out=tmp_path, train_set=data, test_set=data)
    tensors, metadata = read_tensors(tmp_path / "checkpoint.safetensors")
    write_tensors(tmp_path / "checkpoint.safetensors", tensors, {"config": metadata["config"]})
    with pytest.raises(TrainingError, match="damaged"):
        train(config, out=tmp_path, train_set=data, test_set=data)


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="do not fill one batch"):
        train(TrainConfig(), out=tmp_path / "run", train_set=some_images(8, 0), test_set=some_images(8, 0))
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    data = some_images(16, 0)
    train(TrainConfig(epochs=1, batch_size=16), out=tmp_path, train_set=data, test_set=data)
    with pytest.raises(TrainingError, match="another configuration"):
        train(TrainConfig(epochs=2, batch_size=16), out=tmp_path, train_set=data, test_set=data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "vgg16_bn"},
        {"epochs": 0},
        {"batch_size": 0},
        {"precision": "int8"},
        {"device": "abacus"},
        {"seed": -1},
        {"seed": 1 << 40},
    ],
)
def test_wrong_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(TrainingError):
        TrainConfig(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_two_epochs_show_both_mirror_images() -> None:
    images = torch.arange(4 * 3 * 2 * 5.0).view(4, 3, 2, 5)
    first, second = alternating_flip(images, 0, seed=1), alternating_flip(images, 1, seed=1)
    for plain, a, b in zip(images, first, second, strict=True):
        assert torch.equal(a, plain) != torch.equal(b, plain)
        assert torch.equal(a.flip(-1), b)


def test_translation_is_a_crop_of_the_reflected_image() -> None:
    images = torch.rand(50, 2, 6, 7)
    moved = translate(images, 2, torch.Generator().manual_seed(0))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    shifts = set()
    for plain, got in zip(padded, moved.numpy(), strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if np.array_equal(plain[:, y : y + 6, x : x + 7], got)]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 10
    assert translate(images, 0, torch.Generator()) is images


def test_the_first_layer_whitens_patches() -> None:
    images = torch.rand(200, 3, 32, 32, generator=torch.Generator().manual_seed(0)).cumsum(3) / 32
    model = AirBench94()
    whiten_from_images(model, images, eps=0.0)
    with torch.no_grad():
        model.whiten.bias.zero_()  # type: ignore[union-attr]  # the layer has a bias
        filtered = model.whiten(model.normalize(images)).double().permute(1, 0, 2, 3).flatten(1)
    second_moments = filtered[:12] @ filtered[:12].T / filtered.shape[1]
    torch.testing.assert_close(second_moments, torch.eye(12, dtype=torch.float64), rtol=0, atol=2e-2)
    torch.testing.assert_close(filtered[12:], -filtered[:12])

"""Shipped weights, weights files, and the accuracy that the model card claims."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from networks import (
    DatasetError,
    LabelledImages,
    TrainConfig,
    accuracy,
    build,
    evaluate,
    list_pretrained,
    load_network,
    load_pretrained,
    model_card,
    predict,
    save_network,
)  # fmt: skip
from networks.checkpoint import WeightsError, read_tensors
from networks.training import load_test_data
from scrambler import Key, new_nonces
from scrambler.errors import ShuffleCamError

WEIGHTS = Path(__file__).parents[2] / "networks" / "weights"


@pytest.mark.parametrize("name", list_pretrained())
def test_shipped_weights_are_small_half_precision_and_have_a_card(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size <= 5e6
    card = model_card(name)
    network = load_pretrained(name)
    assert card["parameters"] == sum(p.numel() for p in network.parameters())
    assert card["test_accuracy"] >= 0.93
    assert card["command"].startswith("shufflecam train ")
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    halves, _ = read_tensors(path)
    weights = {str(t.dtype) for name, t in halves.items() if "running" not in name and "num_" not in name}
    assert weights == {"torch.float16"}


def images_behind(name: str) -> LabelledImages:
    """Return the test images of the data set that shipped weights were trained on."""
    try:
        found = load_test_data(TrainConfig(model=model_card(name)["model"]))
    except DatasetError as error:
        pytest.skip(str(error))
    assert isinstance(found, LabelledImages)
    return found


@pytest.mark.parametrize("name", list_pretrained())
def test_the_card_tells_the_measured_accuracy(name: str) -> None:
    # 1,000 images of 93 % vary by 0.8 points, one standard error; five of them bound the test.
    found = accuracy(load_pretrained(name), images_behind(name).subset(1000))
    assert abs(found - model_card(name)["test_accuracy"]) < 5 * 0.008


@pytest.mark.slow
@pytest.mark.parametrize("name", list_pretrained())
def test_the_card_tells_the_measured_accuracy_to_the_image(name: str) -> None:
    card, network, data = model_card(name), load_pretrained(name), images_behind(name)
    # Summation order differs between machines, so an image on the fence may fall either way.
    assert abs(accuracy(network, data) - card["test_accuracy"]) <= 2e-4
    if "test_accuracy_with_flips" in card:
        assert abs(accuracy(network, data, flips=True) - card["test_accuracy_with_flips"]) <= 2e-4


def test_keyed_evaluation_agrees_with_plain_to_the_image(cifar10_test: LabelledImages) -> None:
    some = LabelledImages(cifar10_test.images[:300], cifar10_test.labels[:300], cifar10_test.classes)
    seen: list[int] = []
    result = evaluate(
        load_pretrained("cifar10-airbench94"), some,
        key=Key.from_bytes(bytes(32)), wrong_key=Key.from_bytes(bytes([1] * 32)),
        batch_size=128, on_batch=lambda done, total: seen.append(done),
    )  # fmt: skip
    assert seen == [128, 256, 300]
    assert result.keyed_accuracy == result.plain_accuracy > 0.85
    assert result.different_predictions == 0
    assert result.max_logit_difference <= 1e-4
    # 300 images at 10 to 20 %: five standard errors are 11 points.
    assert result.wrong_key_accuracy < 0.31
    assert abs(result.wrong_key_accuracy - result.no_key_accuracy) < 0.16


def test_evaluation_takes_given_nonces(cifar10_test: LabelledImages) -> None:
    some = LabelledImages(cifar10_test.images[:4], cifar10_test.labels[:4], cifar10_test.classes)
    network, key = load_pretrained("cifar10-airbench94"), Key.generate()
    nonces = new_nonces(4)
    assert evaluate(network, some, key=key, wrong_key=key, nonces=nonces).different_predictions == 0


def test_flips_average_both_mirror_images() -> None:
    network = build("airbench94", seed=0).eval()
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    both = (predict(network, images) + predict(network, np.ascontiguousarray(images[:, :, ::-1]))) / 2
    torch.testing.assert_close(predict(network, images, flips=True), both)


def test_weights_survive_a_round_trip_in_half_precision(tmp_path: Path) -> None:
    network = build("airbench94", num_classes=3, seed=4)
    save_network(tmp_path / "mine.safetensors", network, "airbench94", ("a", "b", "c"))
    loaded = load_network(tmp_path / "mine.safetensors")
    assert (loaded.classes, loaded.input_size) == (("a", "b", "c"), (32, 32))
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "needs model, classes and input_size"),
        (
            {"model": "airbench94", "classes": "not json", "input_size": "[32, 32]"},
            "needs model, classes and input_size",
        ),
        ({"model": "airbench94", "classes": "5", "input_size": "[32, 32]"}, "needs model, classes and input_size"),
        ({"model": "airbench94", "classes": "[]", "input_size": "32"}, "needs model, classes and input_size"),
        ({"model": "airbench94", "classes": "[]", "input_size": "[-1, 32]"}, "impossible input_size"),
        ({"model": "airbench94", "classes": "[]", "input_size": "[null, 32]"}, "impossible input_size"),
        ({"model": "resnet-9000", "classes": "[]", "input_size": "[32, 32]"}, "no model called 'resnet-9000'"),
        ({"model": "airbench94", "classes": json.dumps(["a"]), "input_size": "[32, 32]"}, "does not fit"),
    ],
)
def test_weights_files_that_do_not_say_what_they_are_get_refused(
    tmp_path: Path, metadata: dict[str, str], message: str
) -> None:
    save_file({"x": torch.zeros(2)}, tmp_path / "odd.safetensors", metadata)
    with pytest.raises(ShuffleCamError, match=message):
        load_pretrained(tmp_path / "odd.safetensors")


def test_unknown_names_and_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cifar10-airbench94"):
        load_pretrained("cifar10-alexnet")
    with pytest.raises(WeightsError, match="no weights file"):
        load_pretrained(tmp_path / "gone.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(WeightsError, match=r"cut.safetensors is not a readable"):
        load_pretrained(tmp_path / "cut.safetensors")
    with pytest.raises(ShuffleCamError, match="no model called"):
        build("alexnet")


def test_no_images_are_named() -> None:
    with pytest.raises(ShuffleCamError, match="no images"):
        predict(build("airbench94", seed=0), np.zeros((0, 32, 32, 3), np.uint8))

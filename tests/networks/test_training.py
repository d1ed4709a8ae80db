"""Training: resumes where it stopped, with the same bits; protected and shared runs do what plain ones do."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from networks import (
    LabelledImages,
    Protect,
    SegmentedImages,
    TrainConfig,
    build,
    image_tensor,
    load_network,
    read_train_config,
    train,
)
from networks.airbench import AirBench94, whiten_from_images
from networks.checkpoint import read_tensors, write_tensors
from networks.training import TrainingError
from networks.training.log import read_log
from networks.training.losses import overlap_loss
from networks.training.parallel import GroupBatchNorm2d
from scrambler import Key
from scrambler.errors import MissingKeyError, ShuffleCamError

FAST = {"model": "airbench94_half", "batch_size": 16, "precision": "float32"}


def some_images(count: int, seed: int, channels: int = 3, side: int = 32) -> LabelledImages:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return LabelledImages(images, rng.integers(0, 3, count), ("a", "b", "c"))


def some_masks(count: int, seed: int) -> SegmentedImages:
    """Scenes whose bright half is class 1 and whose first column is void."""
    rng = np.random.default_rng(seed)
    masks = (np.arange(20)[:, None] + np.arange(24) > rng.integers(10, 30, (count, 1, 1))).astype(np.uint8)
    images = np.repeat(60 + 120 * masks[..., None], 3, axis=3).astype(np.uint8)
    masks[:, :, 0] = 255
    return SegmentedImages(images, masks, ("dark", "bright"))


def assert_same_weights(one: torch.nn.Module, other: torch.nn.Module, tolerance: float = 0.0) -> None:
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    "changes",
    [{}, {"precision": "bfloat16"}, {"model": "lenet5", "recipe": "digits"}, {"model": "lenet5", "recipe": "sgd"}],
)
def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path, changes: dict[str, str]) -> None:
    config = TrainConfig(**(FAST | {"epochs": 2} | changes))  # type: ignore[arg-type]  # drawn from a table
    channels, side = (1, 28) if "model" in changes else (3, 32)
    data = some_images(32, 0, channels, side), some_images(8, 1, channels, side)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, out=tmp_path / "stopped", train_set=data[0], test_set=data[1], on_epoch=stop)
    resumed = train(config, out=tmp_path / "stopped", train_set=data[0], test_set=data[1])
    straight = train(config, out=tmp_path / "straight", train_set=data[0], test_set=data[1])
    assert_same_weights(straight, resumed)
    lines = [json.loads(line) for line in (tmp_path / "stopped" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert {(line["metric"], line["precision"]) for line in lines} == {("accuracy", config.precision)}
    assert cv2.imread(str(tmp_path / "stopped" / "curve.png")) is not None
    loaded = load_network(tmp_path / "stopped" / "weights.safetensors")
    assert loaded.classes == ("a", "b", "c")
    assert loaded.input_size == (side, side)


def test_the_same_weights_give_the_same_file(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3.0), "a": torch.ones(2, 1, dtype=torch.int64), "none": torch.zeros(0)}
    metadata = {"classes": '["ä", "b"]', "model": "x", "size": "7", "epoch": "3", "key": "none"}
    written = set()
    for number in range(8):
        write_tensors(
            tmp_path / "w.safetensors", tensors, dict(list(metadata.items())[number % 5 :] + list(metadata.items()))
        )
        written.add((tmp_path / "w.safetensors").read_bytes())
    assert len(written) == 1
    back, told = read_tensors(tmp_path / "w.safetensors")
    assert told == metadata
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    config, data = TrainConfig(**FAST, epochs=1), some_images(16, 0)  # type: ignore[arg-type]  # a table
    train(config, out=tmp_path, train_set=data, test_set=data)
    tensors, metadata = read_tensors(tmp_path / "checkpoint.safetensors")
    for damage in ({"config": metadata["config"]}, {**metadata, "epochs_done": "x"}):
        write_tensors(tmp_path / "checkpoint.safetensors", tensors, damage)
        with pytest.raises(TrainingError, match="damaged"):
            train(config, out=tmp_path, train_set=data, test_set=data)


def test_a_refused_run_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="do not fill one batch"):
        train(TrainConfig(), out=tmp_path / "run", train_set=some_images(8, 0), test_set=some_images(8, 0))
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    data = some_images(16, 0)
    train(TrainConfig(**FAST, epochs=1), out=tmp_path, train_set=data, test_set=data)  # type: ignore[arg-type]  # a table
    with pytest.raises(TrainingError, match="another configuration"):
        train(TrainConfig(**FAST, epochs=2), out=tmp_path, train_set=data, test_set=data)  # type: ignore[arg-type]  # a table


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "vgg17_bn"},
        {"model": "vgg16_bn", "recipe": "jordan"},
        {"recipe": "soup"},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"label_smoothing": 1.0},
        {"zoom": 0.5},
        {"crop": 0.0},
        {"colour_jitter": 1.5},
        {"overlap": -1.0},
        {"test_every": 0},
        {"images": 0},
        {"precision": "int8"},
        {"device": "abacus"},
        {"seed": -1},
        {"seed": 1 << 40},
    ],
)
def test_wrong_configurations_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ShuffleCamError):
        TrainConfig(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_loss_that_is_no_number_stops_the_run_with_a_word(tmp_path: Path) -> None:
    config = TrainConfig(model="lenet5", recipe="sgd", learning_rate=1e30, batch_size=8, precision="float32")
    data = some_images(64, 0, 1, 28)
    with pytest.raises(TrainingError, match="lower learning_rate"):
        train(config, out=tmp_path, train_set=data, test_set=data)


def test_pictures_of_another_kind_are_refused(tmp_path: Path) -> None:
    data = some_images(8, 0)
    with pytest.raises(TrainingError, match="takes pictures of 1 channels, these have 3"):
        train(TrainConfig(model="lenet5", batch_size=8), out=tmp_path, train_set=data, test_set=data)


def test_a_configuration_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'model = "airbench94_half"\nepochs = 3\nlearning_rate = 9\n'
        '[protect]\nscheme = "negative-positive"\naugment = "protected"\n[protect.parameters]\nper_image = false\n'
    )
    config = read_train_config(path)
    assert (config.settings.epochs, config.settings.learning_rate, config.settings.optimizer) == (3, 9, "jordan")
    assert config.protect == Protect(scheme="negative-positive", augment="protected", parameters={"per_image": False})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = = 3", "no TOML file"),
        ("epoch = 3", "there is no entry 'epoch'"),
        ('epochs = "three"', "epochs must be of type int"),
        ("flips = 1", "flips must be of type bool"),
        ("protect = 1", "must be a table"),
        ("[protect]\nscheme = 3\n", "scheme must be of type str"),
        ('[protect]\naugment = "never"\n', "client or protected"),
        ('[protect]\nnetwork = "keyed"\nscheme = "le"\n', "pixel-shuffle"),
    ],
)
def test_a_wrong_configuration_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        read_train_config(path)
    with pytest.raises(TrainingError, match="no configuration file"):
        read_train_config(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("augment", ["client", "protected"])
def test_a_keyed_network_trains_on_shuffled_frames_as_the_plain_one_on_plain_ones(tmp_path: Path, augment: str) -> None:
    data = some_images(32, 0), some_images(8, 1)
    plain_config = TrainConfig(**FAST, epochs=2)  # type: ignore[arg-type]  # a table
    protect = Protect(network="keyed", augment=augment)
    keyed_config = TrainConfig(**FAST, epochs=2, protect=protect)  # type: ignore[arg-type]  # a table
    plain = train(plain_config, out=tmp_path / "plain", train_set=data[0], test_set=data[1])
    keyed = train(keyed_config, out=tmp_path / "keyed", key=Key.generate(), train_set=data[0], test_set=data[1])
    # Sums in another order, through batch norms over sixteen random images: a little more than rounding.
    assert_same_weights(plain, keyed, tolerance=2e-3)
    logs = [
        json.loads(line)
        for name in ("plain", "keyed")
        for line in (tmp_path / name / "log.jsonl").read_text().splitlines()
    ]
    assert logs[0]["loss"] == pytest.approx(logs[2]["loss"], rel=1e-4)


@pytest.mark.parametrize("augment", ["client", "protected"])
@pytest.mark.parametrize("name", ["negative-positive", "mat", "dp-pixelize"])
def test_pictures_are_protected_on_their_way_into_training(tmp_path: Path, name: str, augment: str) -> None:
    data = some_images(32, 0), some_images(8, 1)
    config = TrainConfig(**FAST, epochs=1, protect=Protect(scheme=name, augment=augment))  # type: ignore[arg-type]  # a table
    key = None if name == "dp-pixelize" else Key.from_bytes(bytes(range(32)))
    weights = train(config, out=tmp_path / "a", key=key, train_set=data[0], test_set=data[1])
    if name == "negative-positive":
        # The nonces follow from the seed: the same run gives the same weights; another key gives others.
        again = train(config, out=tmp_path / "b", key=key, train_set=data[0], test_set=data[1])
        assert_same_weights(weights, again)
        with pytest.raises(TrainingError, match="belongs to a run with key"):
            train(config, out=tmp_path / "a", key=Key.generate(), train_set=data[0], test_set=data[1])
        with pytest.raises(MissingKeyError, match="needs a key"):
            train(config, out=tmp_path / "c", train_set=data[0], test_set=data[1])


def test_segmentation_learns_from_masks_and_leaves_void_out(tmp_path: Path) -> None:
    config = TrainConfig(model="unet", recipe="segmentation", epochs=12, batch_size=4, precision="float32", zoom=1.2)
    train(config, out=tmp_path, train_set=some_masks(16, 0), test_set=some_masks(8, 1))
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert last["metric"] == "mean IoU"
    assert last["test_score"] > 0.8


def test_the_recipe_follows_model_and_data_and_moves_no_picture_off_its_mask(tmp_path: Path) -> None:
    for model, data, name in (
        ("airbench94", None, "jordan"), ("vgg16_bn", None, "sgd"), ("conv5", None, "digits"),
        ("unet", None, "segmentation"), ("deeplab_light", "camvid-trainval", "segmentation"),
    ):  # fmt: skip
        assert TrainConfig(model=model, data=data).recipe_name == name
    scenes = some_masks(8, 0)
    with pytest.raises(TrainingError, match="would move pictures off their masks"):
        train(TrainConfig(model="unet", recipe="sgd", batch_size=4), out=tmp_path, train_set=scenes, test_set=scenes)


@pytest.mark.parametrize("field", ["crop", "zoom", "overlap"])
def test_what_is_for_masks_is_refused_on_labelled_pictures(tmp_path: Path, field: str) -> None:
    value = {"crop": 0.5, "zoom": 1.5, "overlap": 0.5}[field]
    config = TrainConfig(recipe="sgd", batch_size=8, **{field: value})
    with pytest.raises(TrainingError, match="crop, zoom and overlap are for pictures with masks"):
        train(config, out=tmp_path / "out", train_set=some_images(8, 0), test_set=some_images(8, 0))
    assert not (tmp_path / "out").exists()


def test_a_log_that_says_no_precision_is_of_float32(tmp_path: Path) -> None:
    line = '{"epoch": 0, "loss": 1.0, "metric": "accuracy", "test_score": null, "seconds": 2.0}\n'
    (tmp_path / "log.jsonl").write_text(line)
    assert [log.precision for log in read_log(tmp_path / "log.jsonl", 1)] == ["float32"]


def test_the_overlap_of_classes_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(2, 4, 3, 5)), rng.integers(0, 3, (2, 3, 5))
    targets[0, 1] = 7
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    lost = []
    for c in range(3):  # class 3 does not occur
        inside = union = 0.0
        for n, y, x in np.ndindex(2, 3, 5):
            if targets[n, y, x] != 7:
                p, truth = shares[n, c, y, x], float(targets[n, y, x] == c)
                inside, union = inside + p * truth, union + p + truth - p * truth
        lost.append(inside / union)
    found = overlap_loss(torch.from_numpy(logits), torch.from_numpy(targets), void=7)
    assert found.item() == pytest.approx(1 - np.mean(lost), rel=1e-5)
    assert overlap_loss(torch.zeros(1, 2, 3, 3), torch.full((1, 3, 3), 7), void=7) == 1


def test_a_network_with_a_loss_of_its_own_is_trained_on_it(tmp_path: Path) -> None:
    config = TrainConfig(
        model="ele_preresnet20", recipe="digits", epochs=1, batch_size=8, translation_px=0, precision="float32"
    )
    data = some_images(8, 0)
    train(config, out=tmp_path, train_set=data, test_set=data)
    network = build("ele_preresnet20", 3, seed=0).train()
    features = network.adapt(image_tensor(data.images))
    crossed = torch.nn.functional.cross_entropy(network.trunk(features), torch.from_numpy(data.labels))
    logged = json.loads((tmp_path / "log.jsonl").read_text())["loss"]
    assert logged == pytest.approx(float((crossed + network.penalty(features)).detach()), rel=1e-4)
    assert network.penalty(features) > 1e-3


def test_a_run_goes_on_from_the_weights_of_another(tmp_path: Path) -> None:
    data = some_images(16, 0)
    train(TrainConfig(**FAST, epochs=1), out=tmp_path / "a", train_set=data, test_set=data)  # type: ignore[arg-type]  # a table
    weights = str(tmp_path / "a" / "weights.safetensors")
    slow = TrainConfig(**FAST, epochs=1, start=weights, learning_rate=1e-9, weight_decay=0.0)  # type: ignore[arg-type]  # a table
    after = train(slow, out=tmp_path / "b", train_set=data, test_set=data)
    before = load_network(weights).network
    for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5, msg=name)
    with pytest.raises(
        TrainingError, match=r"holds airbench94 for airplane, .*, and this run trains airbench94_half for a, b, c"
    ):
        train(TrainConfig(**FAST, start="cifar10-airbench94"), out=tmp_path, train_set=data, test_set=data)  # type: ignore[arg-type]  # a table


def test_only_some_epochs_are_tested_when_asked(tmp_path: Path) -> None:
    config, data = TrainConfig(**FAST, epochs=5, test_every=2), some_images(16, 0)  # type: ignore[arg-type]  # a table
    train(config, out=tmp_path, train_set=data, test_set=data)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["test_score"] is not None for line in lines] == [False, True, False, True, True]
    assert cv2.imread(str(tmp_path / "curve.png")) is not None


def test_colours_of_protected_pictures_are_left_alone(tmp_path: Path) -> None:
    protect = Protect(scheme="mat", augment="protected")
    config, data = TrainConfig(**FAST, colour_jitter=0.1, protect=protect), some_images(16, 0)  # type: ignore[arg-type]  # a table
    with pytest.raises(TrainingError, match="colour_jitter is for plain pictures"):
        train(config, out=tmp_path, key=Key.generate(), train_set=data, test_set=data)


RUN_TWICE = """
    import sys
    import numpy as np, torch
    from networks import LabelledImages, TrainConfig, train
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (32, 32, 32, 3), dtype=np.uint8), rng.integers(0, 3, 32)
    data = LabelledImages(images, labels, ("a", "b", "c"))
    config = TrainConfig(model="airbench94_half", epochs=2, batch_size=16, precision="float32", learning_rate=2.0)
    train(config, out=sys.argv[1], train_set=data, test_set=data)
"""


MASKS = """
    from networks import SegmentedImages
    masks = rng.integers(0, 3, (8, 5, 6), dtype=np.uint8).repeat(4, 1).repeat(4, 2)
    masks[:, 0] = 9
    # Flat pictures would leave deep channels without variance, and their gradients to rounding.
    scenes = SegmentedImages(rng.integers(0, 256, (8, 20, 24, 3), dtype=np.uint8), masks, ("a", "b", "c"), 9)
    config = TrainConfig(  # no Adam: it makes whole steps of gradients that are rounding noise
        model="unet", recipe="sgd", translation_px=0, learning_rate=0.01, overlap=1.0, class_weights=True, epochs=2,
        batch_size=4, precision="float32",
    )
    train(config, out=sys.argv[1] + "-masks", train_set=scenes, test_set=scenes)
"""


def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(RUN_TWICE) + textwrap.dedent(MASKS))
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for command, name in (([sys.executable], "one"), (torchrun, "two")):
        subprocess.run([*command, str(script), str(tmp_path / name)], check=True, env=environment, timeout=300)
    for kind in ("", "-masks"):
        one, two = (load_network(tmp_path / f"{name}{kind}" / "weights.safetensors").network for name in ("one", "two"))
        assert_same_weights(one, two, tolerance=2e-3)


def test_batch_norm_of_a_group_of_one_is_the_ordinary_one() -> None:
    x = torch.randn(4, 3, 5, 7, dtype=torch.float32, generator=torch.Generator().manual_seed(0)) * 3 + 1
    plain, group = torch.nn.BatchNorm2d(3, momentum=0.4), GroupBatchNorm2d(3, momentum=0.4)
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        torch.testing.assert_close(group(x), plain(x))
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close(group.running_var, plain.running_var)
    torch.testing.assert_close(group.running_mean, plain.running_mean)
    torch.testing.assert_close(group.eval()(x), plain.eval()(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method:DeprecationWarning")  # torch's compiler, of torch
def test_a_compiled_network_trains_as_the_same_one_does_without(tmp_path: Path) -> None:
    data, losses = some_images(32, 0, 1, 28), []
    for compiled in (False, True):
        config = TrainConfig(model="lenet5", batch_size=16, epochs=2, precision="float32", compile=compiled)
        train(config, out=tmp_path / str(compiled), train_set=data, test_set=data)
        log = (tmp_path / str(compiled) / "log.jsonl").read_text().splitlines()
        losses.append([json.loads(line)["loss"] for line in log])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path, precision: str) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(RUN_TWICE).replace("epochs=2", "epochs=6").replace("float32", precision))
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script)]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, env=environment)
    rng = np.random.default_rng(1)
    killed = 0
    for _ in range(30):
        process = subprocess.Popen([*command, str(tmp_path / "killed")], env=environment)
        time.sleep(rng.uniform(2.5, 5.0))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    else:
        subprocess.run([*command, str(tmp_path / "killed")], check=True, env=environment)
    assert killed
    whole, resumed = (load_network(tmp_path / name / "weights.safetensors").network for name in ("whole", "killed"))
    assert_same_weights(whole, resumed)


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

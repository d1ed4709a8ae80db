"""`shufflecam train`: networks and learned schemes, from flags or a file; what does not work is told in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from networks import load_network, load_pretrained
from scrambler import scheme

QUICK = ("--batch-size", 2, "--precision", "float32")


def test_a_folder_of_pictures_is_trained_on(run, two_classes: Path) -> None:
    out = two_classes / "run"
    asked = ("train", "airbench94_quarter", "--data", two_classes / "data", "--out", out, *QUICK)
    typed = run(*asked, "--epochs", 3, "--test-every", 2)
    assert typed.status == 0, typed.err
    assert "airbench94_quarter on" in typed.out.splitlines()[0]
    assert "3 epochs in float32 on cpu" in typed.out
    assert ["test accuracy" in line for line in typed.out.splitlines()[1:4]] == [False, True, True]
    assert load_network(out / "weights.safetensors").classes == ("bright", "dark")
    assert len((out / "log.jsonl").read_text().splitlines()) == 3
    assert cv2.imread(str(out / "curve.png")) is not None
    other = run(*asked, "--epochs", 4)
    assert other.status == 1
    assert "another configuration: choose another folder" in other.err


def test_a_file_says_what_to_train_and_flags_count_more(run, two_classes: Path) -> None:
    config = two_classes / "c.toml"
    config.write_text(
        f'model = "airbench94_quarter"\ndata = "{two_classes / "data"}"\nepochs = 7\n[protect]\nscheme = "svd"\n'
    )
    typed = run("train", config, "--out", two_classes / "run", "--epochs", 1, *QUICK)
    assert typed.status == 0, typed.err
    assert "epoch 1/1" in typed.out


@pytest.mark.parametrize("name", ["transform-net", "gan"])
def test_a_learned_scheme_is_trained_with_its_classifier(run, two_classes: Path, name: str) -> None:
    out = two_classes / "run"
    asked = ("train", name, "--data", two_classes / "data", "--out", out, *QUICK)
    typed = run(*asked, "--epochs", 2, "--seed", 5)
    assert typed.status == 0, typed.err
    assert "epoch 2/2  " in typed.out
    assert "weights=...) protects with it" in typed.out
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    protected = np.asarray(scheme(name, weights=out / f"{name}.safetensors").protect(picture))
    assert protected.shape == picture.shape
    assert load_pretrained(out / "classifier.safetensors")(torch.zeros(1, 3, 32, 32)).shape == (1, 2)
    refused = run(*asked, "--recipe", "sgd")
    assert refused.status == 2
    assert "leave --recipe out" in refused.err


def test_what_can_not_be_trained_is_told(run, two_classes: Path) -> None:
    out = ("--out", two_classes / "run")
    for asked, status, told in (
        (("vgg17",), 2, "there is no model called 'vgg17'"),
        (("airbench94", "--data", two_classes / "nowhere"), 1, "data must be a folder or one of"),
        (("airbench94", "--data", two_classes / "data"), 1, "do not fill one batch of 1024"),
        (("airbench94", "--download"), 2, "--download needs --folder"),
        (("airbench94", "--folder", two_classes), 1, "holds no data_batch_1"),
        (("lenet5", "--data", two_classes / "data", *QUICK), 1, "takes pictures of 1 channels"),
        (("airbench94", "--precision", "int8"), 2, "precision must be"),
        (("gan", "--data", two_classes / "data", "--batch-size", 99), 1, "lower batch_size"),
        ((two_classes / "none.toml",), 1, "no configuration file"),
    ):
        typed = run("train", *asked, *out)
        assert (typed.status, typed.err.count("\n")) == (status, 1)
        assert told in typed.err
    assert not (two_classes / "run").exists()


@pytest.mark.slow
def test_two_processes_train_by_command(two_classes: Path) -> None:
    data, shown = two_classes / "data", []
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    for launcher, out in (((), "one"), (torchrun, "two")):
        command = [sys.executable, *launcher, str(Path(sys.executable).with_name("shufflecam")), "train"]
        command += ["airbench94_quarter", "--data", str(data), "--out", str(two_classes / out), "--epochs", "2"]
        command += [str(part) for part in QUICK]
        done = subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        shown.append([line.split("loss")[0] for line in done.stdout.splitlines() if "epoch" in line])
    assert shown[0] == shown[1]
    losses = [
        [json.loads(line)["loss"] for line in (two_classes / out / "log.jsonl").read_text().splitlines()]
        for out in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)

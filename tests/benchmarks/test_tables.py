"""The tables of results: they grow row by row, keep what is there, and name every scheme."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks import table_a, table_c, table_d
from benchmarks.projection import finished, projected, training_record
from benchmarks.tables import NOT_RUN, Row, Table, fill, parser_for
from networks import CAMVID_CLASSES, LabelledImages, SegmentedImages, TrainConfig, build, train
from scrambler import keyed_permutation, list_schemes, new_nonces

TABLE = Table(stem="table_x", title="Table X: sums", columns=("sum", "status"), notes=("Small ones.",))


class Counted:
    """Rows that say how often each was run."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def row(self, name: str, answer: Callable[[], dict[str, Any]], **settings: object) -> Row:
        def run() -> dict[str, Any]:
            self.runs.append(name)
            return answer()

        return Row(name=name, run=run, settings=settings)


def options(folder: Path, *arguments: str) -> Any:
    return parser_for(None).parse_args(["--out", str(folder), *arguments])


def stop() -> dict[str, Any]:
    raise KeyboardInterrupt


def test_a_table_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    counted = Counted()
    first = counted.row("one and one", lambda: {"sum": 2.0})
    with pytest.raises(KeyboardInterrupt):
        fill(TABLE, [first, counted.row("two and two", stop)], options(tmp_path))
    assert [row["row"] for row in json.loads((tmp_path / "table_x.json").read_text())["rows"]] == ["one and one"]
    fill(TABLE, [first, counted.row("two and two", lambda: {"sum": 4.0})], options(tmp_path))
    assert counted.runs == ["one and one", "two and two", "two and two"]
    report = json.loads((tmp_path / "table_x.json").read_text())
    assert [row["sum"] for row in report["rows"]] == [2.0, 4.0]
    assert {"date", "machine", "settings", "seconds"} <= set(report["rows"][0])
    text = (tmp_path / "table_x.md").read_text()
    assert "| row | sum | status |" in text
    assert "| two and two | 4.00 | - |" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table_x.json", "table_x.md"]


def test_rows_are_run_again_when_asked_or_when_their_settings_changed(tmp_path: Path) -> None:
    counted = Counted()
    for epochs, arguments in ((1, ()), (1, ()), (2, ()), (2, ("--redo",)), (2, ("--rows", "no such"))):
        fill(TABLE, [counted.row("a", lambda: {"sum": 1.0}, epochs=epochs)], options(tmp_path, *arguments))
    assert len(counted.runs) == 3


def test_chosen_rows_keep_the_others_and_the_order_of_the_table(tmp_path: Path) -> None:
    counted = Counted()
    rows = [counted.row(name, lambda: {"sum": 1.0}) for name in ("a", "b", "c")]
    fill(TABLE, rows, options(tmp_path, "--rows", "c"))
    assert [line["row"] for line in fill(TABLE, rows, options(tmp_path, "--rows", "a", "c"))] == ["a", "c"]
    assert counted.runs == ["c", "a"]


def test_no_row_is_started_beyond_the_budget_and_listing_runs_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = Counted()
    rows = [counted.row(name, lambda: {"sum": 1.0}) for name in ("a", "b")]
    fill(TABLE, rows, options(tmp_path, "--budget", "-1"))
    assert "budget" in capsys.readouterr().err
    fill(TABLE, rows, options(tmp_path, "--list"))
    assert (counted.runs, capsys.readouterr().out) == ([], "a (missing)\nb (missing)\n")


def test_a_row_that_is_too_long_says_what_it_would_take_and_how(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1000, 32, 32, 3), dtype=np.uint8)
    data = LabelledImages(images, np.arange(1000) % 10, tuple("abcdefghij"))
    config = TrainConfig(model="airbench94_quarter", epochs=7)
    figures = projected(config, data, "do it", batch_size=4)
    assert (figures["status"], figures["command"]) == (NOT_RUN, "do it")
    expected = figures["core seconds a training image"] * 1000 * 7 / 3600
    assert figures["projected core hours"] == pytest.approx(expected, abs=0.06)
    assert finished(tmp_path) is None
    lines = fill(TABLE, [Row(name="long", run=lambda: figures, settings={})], options(tmp_path))
    assert lines[0]["status"] == NOT_RUN
    assert "`do it`" in (tmp_path / "table_x.md").read_text()


def test_a_training_in_two_parts_tells_of_both(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    data = LabelledImages(images, np.arange(8) % 2, ("a", "b"))
    first = TrainConfig(model="airbench94_quarter", epochs=2, batch_size=8)
    train(first, out=tmp_path / "first", train_set=data, test_set=data)
    second = dataclasses.replace(first, epochs=1, start=str(tmp_path / "first" / "weights.safetensors"))
    train(second, out=tmp_path / "second", train_set=data, test_set=data)
    record = training_record(tmp_path / "second")
    assert record["trained with"]["epochs"] == 1
    assert record["before that"]["trained with"]["epochs"] == 2
    assert "before that" not in record["before that"]
    fill(TABLE, [Row(name="twice", run=lambda: {"sum": 1.0, **record}, settings={})], options(tmp_path))
    assert "epochs 1" in (text := (tmp_path / "table_x.md").read_text())
    assert "; before that model airbench94_quarter, epochs 2" in text


def test_every_scheme_has_a_row_of_its_own() -> None:
    names = [row.name for row in table_c.rows_of(table_c.effort(parser_for(None)).parse_args([]))]
    assert len(names) == len(set(names))
    assert {f"cifar10: {name}" for name in list_schemes()} < set(names)
    published = {*table_c.CIFAR10_PUBLISHED, *table_c.CIFAR10_ALONE, *table_c.MNIST_PUBLISHED}
    assert published <= set(list_schemes())


def test_frames_are_shuffled_as_the_camera_does() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    nonces = new_nonces(2)
    shuffled = table_a.shuffled_images(images, nonces)
    for image, frame, nonce in zip(images, shuffled, nonces, strict=True):
        order = keyed_permutation(table_a.KEY, (4, 6), nonce=nonce)
        np.testing.assert_array_equal(order.unshuffle(frame.transpose(2, 0, 1)).transpose(1, 2, 0), image)


def test_the_picture_of_masks_can_be_opened() -> None:
    rng = np.random.default_rng(0)
    scenes = SegmentedImages(
        rng.integers(0, 256, (1, 24, 32, 3), dtype=np.uint8),
        rng.integers(0, 12, (1, 24, 32), dtype=np.uint8), CAMVID_CLASSES, 11,
    )  # fmt: skip
    png = table_d.mask_picture(build("unet", seed=0).eval(), scenes)
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR) is not None


def test_a_segmentation_that_was_not_trained_is_said_so(tmp_path: Path) -> None:
    scenes = SegmentedImages(np.zeros((0, 24, 32, 3), np.uint8), np.zeros((0, 24, 32), np.uint8), CAMVID_CLASSES, 11)
    row = table_d.scored("unet", tmp_path, scenes, tmp_path / "x.png")
    assert row["status"] == NOT_RUN
    assert row["command"].startswith("shufflecam train unet --data camvid-trainval")

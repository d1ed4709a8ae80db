"""Figures: numbers by hand, colours of photosites, and files that hold what they should."""

import math
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from networks import LabelledImages
from scrambler import Key, Multiplexer, keyed_permutation
from sensor import Camera, RawFrame, Scene
from shufflecam import figures
from shufflecam.chain import Label
from shufflecam.figures.feature_maps import map_layers
from shufflecam.figures.style import drawable
from shufflecam.jobs import read_manifest

KEY = Key.from_bytes(bytes(range(32)))


@pytest.fixture
def natural() -> RawFrame:
    y, x = np.mgrid[:36, :52] / 52
    return Camera("imx477", seed=3).capture(Scene.from_array(np.stack([x, y, 1 - x], 2)), 0.01)


def test_entropy_by_hand() -> None:
    assert figures.entropy_bits(np.zeros((3, 5), np.uint8)) == 0
    assert figures.entropy_bits(np.array([0, 0, 0, 0, 1, 1, 2, 3], np.uint16)) == 1.75
    assert figures.entropy_bits(np.array([-1, 7], np.int64)) == 1
    assert figures.entropy_bits(np.array([0.0, 0.5, 1.0, 1.5])) == 2
    assert figures.entropy_bits(np.zeros((0, 4), np.uint8)) == 0


def test_neighbours_by_hand() -> None:
    # Each row is 1 1 0 0: pairs (1,1), (1,0), (0,0) give covariance 1/3 - 2/3 * 1/3 and both variances 2/9.
    picture = np.array([[1, 1, 0, 0]] * 2, np.uint8)
    assert figures.neighbour_correlation(picture) == pytest.approx((1 / 3 - 2 / 9) / (2 / 9))
    assert figures.neighbour_correlation(picture, 1, 0) == 1
    assert figures.neighbour_correlation(np.array([[0, 9, 0, 9]]), 0, 1) == -1
    assert math.isnan(figures.neighbour_correlation(np.full((4, 5), 0.1)))
    assert math.isnan(figures.neighbour_correlation(np.ones((1, 1))))


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=9)), st.integers(0, 2**32 - 1)
)
def test_a_shuffle_keeps_entropy_and_neighbours_are_numpys_correlation(picture: np.ndarray, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(picture.reshape(-1)).reshape(picture.shape)
    assert figures.entropy_bits(shuffled) == pytest.approx(figures.entropy_bits(picture))
    one, other = picture[:-1, :-2].ravel().astype(float), picture[1:, 2:].ravel().astype(float)
    found = figures.neighbour_correlation(picture, 1, 2)
    if one.std() == 0 or other.std() == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(np.corrcoef(one, other)[0, 1])


def test_likeness_by_hand() -> None:
    one = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert figures.psnr_db(one, one) == math.inf
    assert figures.psnr_db(np.zeros((2, 3)), np.ones((2, 3)), 10) == pytest.approx(20)
    assert figures.ssim(one, one) == 1
    assert math.isnan(figures.ssim(one[:3], one[:3]))


def test_every_value_of_a_mosaic_has_its_filters_colour_by_hand() -> None:
    frame = RawFrame(
        mosaic=np.array([[100, 50, 0], [200, 10, 110]], np.uint16), cfa="RGGB", bit_depth=8, white_level=110,
        black_level=np.full((2, 2), 10.0), white_balance=np.ones(3), color_matrix=np.eye(3),
    )  # fmt: skip
    colours = figures.mosaic_colours(frame)
    assert (colours[..., 0] > 0).tolist() == [[True, False, False], [False, False, False]]
    assert (colours[..., 1] > 0).tolist() == [[False, True, False], [True, False, True]]
    assert colours[0, 2].tolist() == [0, 0, 0]  # red below black
    assert colours[1, 0, 1] == colours[1, 2, 1] == 1  # at and above white


def test_with_the_key_single_pixels_keep_the_colour_of_their_photosite(natural: RawFrame) -> None:
    frame = natural.shuffle(Multiplexer(KEY, unit="pixel"))
    order = frame.readout_permutation(KEY)
    expected = figures.mosaic_colours(natural).reshape(-1, 3)[order.source].reshape(*frame.shape, 3)
    np.testing.assert_array_equal(figures.mosaic_colours(frame, KEY), expected)
    assert (figures.mosaic_colours(frame) != expected).any()


def test_colour_planes_by_hand() -> None:
    mosaic = np.arange(20, dtype=np.uint16).reshape(4, 5)
    frame = RawFrame(
        mosaic=mosaic, cfa="RGGB", bit_depth=8, white_level=255, black_level=np.zeros((2, 2)),
        white_balance=np.ones(3), color_matrix=np.eye(3),
    )  # fmt: skip
    assert figures.colour_planes(frame)[1, 0].tolist() == [10, 11, 15, 16]
    assert figures.colour_planes(frame).shape == (2, 2, 4)


def test_maps_in_natural_order_are_the_plain_networks() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 48, 2)
    )
    picture = np.random.default_rng(1).random((8, 10, 3)).astype(np.float32)
    assert map_layers(network) == ["0", "2"]
    with torch.inference_mode():
        plain = network[:3](torch.from_numpy(picture).permute(2, 0, 1)[None])[0].numpy()
    shuffled, maps, natural = figures.keyed_feature_maps(network, picture, KEY, "2")
    np.testing.assert_allclose(natural, plain, atol=1e-5)
    assert maps.shape == plain.shape
    assert not np.allclose(maps, plain, atol=1e-2)
    np.testing.assert_array_equal(np.sort(shuffled.ravel()), np.sort(picture.ravel()))
    with pytest.raises(figures.FigureError, match="0, 2"):
        figures.keyed_feature_maps(network, picture, KEY, "7")


def test_accuracy_falls_with_noise_and_stays_with_the_key() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    images = np.random.default_rng(0).integers(0, 256, (12, 6, 7, 3), np.uint8)
    with torch.inference_mode():
        labels = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).argmax(1).numpy()
    curves = figures.accuracy_against_noise(
        network, LabelledImages(images, labels, ("a", "b")), (0, 80), KEY, np.random.default_rng(2)
    )
    by_name = {curve.name: curve for curve in curves}
    assert by_name["plain"].accuracies[0] == 1
    assert by_name["plain"].accuracies == by_name["with the key"].accuracies
    assert by_name["plain"].levels == (0.0, 80.0)
    for curve in curves:
        assert all(low <= share <= high for share, (low, high) in zip(curve.accuracies, curve.intervals(), strict=True))


def all_figures(natural: RawFrame) -> dict[str, object]:
    frame = natural.shuffle(Multiplexer(KEY))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 24, 3), np.uint8)
    return {
        "sheet": figures.draw_sheet([[("a", rng.random((5, 7, 3)))], [("b", None), ("c", rng.random((5, 7)))]], True),
        "mosaics": figures.draw_mosaics(frame, KEY, "a$b$\N{CJK UNIFIED IDEOGRAPH-4E2D}\udc80\n.dng"),
        "order": figures.draw_readout_order(keyed_permutation(KEY, (6, 9), bytes(16)), rng.random((6, 9, 3))),
        "statistics": figures.draw_statistics([("before", picture), ("flat", np.full((4, 5), 3))]),
        "wrong": figures.draw_wrong_keys(frame, KEY, wrong=1),
        "schemes": figures.draw_sheet(
            figures.scheme_rows(picture, ["etc", "pixel-shuffle", "dp-pixelize"], [KEY, Key.generate()])
        ),
        "accuracy": figures.draw_accuracy([figures.AccuracyCurve("x", (1.0, 2.0), (1, 0), 9)], chance=0.1, log=True),
    }  # fmt: skip


@pytest.mark.filterwarnings("error")
def test_every_figure_is_drawn_in_every_format_without_a_warning(natural: RawFrame, tmp_path: Path) -> None:
    for number, (name, figure) in enumerate(all_figures(natural).items()):
        ending = figures.FORMATS[number % 3]
        figures.save_figure(tmp_path / f"{name}{ending}", figure)
        content = (tmp_path / f"{name}{ending}").read_bytes()
        start = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml"}[ending]
        assert content.startswith(start)
        assert KEY.to_bytes() not in content


def test_a_figure_drawn_again_has_the_same_bytes(tmp_path: Path) -> None:
    curve = figures.AccuracyCurve("x", (1.0, 2.0), (1.0, 0.0), 9)
    for ending in figures.FORMATS:
        for name in ("one", "two"):
            figures.save_figure(tmp_path / f"{name}{ending}", figures.draw_accuracy([curve]))
        assert (tmp_path / f"one{ending}").read_bytes() == (tmp_path / f"two{ending}").read_bytes()


def test_names_are_escaped_and_cut() -> None:
    assert drawable("\udc80\t$") == "\\udc80\\t$"
    assert len(drawable("x" * 300)) == 48


def test_no_figure_of_nothing() -> None:
    for draw in (
        lambda: figures.draw_sheet([[("a", None)]]),
        lambda: figures.draw_statistics([]),
        lambda: figures.draw_statistics([("thin", np.zeros((9, 1)))]),
        lambda: figures.draw_accuracy([]),
        lambda: figures.AccuracyCurve("a", (1.0,), (), 5),
        lambda: figures.AccuracyCurve("a", (1.0,), (1.5,), 5),
        lambda: figures.draw_readout_order(keyed_permutation(KEY, 12, bytes(16))),
        lambda: figures.save_figure("a.gif", figures.draw_sheet([[("a", np.zeros((2, 2)))]])),
    ):
        with pytest.raises(figures.FigureError):
            draw()


def test_a_wrong_key_row_says_what_each_scheme_gives() -> None:
    picture = np.random.default_rng(4).integers(0, 256, (16, 24, 3), np.uint8)
    rows = figures.scheme_rows(picture, ["pixel-shuffle", "svd"], [KEY])
    (plain, protected, revealed, wrong), keyless = rows
    np.testing.assert_array_equal(plain[1], revealed[1])
    assert (protected[1] != plain[1]).any()
    assert (wrong[1] != plain[1]).any()
    assert keyless[2] == ("nobody gets it back", None)
    assert KEY.id[:8] in protected[0]


@pytest.mark.parametrize("kind", ["mosaic", "order", "statistics", "wrong-keys", "features"])
def test_show_draws_every_kind(run, frame_file: Path, key_file: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "new" / f"{kind}.png"
    assert run("show", frame_file, "--key", key_file, "--kind", kind, "--out", out).status == 0
    assert cv2.imread(str(out)).std() > 5


def test_show_draws_schemes_for_many_keys_and_into_folders(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    Key.generate().save(tmp_path / "other.key")
    both = ("--key", key_file, "--key", tmp_path / "other.key", "--scheme", "etc", "--scheme", "pixel-shuffle")
    assert run("show", photo, *both, "--out", tmp_path / "sheet.pdf").status == 0
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")
    assert run("show", photo.parent, *both, "--format", "svg", "--out", tmp_path / "sheets").status == 0
    assert b"<svg" in (tmp_path / "sheets" / "a.png.svg").read_bytes()
    assert "kept" in run("show", photo.parent, *both, "--format", "svg", "--out", tmp_path / "sheets").out


class BrightOrDark:
    """Labels frames by their mean code; knows the key, and is lost without it."""

    def label(self, frame: RawFrame, key: Key | None = None, *, force: bool = False) -> Label:
        knows = key is None or key.id == frame.key_id
        return Label("bright" if knows and frame.mosaic.mean() > 600 else "dark", 1.0, ())

    def label_as_natural(self, frame: RawFrame) -> Label:
        return Label("lost", 1.0, ())


def test_agreement_counts_the_labels_that_stay(photo: Path) -> None:
    curves = figures.agreement_against_light(
        [photo, photo], Camera("imx477", seed=1), BrightOrDark(), KEY, (0.01, 0.0001)
    )
    found = {curve.name: curve.accuracies for curve in curves}
    assert found == {"plain": (1, 0), "with the key": (1, 0), "without a key": (0, 0), "wrong key": (0, 0)}
    assert curves[0].levels == pytest.approx((10, 0.1))
    assert curves[0].images == 2


@pytest.mark.slow
def test_show_draws_labels_as_the_light_goes(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    typed = run("show", photo, "--kind", "noise", "--key", key_file, "--out", tmp_path / "noise.svg")
    assert typed.status == 0
    assert re.search(r"^plain +100 %", typed.out, re.MULTILINE)
    assert re.search(r"^with the key +100 %", typed.out, re.MULTILINE)
    assert (tmp_path / "noise.svg").exists()


def test_show_refuses_in_one_sentence(run, photo: Path, frame_file: Path, key_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "no.png"
    for arguments, said in {
        ("--kind", "cake"): "choose one of views",
        ("--kind", "schemes"): "name the schemes",
        ("--scheme", "cake"): "cake",
        ("--kind", "order"): "give the key",
        ("--key", key_file, "--key", key_file): "takes one --key",
        ("--layer", "x"): "--kind features",
        ("--format", "gif"): "none of png, pdf and svg",
        ("--kind", "features", "--key", key_file, "--layer", "x"): "no maps of layer",
    }.items():
        typed = run("show", photo if "--scheme" in arguments else frame_file, *arguments, "--out", out)
        needs_file = "order" in arguments or "features" in arguments
        assert (typed.status, typed.err.count("\n")) == (1 if needs_file else 2, 1)
        assert said in typed.err
        assert not out.exists()
    assert "one figure" in run("show", photo, "--kind", "noise", "--out", tmp_path / "folder").err


def test_figures_work_travels_without_keys(key_file: Path) -> None:
    from shufflecam.jobs import JobKey
    from shufflecam.verbs.show import Show

    work = Show(key=JobKey.of(key_file), more_keys=(JobKey.of(key_file),), sensor="imx477", sensor_hash="")
    assert Key.load(key_file).to_bytes() not in pickle.dumps(work)


def test_show_passes_parameters_on_to_schemes(run, photo: Path, key_file: Path, tmp_path: Path) -> None:
    arguments = ("--key", key_file, "--scheme", "etc", "--scheme", "tile-shuffle", "--out", tmp_path / "sheets")
    assert (
        run("show", photo.parent, *arguments, "--param", "etc:block=10", "--param", "tile-shuffle:tile=6").status == 0
    )
    record = read_manifest(tmp_path / "sheets")["a.png"]
    assert record.parameters["scheme_parameters"] == {"etc": {"block": 10}, "tile-shuffle": {"tile": 6}}
    for more, said in {
        ("--param", "sit:block=4"): "which no --scheme names",
        ("--param", "block"): "NAME=VALUE",
        ("--param", "etc:cake=1"): "cake",
    }.items():
        typed = run("show", photo, *arguments[:4], *more, "--out", tmp_path / "no.png")
        assert (typed.status, typed.err.count("\n")) == (2, 1)
        assert said in typed.err
    typed = run("show", photo, "--param", "block=4", "--out", tmp_path / "no.png")
    assert "name it with --scheme" in typed.err


def test_show_draws_the_first_picture_of_a_video_and_schemes_on_raw_files(
    run, frame_file: Path, key_file: Path, tmp_path: Path
) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(3):
        writer.write(np.full((48, 64, 3), 80 * number, np.uint8))
    writer.release()
    assert run("show", tmp_path / "clip.avi", "--key", key_file, "--out", tmp_path / "clip.png").status == 0
    natural = tmp_path / "natural.dng"
    RawFrame.load(frame_file).unshuffle(Key.load(key_file)).save(natural)
    sheet = ("--scheme", "pixel-shuffle", "--key", key_file, "--out", tmp_path / "sheet.png")
    assert run("show", natural, *sheet).status == 0
    assert "reveal it first" in run("show", frame_file, *sheet).err

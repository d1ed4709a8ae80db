"""The chain from a RAW frame to a label gives the same answer in any order the sensor reads out."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from networks import DatasetError, Pretrained, build, load_cifar10
from operators import keyed_raw_to_rgb
from scrambler import Key, Multiplexer, keyed_permutation
from scrambler.errors import MissingKeyError, ShuffleCamError, WrongKeyError
from sensor import (
    MONO,
    QUAD_BAYER,
    X_TRANS,
    Camera,
    RawFrame,
    Scene,
    develop,
    sensor_preset,
    srgb_decode,
    srgb_encode,
)
from sensor.orientation import upright
from shufflecam.chain import Labeller, network_input, seen_without_key

KEY = Key.from_bytes(bytes(range(32)))


@pytest.fixture(scope="module")
def labeller() -> Labeller:
    return Labeller.load()


@pytest.fixture(scope="module")
def cat() -> RawFrame:
    """The bundled cat, captured in natural order."""
    picture = skimage.data.chelsea() / 255
    return Camera("imx477", seed=7).capture(Scene.from_array(srgb_decode(picture)))


def captured_through(cfa: str) -> RawFrame:
    """Return a part of the bundled cat as a sensor with another filter array sees it."""
    params = replace(sensor_preset("imx477"), cfa=cfa, height_px=3036, width_px=4056)
    scene = Scene.from_array(srgb_decode(skimage.data.chelsea()[50:242, 100:316] / 255))
    return Camera(params, seed=7).capture(scene)


def natural_area(picture: np.ndarray, size: int) -> np.ndarray:
    """Average a linear picture's largest centred square to size x size with OpenCV."""
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return cv2.resize(picture[top : top + side, left : left + side], (size, size), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("unit", ["pixel", "quad", "plane"])
@pytest.mark.parametrize("pattern", ["frame", "rows", "rows+columns", "tiles:8"])
def test_logits_are_the_plain_ones_for_every_pattern_and_unit(
    labeller: Labeller, cat: RawFrame, pattern: str, unit: str
) -> None:
    shuffled = cat.shuffle(Multiplexer(KEY, pattern=pattern, unit=unit))
    plain, keyed = labeller.label(cat), labeller.label(shuffled, KEY)
    assert keyed.name == plain.name
    np.testing.assert_allclose(keyed.logits, plain.logits, atol=1e-5)


@pytest.mark.parametrize("pattern", ["frame", "rows", "rows+columns", "lines:4", "tiles:12", "blocks:12"])
@pytest.mark.parametrize("cfa", [QUAD_BAYER, X_TRANS, MONO])
def test_every_filter_array_in_every_pattern_and_unit_is_labelled_as_the_plain_frame_is(
    labeller: Labeller, cfa: str, pattern: str
) -> None:
    frame = captured_through(cfa)
    plain = labeller.label(frame)
    for unit in ("pixel", "quad", "plane"):
        shuffled = frame.shuffle(Multiplexer(KEY, pattern=pattern, unit=unit))
        order = keyed_permutation(KEY, (32, 32), nonce=shuffled.nonce)
        got = network_input(shuffled, (32, 32), shuffled.readout_permutation(KEY), order)
        assert torch.equal(got, order.shuffle(network_input(frame, (32, 32))))
    np.testing.assert_allclose(labeller.label(shuffled, KEY).logits, plain.logits, atol=1e-5)


@pytest.mark.parametrize("cfa", [QUAD_BAYER, X_TRANS, MONO])
def test_the_networks_input_through_another_array_is_the_developed_picture_averaged(cfa: str) -> None:
    # Without a colour matrix nothing leaves the gamut, see below.
    frame = replace(captured_through(cfa), color_matrix=np.eye(3))
    expected = srgb_encode(natural_area(develop(frame, tone="linear"), 32))
    got = network_input(frame, (32, 32))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_network_sees_the_picture_upright(orientation: int) -> None:
    frame = replace(captured_through("RGGB"), orientation=orientation)
    lying = network_input(replace(frame, orientation=1), (32, 32))[0].permute(1, 2, 0).numpy()
    got = network_input(frame, (32, 32))
    np.testing.assert_array_equal(got[0].permute(1, 2, 0).numpy(), upright(lying, orientation))
    shuffled = frame.shuffle(Multiplexer(KEY))
    order = keyed_permutation(KEY, (32, 32), nonce=shuffled.nonce)
    keyed = network_input(shuffled, (32, 32), shuffled.readout_permutation(KEY), order)
    assert torch.equal(keyed, order.shuffle(got))
    # An input that is no square turns with the picture too.
    assert network_input(frame, (24, 40)).shape == (1, 3, 24, 40)


def test_the_networks_input_is_the_plain_one_shuffled_bit_for_bit(cat: RawFrame) -> None:
    shuffled = cat.shuffle(Multiplexer(KEY))
    order = keyed_permutation(KEY, (32, 32), nonce=shuffled.nonce)
    got = network_input(shuffled, (32, 32), shuffled.readout_permutation(KEY), order)
    plain = network_input(cat, (32, 32))
    assert torch.equal(got, order.shuffle(plain))
    assert not torch.equal(got, plain)


def test_the_networks_input_is_the_developed_picture_averaged(cat: RawFrame) -> None:
    # Without a colour matrix nothing leaves the gamut: developing clips before the average, the network's input after.
    frame = replace(cat, color_matrix=np.eye(3))
    expected = srgb_encode(natural_area(develop(frame, demosaic="bilinear", tone="linear"), 32))
    got = network_input(frame, (32, 32))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)
    with_matrix = srgb_encode(natural_area(develop(cat, demosaic="bilinear", tone="linear"), 32))
    assert np.abs(network_input(cat, (32, 32))[0].permute(1, 2, 0).numpy() - with_matrix).mean() < 1e-3


def test_small_and_large_pictures_take_the_same_way(labeller: Labeller) -> None:
    for size in ((32, 32), (33, 40), (1200, 1600)):
        y, x = np.mgrid[: size[0], : size[1]]
        scene = Scene.from_array(np.stack([x / size[1], y / size[0], np.full(size, 0.3)], 2))
        natural = Camera("imx477", seed=1).capture(scene)
        plain, keyed = labeller.label(natural), labeller.label(natural.shuffle(Multiplexer(KEY)), KEY)
        assert keyed.name == plain.name
        np.testing.assert_allclose(keyed.logits, plain.logits, atol=1e-5)


def test_cifar_sized_captures_are_labelled_like_plain_ones(labeller: Labeller) -> None:
    try:
        test = load_cifar10("test")
    except DatasetError as error:
        pytest.skip(str(error))
    camera = Camera("imx477", seed=3)
    names = []
    for number, image in enumerate(test.images[:60]):
        natural = camera.capture(Scene.from_array(srgb_decode(image / 255)), frame=number)
        plain, keyed = labeller.label(natural), labeller.label(natural.shuffle(Multiplexer(KEY)), KEY)
        assert keyed.name == plain.name
        names.append(keyed.name)
    right = np.mean([name == test.classes[label] for name, label in zip(names, test.labels, strict=False)])
    # Demosaicing 32x32 mosaics and sensor noise cost accuracy, but chance is 0.1.
    assert right > 0.4


def test_a_key_is_needed_and_it_must_be_the_frames(labeller: Labeller, cat: RawFrame) -> None:
    shuffled = cat.shuffle(Multiplexer(KEY))
    with pytest.raises(MissingKeyError, match=KEY.id):
        labeller.label(shuffled)
    with pytest.raises(WrongKeyError, match=KEY.id):
        labeller.label(shuffled, Key.generate())
    forced = labeller.label(shuffled, Key.generate(), force=True)
    assert np.abs(np.subtract(forced.logits, labeller.label(cat).logits)).max() > 0.1


def test_without_the_key_only_the_mean_colour_is_left(cat: RawFrame) -> None:
    delivered = develop(seen_without_key(cat.shuffle(Multiplexer(KEY))))
    picture = develop(cat)

    # Neighbours in a photograph resemble each other; in a shuffled frame those a quad apart do not.
    def correlation(rgb: np.ndarray) -> float:
        green = rgb[:, :, 1]
        return float(np.corrcoef(green[:, 8:].ravel(), green[:, :-8].ravel())[0, 1])

    assert correlation(picture) > 0.5
    assert abs(correlation(delivered)) < 0.05


def test_raw_to_rgb_reads_foreign_black_levels_and_orders(cat: RawFrame) -> None:
    assert cat.cfa == "RGGB"
    moved = np.roll(cat.mosaic, -1, axis=1)[:, :-2]
    for mosaic, cfa in ((cat.mosaic, "RGGB"), (moved, "GRBG")):
        rgb = keyed_raw_to_rgb(
            mosaic, (8, 8), slot=None, cfa=cfa, black_level=cat.black_level.mean(), white_level=cat.white_level,
            white_balance=cat.white_balance, color_matrix=cat.color_matrix,
        )  # fmt: skip
        assert rgb.shape == (3, 8, 8)
        np.testing.assert_allclose(rgb.mean((1, 2)), network_input(cat, (8, 8))[0].mean((1, 2)), atol=0.02)


def test_a_network_of_grey_pictures_reads_the_luma(cat: RawFrame) -> None:
    digits = Labeller(Pretrained("digits", build("lenet5", seed=0).eval(), tuple("0123456789"), (28, 28), 1, "lenet5"))
    plain, keyed = digits.label(cat), digits.label(cat.shuffle(Multiplexer(KEY)), KEY)
    grey = sum(w * plane for w, plane in zip((0.2126, 0.7152, 0.0722), network_input(cat, (28, 28))[0], strict=True))
    with torch.inference_mode():
        expected = digits.pretrained.network(grey[None, None])[0]
    np.testing.assert_allclose(plain.logits, expected, atol=1e-5)
    np.testing.assert_allclose(keyed.logits, plain.logits, atol=1e-5)


def test_a_network_of_masks_gives_no_label(cat: RawFrame) -> None:
    masks = Labeller(
        Pretrained("streets", build("deeplab_light", seed=0).eval(), tuple("abcdefghijk"), (18, 24), 3, "deeplab_light")
    )
    with pytest.raises(ShuffleCamError, match="streets gives masks, not labels"):
        masks.label(cat)

"""A multiplexer before the converters: what moves with the photosite, and what stays with the slot."""

from dataclasses import replace

import numpy as np
import pytest

from scrambler import Multiplexer
from sensor import Camera, CaptureError, Scene, SwitchNetwork, sensor_preset
from sensor.counter_rng import NoiseSource, Stream
from sensor.reset_noise import capacitor_noise_v

RNG = np.random.default_rng(5)
SILENT = SwitchNetwork(hold_f=float("inf"), settle_s=float("inf"), injection_e=0.0)
PATTERNS = ["frame", "rows", "columns", "rows+columns", "lines:3", "tiles:4", "blocks:4"]
NONCE = bytes(range(16))


def both(params, key, pattern, network=SILENT, unit=None, shape=(46, 62)):
    """Return the natural codes of the same camera, and the unshuffled and shuffled codes of a pre-ADC one."""
    scene = Scene.from_array(RNG.random((*shape, 3)))
    mux = Multiplexer(key, pattern=pattern, unit=unit)
    natural = Camera(params, seed=4).capture(scene, frame=9)
    switched = Camera(params, mux, seed=4, stage="pre-adc", network=network).capture(scene, frame=9, nonce=NONCE)
    assert (switched.key_id, switched.pattern, switched.nonce) == (key.id, pattern, NONCE)
    return natural.mosaic, switched.unshuffle(key).mosaic, switched


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("unit", ["pixel", "quad"])
def test_with_silent_switches_and_equal_converters_it_is_the_natural_frame(key, pattern, unit):
    natural, unshuffled, switched = both(sensor_preset("imx455"), key, pattern, unit=unit)
    np.testing.assert_array_equal(unshuffled, natural)
    assert not np.array_equal(switched.mosaic, natural)


def test_columns_and_rows_belong_to_the_slot(key, quiet):
    """Column offset and row noise of a dark frame lie in the shuffled frame as in the natural one."""
    params = replace(quiet, column_offset_e=40.0, row_noise_e=30.0, black_level_dn=400, cfa="W")
    dark = Scene.from_array(np.zeros((40, 50)))
    natural = Camera(params, seed=4).capture(dark, frame=2)
    switched = Camera(params, Multiplexer(key), seed=4, stage="pre-adc", network=SILENT).capture(dark, frame=2)
    np.testing.assert_array_equal(switched.mosaic, natural.mosaic)
    moved = switched.unshuffle(key).mosaic
    assert not np.array_equal(moved, natural.mosaic)


@pytest.mark.parametrize("figure", ["prnu_percent", "dsnu_e", "hot_pixel_fraction", "defect_fraction", "rts_fraction"])
def test_what_belongs_to_the_photosite_moves_with_it(key, quiet, figure):
    strong = {"prnu_percent": 5.0, "dsnu_e": 20.0, "hot_pixel_fraction": 0.3, "defect_fraction": 0.1}
    params = replace(
        quiet, **{figure: strong.get(figure, 0.5)}, hot_pixel_e_per_s=1e5, rts_amplitude_e=50.0, read_noise_e=2.0
    )
    natural, unshuffled, _ = both(params, key, "frame")
    np.testing.assert_array_equal(unshuffled, natural)


def test_the_order_of_effects_by_hand(key, quiet):
    """Charge at 0.5 DN/e-, moved, then each slot's column offset, gain and rounding, reckoned outside the camera."""
    params = replace(quiet, column_offset_e=11.0, column_gain_percent=3.0)
    light = RNG.random((12, 10, 3))
    mux = Multiplexer(key, pattern="rows+columns", unit="pixel")
    frame = Camera(params, mux, seed=8, stage="pre-adc", network=SILENT).capture(Scene.from_array(light), nonce=NONCE)
    colour = np.array([[0, 1], [1, 2]])[np.arange(12)[:, None] % 2, np.arange(10) % 2]
    charge = np.take_along_axis(light, colour[:, :, None], 2)[:, :, 0] * 2000.0
    slots = charge.ravel()[mux.permutation((12, 10), NONCE).source].reshape(12, 10)
    gains = NoiseSource(seed=8).normals(Stream.COLUMN_GAIN, (1, 10), fixed=True)
    offsets = NoiseSource(seed=8).normals(Stream.COLUMN_OFFSET, (1, 10), fixed=True)
    volts = 0.5 * (slots * (1 + 0.03 * gains) + 11 * offsets) + 23
    np.testing.assert_allclose(frame.mosaic, np.clip(volts, 0, 1023), atol=0.51)


def test_settling_keeps_a_share_of_what_the_column_held_before():
    # One time constant: the share is 1/e. By hand: 100, then 0 keeps 36.8, then 50 -> 50 + (36.8 - 50)/e.
    network = SwitchNetwork(switch_ohm=1000, hold_f=1e-12, parasitic_f=0, settle_s=3e-9)
    assert network.stages(4) == 3
    assert network.time_constant_s(4) == pytest.approx(3e-9)
    assert network.memory(4) == pytest.approx(np.exp(-1))
    held = network.settled(np.array([[100, 0, 7, 1], [0, 0, 7, 1], [50, 0, 7, 1]], np.float32)).astype(float)
    share = np.exp(-1)
    first = 100 * (1 - share)
    np.testing.assert_allclose(held[:, 0], [first, first * share, 50 + (first * share - 50) * share], rtol=1e-6)
    assert (held[:, 1] == 0).all()
    np.testing.assert_allclose(held[:, 2], 7 * (1 - share ** np.arange(1, 4)), rtol=1e-6)


def test_the_switches_capacitor_noise_is_what_the_formula_says():
    assert capacitor_noise_v(1e-12, 300) == pytest.approx(np.sqrt(1.380649e-23 * 300 / 1e-12))
    network = SwitchNetwork(hold_f=0.2e-12, injection_e=0.0)
    zero = np.zeros((200, 300), np.float32)
    out = network.sampled(zero, NoiseSource(seed=1), temperature_k=300, conversion_gain_v_per_e=1e-4)
    expected = np.sqrt(1.380649e-23 * 300 / 0.2e-12) / 1e-4
    assert abs(out.astype(float).std() / expected - 1) < 5 / np.sqrt(2 * out.size)


def test_injected_charge_belongs_to_the_column_and_stays():
    network = SwitchNetwork(hold_f=float("inf"), injection_e=3.0)
    frames = [
        network.sampled(
            np.zeros((6, 4000), np.float32),
            NoiseSource(seed=1, frame=f, origin=(8 * f, 0)),
            temperature_k=300,
            conversion_gain_v_per_e=1e-4,
        )
        for f in (0, 1)
    ]
    np.testing.assert_array_equal(*frames)
    assert (frames[0] == frames[0][0]).all()
    assert abs(frames[0][0].astype(float).std() / 3 - 1) < 5 / np.sqrt(2 * 4000)


def test_silent_switches_return_their_input_untouched():
    signal = np.ones((3, 5), np.float32)
    assert SILENT.settled(signal) is signal
    assert SILENT.sampled(signal, NoiseSource(), temperature_k=300, conversion_gain_v_per_e=1e-4) is signal


def test_row_order_alone_has_no_switches(key):
    loud = SwitchNetwork(hold_f=1e-16, settle_s=1e-9, injection_e=300.0)
    natural, unshuffled, _ = both(sensor_preset("imx477"), key, "rows", network=loud)
    np.testing.assert_array_equal(unshuffled, natural)
    natural, unshuffled, _ = both(sensor_preset("imx477"), key, "columns", network=loud)
    assert not np.array_equal(unshuffled, natural)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"stage": "mid-adc"}, "stage must be one of"),
        ({"stage": "pre-adc"}, "this camera has none"),
        ({"network": SILENT}, "belongs to stage"),
    ],
)
def test_an_impossible_stage_is_refused(arguments, sentence):
    with pytest.raises(CaptureError, match=sentence):
        Camera("imx477", **arguments)


@pytest.mark.parametrize("figure", ["hold_f", "switch_ohm", "parasitic_f", "settle_s", "injection_e"])
def test_an_impossible_switch_is_refused(figure):
    for wrong in (-1.0, float("nan"), "a few"):
        with pytest.raises(CaptureError, match=figure):
            SwitchNetwork(**{figure: wrong})
    with pytest.raises(CaptureError, match="above 0"):
        SwitchNetwork(hold_f=0.0)

"""Charge that waits in storage nodes: by hand, off means absent, and rows that come late leak more."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Multiplexer
from sensor import Camera, PresetError, Scene, readout_row_order, readout_timeline, sensor_preset
from sensor.readout_timing import random_access_time_s, row_time_s, storage_wait_s
from sensor.storage_leakage import storage_leakage
from sensor.switch_network import SwitchNetwork

NONCE = bytes(range(16))
SHAPE = (46, 62)


@pytest.fixture
def leaking(quiet):
    """Half of the light reaches the nodes too, and a row takes 16.4 us: a leak that every row shows."""
    return replace(
        quiet, cfa="W", bit_depth=16, black_level_dn=0, gain_dn_per_e=1.0, shutter="global", parasitic_light_share=0.5,
        converter_clock_hz=2e9,
    )  # fmt: skip


def grey(level=0.25, shape=SHAPE):
    return Scene.from_array(np.full(shape, level))


def test_the_leak_by_hand():
    mean, rate = np.full((2, 3), 100, np.float32), np.full((2, 3), 4000, np.float32)
    wait = np.array([[0.0], [0.5]], np.float32)
    out = storage_leakage(mean, rate, wait, parasitic_share=0.01, dark_e_per_s=6.0)
    np.testing.assert_allclose(out, [[100] * 3, [100 + (40 + 6) / 2] * 3])
    assert storage_leakage(mean, rate, wait, parasitic_share=0, dark_e_per_s=0) is mean


@pytest.mark.parametrize(
    "off", [{"parasitic_light_share": 0.0}, {"shutter": "rolling"}, {"shutter": "rolling", "storage_dark_e_per_s": 1e6}]
)
def test_off_is_bit_identical_to_absent(leaking, off):
    noisy = replace(leaking, shot_noise=True, prnu_percent=1.0, dark_current_e_per_s=50.0)
    absent = replace(noisy, parasitic_light_share=0.0, storage_dark_e_per_s=0.0, shutter="rolling")
    codes, without = (Camera(p, seed=3).capture(grey()).mosaic for p in (replace(noisy, **off), absent))
    np.testing.assert_array_equal(codes, without)


def test_rows_brighten_by_what_leaks_while_they_wait(leaking):
    codes = Camera(leaking).capture(grey(), exposure_s=0.02).mosaic.astype(float)
    rate = 0.25 * leaking.saturation_e / 0.01
    waits = np.arange(SHAPE[0]) * row_time_s(leaking, SHAPE[1])
    np.testing.assert_allclose(codes, np.tile((rate * 0.02 + 0.5 * rate * waits)[:, None], SHAPE[1]), atol=0.51)
    # What light adds while nothing is exposed at all.
    alone = Camera(leaking).capture(grey(), exposure_s=0.0).mosaic
    np.testing.assert_allclose(alone, np.tile((0.5 * rate * waits)[:, None], SHAPE[1]), atol=0.51)


def test_dark_leakage_doubles_with_temperature(leaking):
    params = replace(leaking, parasitic_light_share=0.0, storage_dark_e_per_s=2e6)
    cold, warm = (
        Camera(params, temperature_k=params.dark_reference_k + rise).capture(grey(0.0)).mosaic[-1].mean()
        for rise in (0, params.dark_doubling_k)
    )
    assert cold == pytest.approx(2e6 * 45 * row_time_s(params, SHAPE[1]), abs=0.51)
    assert warm == pytest.approx(2 * cold, abs=1.01)


@pytest.mark.parametrize("pattern", ["rows", "rows+columns", "frame", "tiles:4"])
def test_before_the_converters_the_leak_follows_the_keyed_order(leaking, key, pattern):
    mux = Multiplexer(key, pattern=pattern, unit="pixel")
    silent = SwitchNetwork(switch_ohm=1e-15, hold_f=1e3, injection_e=0.0)
    camera = Camera(leaking, multiplexer=mux, stage="pre-adc", network=silent)
    natural = camera.capture(grey(), nonce=NONCE).unshuffle(key).mosaic.astype(float)
    order = mux.permutation(SHAPE, NONCE, unit="pixel", period=(1, 1))
    rate = 0.25 * leaking.saturation_e / 0.01
    expected = np.empty(SHAPE)
    for slot, photosite in enumerate(order.source):
        if "rows" in pattern:
            wait = slot // SHAPE[1] * row_time_s(leaking, SHAPE[1], None if pattern == "rows" else silent)
        else:
            wait = slot * random_access_time_s(leaking, (1, 1))
        expected[divmod(int(photosite), SHAPE[1])] = rate * 0.01 + 0.5 * rate * wait
    top = 65535
    np.testing.assert_allclose(natural, np.minimum(expected, top), rtol=2e-6, atol=0.6)


def test_behind_the_converters_unshuffling_still_gives_the_plain_frame(leaking, key):
    mux = Multiplexer(key, pattern="rows", unit="pixel")
    plain = Camera(leaking, seed=2).capture(grey())
    np.testing.assert_array_equal(Camera(leaking, mux, seed=2).capture(grey()).unshuffle(key).mosaic, plain.mosaic)


def test_waits_are_those_of_the_timeline(leaking, key):
    mux = Multiplexer(key, pattern="rows", unit="pixel")
    rows = readout_row_order(mux, leaking, SHAPE, NONCE)
    line = readout_timeline(leaking, 0.01, shape=SHAPE, row_order=rows)  # the sensor's own shutter: global
    order = mux.permutation(SHAPE, NONCE, unit="pixel", period=(1, 1))
    waits = storage_wait_s(leaking, SHAPE, order)
    np.testing.assert_allclose(waits[line.row, 0], line.settle_s - line.exposure_end_s, rtol=1e-6)


@settings(deadline=None, max_examples=5)
@given(st.integers(1, 4), st.floats(0.001, 0.5))
def test_the_leak_is_the_same_in_bands_and_with_blooming(leaking_seed, share):
    params = replace(
        sensor_preset("pregius-3.45"), parasitic_light_share=share, blooming_fraction=0.0, storage_dark_e_per_s=100.0
    )
    scene = grey(0.3, (40, 50))
    plain = Camera(params, seed=leaking_seed).capture(scene).mosaic
    # Nothing blooms at this level, but the whole frame is then exposed in one piece.
    np.testing.assert_array_equal(
        Camera(replace(params, blooming_fraction=0.5), seed=leaking_seed).capture(scene).mosaic, plain
    )


def test_a_shutter_is_rolling_or_global(quiet):
    assert sensor_preset("pregius-3.45").shutter == "global"
    with pytest.raises(PresetError, match="shutter must be one of rolling, global, not 'leaf'"):
        replace(quiet, shutter="leaf")
    with pytest.raises(PresetError, match="parasitic_light_share must be a number from 0 to 1"):
        replace(quiet, parasitic_light_share=2)

"""Every effect alone: by hand, off means absent, and the moments it promises."""

import numpy as np
import pytest

from sensor.adc import convert
from sensor.counter_rng import NoiseSource
from sensor.dark_current import dark_current
from sensor.dsnu import dsnu
from sensor.full_well import full_well
from sensor.prnu import prnu
from sensor.read_noise import read_noise

SHAPE = (400, 500)
N = SHAPE[0] * SHAPE[1]


def test_effects_that_are_off_return_their_input_untouched():
    signal = np.full((3, 5), 7.25, np.float32)
    noise = NoiseSource(seed=1)
    assert prnu(signal, 0, noise) is signal
    assert dsnu(signal, 0, noise) is signal
    assert read_noise(signal, 0, noise) is signal
    assert full_well(signal, float("inf")) is signal
    assert dark_current(0, temperature_k=400, reference_k=300, doubling_k=7, exposure_s=9) == 0


def test_effects_leave_their_input_alone():
    signal = np.full((3, 5), 7.25, np.float32)
    noise = NoiseSource(seed=1)
    for effect in (prnu, dsnu, read_noise):
        assert effect(signal, 3.0, noise) is not signal
    full_well(signal, 2)
    convert(signal, gain_dn_per_e=1, black_level_dn=0, bit_depth=8)
    np.testing.assert_array_equal(signal, 7.25)


@pytest.mark.parametrize("effect", [dsnu, read_noise])
def test_additive_noise_has_mean_zero_and_its_spread(effect):
    added = effect(np.zeros(SHAPE, np.float32), 3.0, NoiseSource(seed=5)).astype(np.float64)
    # Standard errors: sigma/sqrt(N) of the mean, sigma/sqrt(2N) of the standard deviation.
    assert abs(added.mean()) < 5 * 3 / np.sqrt(N)
    assert abs(added.std() - 3) < 5 * 3 / np.sqrt(2 * N)


def test_prnu_keeps_the_mean_and_scales_with_the_signal():
    for level in (10.0, 5000.0):
        out = prnu(np.full(SHAPE, level, np.float32), 2.0, NoiseSource(seed=5)).astype(np.float64)
        assert abs(out.mean() / level - 1) < 5 * 0.02 / np.sqrt(N)
        assert abs(out.std() / level - 0.02) < 5 * 0.02 / np.sqrt(2 * N)


def test_fixed_patterns_stay_and_temporal_noise_does_not():
    signal = np.full((20, 30), 100, np.float32)
    first, second = NoiseSource(seed=5, frame=0), NoiseSource(seed=5, frame=1)
    for effect in (prnu, dsnu):
        np.testing.assert_array_equal(effect(signal, 1.0, first), effect(signal, 1.0, second))
        assert not np.array_equal(effect(signal, 1.0, first), effect(signal, 1.0, NoiseSource(seed=6)))
    assert not np.array_equal(read_noise(signal, 1.0, first), read_noise(signal, 1.0, second))


def test_dark_current_doubles_with_temperature_and_grows_with_time():
    dark = {"rate_e_per_s": 4.0, "reference_k": 300.0, "doubling_k": 8.0}
    assert dark_current(**dark, temperature_k=300, exposure_s=1) == 4
    assert dark_current(**dark, temperature_k=308, exposure_s=1) == 8
    assert dark_current(**dark, temperature_k=292, exposure_s=10) == 20


def test_full_well_by_hand():
    np.testing.assert_array_equal(full_well(np.array([0, 99, 100, 101], np.float32), 100), [0, 99, 100, 100])


def test_the_converter_rounds_once_to_the_nearest_code_and_clips_on_both_sides():
    # gain 1/2, black 4: -9 e- -> -0.5 -> code 0; 1 e- -> 4.5 -> 5 (half goes up); 502 e- -> 255; 503 e- clips.
    electrons = np.array([-9, -8, -1, 0, 0.9, 1, 2, 502, 503, 1e9], np.float32)
    codes = convert(electrons, gain_dn_per_e=0.5, black_level_dn=4, bit_depth=8)
    assert codes.dtype == np.uint16
    assert codes.tolist() == [0, 0, 4, 4, 4, 5, 5, 255, 255, 255]


def test_the_converter_adds_a_twelfth_of_a_code_of_variance_and_no_bias():
    # A uniform ramp over many codes: the rounding error is uniform in one code, variance 1/12, mean 0.
    volts = np.linspace(100, 900, 800_001).astype(np.float32)
    error = convert(volts, gain_dn_per_e=1, black_level_dn=0, bit_depth=10) - volts.astype(np.float64)
    # 1/12 and 0 to within the grid of 1/1000 code.
    assert abs(error.mean()) < 1e-3
    assert abs(error.var() - 1 / 12) < 1e-3


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_converter_reaches_its_top_code_and_no_more(bits):
    top = (1 << bits) - 1
    codes = convert(np.array([top, top + 1], np.float32), gain_dn_per_e=1, black_level_dn=0, bit_depth=bits)
    assert codes.tolist() == [top, top]

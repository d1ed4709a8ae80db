"""The rarer effects: by hand, off means absent, and the moments they promise."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from scrambler import Multiplexer
from sensor import Camera, PresetError, Scene, list_presets, sensor_preset
from sensor.adc import convert
from sensor.banding_noise import banding_noise
from sensor.blooming import blooming
from sensor.column_pattern import column_pattern
from sensor.counter_rng import NoiseSource
from sensor.defects import STUCK_E, defects
from sensor.effect_figures import EFFECT_RANGES
from sensor.full_well import full_well
from sensor.hot_pixels import hot_pixels
from sensor.reset_noise import reset_noise
from sensor.row_noise import row_noise
from sensor.sar_converter import capacitor_weights, convert_sar
from sensor.telegraph_noise import telegraph_noise
from sensor.tukey_noise import tukey_deviation, tukey_noise

SHAPE = (300, 502)
N = SHAPE[0] * SHAPE[1]
ZERO = np.zeros(SHAPE, np.float32)

# Each effect, alone and strong enough to move codes; the off value is the field's default.
STRONG = {
    "hot_pixel_fraction": {"hot_pixel_fraction": 0.3, "hot_pixel_e_per_s": 1e5},
    "defect_fraction": {"defect_fraction": 0.2},
    "full_well_knee": {"full_well_e": 900.0, "full_well_knee": 0.5},
    "blooming_fraction": {"full_well_e": 900.0, "blooming_fraction": 1.0},
    "reset_noise_e": {"reset_noise_e": 20.0, "cds": False},
    "cds": {"reset_noise_e": 20.0, "cds": False},
    "read_noise_kind": {"read_noise_kind": "tukey", "tukey_scale_e": 10.0, "tukey_lambda": -0.1},
    "tukey_scale_dn": {"read_noise_kind": "tukey", "tukey_scale_dn": 5.0},
    "rts_fraction": {"rts_fraction": 0.5, "rts_amplitude_e": 50.0},
    "row_noise_e": {"row_noise_e": 20.0},
    "row_noise_dn": {"row_noise_dn": 10.0},
    "column_offset_e": {"column_offset_e": 20.0},
    "column_gain_percent": {"column_gain_percent": 5.0},
    "banding_noise_e": {"banding_noise_e": 20.0, "banding_hz": 3000.0},
    "ramp_curvature_dn": {"ramp_curvature_dn": 5.0},
    "capacitor_mismatch_percent": {"capacitor_mismatch_percent": 10.0, "converter": "sar"},
}


@pytest.mark.parametrize("name", STRONG)
def test_each_effect_is_seen_and_off_it_is_absent(quiet, name):
    scene = Scene.from_array(2 * np.random.default_rng(3).random((20, 30, 3)))
    on = replace(quiet, **STRONG[name])
    off = replace(on, **{name: type(on).__dataclass_fields__[name].default})
    # What else STRONG sets may act on its own (a well, a converter kind), so "absent" keeps it.
    absent = replace(quiet, **{k: v for k, v in STRONG[name].items() if k in ("full_well_e", "converter")})
    lit, unlit, without = (Camera(p).capture(scene).mosaic for p in (on, off, absent))
    assert not np.array_equal(lit, without)
    np.testing.assert_array_equal(unlit, without)


def test_effects_that_are_off_return_their_input_untouched():
    noise = NoiseSource(seed=1)
    signal = np.full((3, 5), 7.25, np.float32)
    assert hot_pixels(signal, 0, 9, noise) is signal
    assert defects(signal, 0, noise) is signal
    assert blooming(signal, 5, 0) is signal
    assert reset_noise(signal, 9, noise, cds=True) is signal
    assert reset_noise(signal, 0, noise, cds=False) is signal
    assert telegraph_noise(signal, 0, 9, noise, cds=True) is signal
    assert tukey_noise(signal, 0, -0.1, noise) is signal
    assert row_noise(signal, 0, noise) is signal
    assert column_pattern(signal, 0, 0, noise) is signal
    assert banding_noise(signal, 0, 50, 1e-5, noise) is signal


@pytest.mark.parametrize("lam", [-0.3, -0.177, -0.049, 0.0, 0.093, 0.5])
def test_tukey_noise_has_the_distribution_that_scipy_has(lam):
    drawn = tukey_noise(ZERO, 2.0, lam, NoiseSource(seed=5)).ravel().astype(np.float64)
    assert scipy.stats.kstest(drawn / 2, scipy.stats.tukeylambda(lam).cdf).pvalue > 0.01
    assert tukey_deviation(lam) == pytest.approx(np.sqrt(scipy.stats.tukeylambda.var(lam)), rel=1e-6)


def test_tukey_noise_is_smooth_where_its_formula_is_not():
    for lam in (-2e-4, -1e-4, -1e-5, 0.0, 1e-5, 1e-4, 2e-4):
        assert tukey_deviation(lam) == pytest.approx(np.pi / np.sqrt(3) * (1 - 1.73077 * lam), rel=2e-7)


def test_hot_pixels_are_few_and_exponential():
    surplus = hot_pixels(ZERO, 0.02, 500.0, NoiseSource(seed=2)).astype(np.float64)
    hot = surplus[surplus > 0]
    assert abs(hot.size - 0.02 * N) < 5 * np.sqrt(0.02 * 0.98 * N)
    assert scipy.stats.kstest(hot / 500, "expon").pvalue > 0.01


def test_defects_are_half_dead_and_half_stuck():
    out = defects(np.full(SHAPE, 50, np.float32), 0.1, NoiseSource(seed=2))
    for value in (0, STUCK_E):
        assert abs((out == value).sum() - 0.05 * N) < 5 * np.sqrt(0.05 * 0.95 * N)
    assert set(np.unique(out)) == {0, 50, STUCK_E}


def test_telegraph_noise_has_three_levels_with_double_sampling_and_two_without():
    frames = [telegraph_noise(ZERO, 1.0, 40.0, NoiseSource(seed=4, frame=f), cds=True) for f in range(40)]
    stack = np.stack(frames).astype(np.float64)
    step = np.abs(stack).max(0)
    levels = np.round(stack / np.where(step > 0, step, 1), 3)
    assert set(np.unique(levels)) == {-1, 0, 1}
    for level, odds in ((-1, 0.25), (0, 0.5), (1, 0.25)):
        assert abs((levels == level).mean() - odds) < 5 / np.sqrt(levels.size)
    assert scipy.stats.kstest(step[step > 0] / 40, "expon").pvalue > 0.01
    single = telegraph_noise(ZERO, 1.0, 40.0, NoiseSource(seed=4), cds=False).astype(np.float64)
    # Mean square of half an exponential step: 2 A^2 / 4. Its own relative standard error is sqrt(5 / N).
    assert abs(np.mean(single**2) / 800 - 1) < 5 * np.sqrt(5 / N)


def test_row_noise_is_one_number_a_row_and_new_in_each_frame():
    first, second = (row_noise(np.zeros((5000, 3), np.float32), 2.0, NoiseSource(seed=1, frame=f)) for f in (0, 1))
    assert (first == first[:, :1]).all()
    assert abs(first[:, 0].std() - 2) < 5 * 2 / np.sqrt(2 * 5000)
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 5 / np.sqrt(5000)
    # A band that starts lower draws the rows it covers.
    np.testing.assert_array_equal(
        row_noise(np.zeros((7, 3), np.float32), 2.0, NoiseSource(seed=1, origin=(100, 0))), first[100:107]
    )


def test_columns_have_one_gain_and_one_offset_each_wherever_the_band_starts():
    signal = np.full((4, 5000), 1000, np.float32)
    out = column_pattern(signal, 3.0, 2.0, NoiseSource(seed=1, frame=0)).astype(np.float64)
    np.testing.assert_array_equal(out, column_pattern(signal, 3.0, 2.0, NoiseSource(seed=1, frame=9, origin=(50, 0))))
    assert (out == out[0]).all()
    assert abs(out[0].std() / np.hypot(20, 3) - 1) < 5 / np.sqrt(2 * 5000)


def test_banding_is_a_sine_in_time():
    # 1 / (8 T_row): eight rows a period. Root-mean-square 3 over whole periods.
    out = banding_noise(np.zeros((64, 2), np.float32), 3.0, 125.0, 1e-3, NoiseSource(seed=1)).astype(np.float64)
    assert np.sqrt(np.mean(out**2)) == pytest.approx(3, rel=1e-6)
    np.testing.assert_allclose(out[8:], out[:-8], atol=1e-5)
    np.testing.assert_allclose(out[4:], -out[:-4], atol=1e-5)


def test_a_soft_knee_is_continuous_in_value_and_slope_and_never_passes_the_well():
    charge = np.arange(0, 3000, 0.5, dtype=np.float32)
    out = full_well(charge, 1000.0, knee=0.7).astype(np.float64)
    np.testing.assert_array_equal(out[charge <= 700], charge[charge <= 700])
    slope = np.diff(out) / 0.5
    assert np.abs(np.diff(slope)).max() < 0.01
    assert 990 < out.max() <= 1000
    np.testing.assert_array_equal(full_well(charge, 1000.0, knee=1.0), full_well(charge, 1000.0))


def test_blooming_by_hand_and_conserves_charge():
    column = np.array([[0], [10], [90], [300], [0]], np.float32)
    # 200 too many: 100 go down and fill the last; 100 go up, 10 stay in the third, 90 in the second.
    assert blooming(column, 100.0, 1.0).ravel().tolist() == [0, 100, 100, 100, 100]
    # Half is drained first: 50 down; 50 up, 10 stay, half of the other 40 goes on.
    assert blooming(column, 100.0, 0.5).ravel().tolist() == [0, 30, 100, 100, 50]
    charge = np.random.default_rng(0).integers(0, 90, (60, 7)).astype(np.float32)
    charge[30, 2] = charge[31, 2] = 900
    spilt = blooming(charge, 100.0, 1.0)
    assert spilt.sum() == charge.sum()
    assert spilt.max() <= 100
    np.testing.assert_array_equal(np.delete(spilt, 2, 1), np.delete(charge, 2, 1))


def test_a_bent_ramp_bends_the_codes_as_told():
    volts = np.arange(0, 1023, 0.25, dtype=np.float32)
    codes = convert(volts, gain_dn_per_e=1, black_level_dn=0, bit_depth=10, ramp_curvature_dn=3.0).astype(float)
    place = volts / 1023
    np.testing.assert_allclose(codes, volts + 12 * place * (1 - place), atol=0.5001)
    assert (np.diff(codes) >= 0).all()


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_sar_converter_with_perfect_capacitors_is_the_ideal_one(bits):
    volts = np.random.default_rng(1).uniform(-20, (1 << bits) + 20, (40, 31)).astype(np.float32)
    weights = capacitor_weights(31, bits, 0.0, seed=3)
    np.testing.assert_array_equal(
        convert_sar(volts, weights, gain_dn_per_e=0.5, black_level_dn=7.25),
        convert(volts, gain_dn_per_e=0.5, black_level_dn=7.25, bit_depth=bits),
    )


def test_a_sar_converters_codes_are_those_of_its_own_weights():
    weights = capacitor_weights(5, 8, 8.0, seed=3)
    np.testing.assert_allclose(weights.sum(1), 255)
    ramp = np.repeat(np.arange(-2, 258, 0.1, dtype=np.float32)[:, None], 5, axis=1)
    codes = convert_sar(ramp, weights, gain_dn_per_e=1.0, black_level_dn=0.0)
    for column in range(5):
        reached = set(codes[:, column].tolist())
        assert {0, 255} <= reached
        assert not (np.diff(codes[:, column].astype(int)) < 0).any()
    # Columns differ, and by more than one code somewhere.
    assert np.ptp(codes.astype(int), axis=1).max() > 1


@pytest.mark.parametrize("name", EFFECT_RANGES)
def test_an_impossible_figure_is_refused_by_name(quiet, name):
    with pytest.raises(PresetError, match=name):
        replace(quiet, **{name: EFFECT_RANGES[name][1] * 2 + 1})
    with pytest.raises(PresetError, match=name):
        replace(quiet, **{name: float("nan")})


def test_an_unknown_kind_is_refused(quiet):
    for name in ("read_noise_kind", "converter"):
        with pytest.raises(PresetError, match=name):
            replace(quiet, **{name: "magic"})


@pytest.mark.parametrize("name", ["sony-a7s2", "nikon-d850", "canon-5d4", "canon-70d", "canon-700d"])
@pytest.mark.parametrize("gain", [1.0, 64.0])
def test_the_low_light_presets_follow_their_log_linear_lines(name, gain):
    # Scale of Tukey-lambda and of rows in codes at the smallest gain and 64 times it (ELD).
    lines = {
        "sony-a7s2": ((0.462, 0.566), (0.528, -0.592), (0.541, 1.218)),
        "nikon-d850": ((0.477, -0.090), (0.448, -1.798), (0.563, 0.799)),
        "canon-5d4": ((0.656, 1.093), (0.471, -0.808), (0.677, 1.512)),
        "canon-70d": ((0.487, 1.464), (0.729, -0.937), (0.568, 1.998)),
        "canon-700d": ((0.598, 1.537), (0.622, -0.776), (0.652, 2.080)),
    }[name]
    params = sensor_preset(name)
    gauss = replace(params, read_noise_kind="gauss")
    k = params.gain_dn_per_e * gain
    measured = (params.tukey_noise_e(gain), params.row_spread_e(gain), gauss.gauss_noise_e(gain))
    for spread_e, (slope, bias) in zip(measured, lines, strict=True):
        # Four digits in the file, and ranges of K that are not exactly 64.
        assert spread_e * k == pytest.approx(np.exp(slope * np.log(k) + bias), rel=0.005)


def test_the_promised_presets_are_there():
    promised = {
        "imx490",
        "imx490-lcg",
        "imx490-small",
        "sony-a7s2",
        "nikon-d850",
        "canon-5d4",
        "canon-70d",
        "canon-700d",
    }
    assert promised <= set(list_presets())


def test_blooming_and_the_bands_of_a_large_frame_agree(quiet, key):
    params = replace(quiet, full_well_e=900.0, blooming_fraction=1.0, read_noise_e=5.0, row_noise_e=3.0)
    light = np.full((300, 604), 0.2)
    light[::40] = 3.0
    scene = Scene.from_array(light)
    natural = Camera(params).capture(scene)
    keyed = Camera(params, Multiplexer(key)).capture(scene)
    np.testing.assert_array_equal(keyed.unshuffle(key).mosaic, natural.mosaic)

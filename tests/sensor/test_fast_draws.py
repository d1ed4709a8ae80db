"""The fast sampler, the kept maps and the common chain: sooner, and the same distributions or the very same bits."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import scipy.stats

from sensor import Camera, CaptureError, Scene, measure_emva1288, sensor_preset
from sensor.adc import convert
from sensor.common_chain import charge_with_noise, expected_electrons
from sensor.counter_rng import NoiseSource, Stream
from sensor.dsnu import dsnu
from sensor.fast_draws import fast_shot_and_read
from sensor.fixed_maps import FixedMaps
from sensor.full_well import full_well
from sensor.prnu import prnu
from sensor.read_noise import read_noise
from sensor.shot_noise import poisson_quantile

SHAPE = (300, 1400)
N = SHAPE[0] * SHAPE[1]
RATES = [0.05, 0.3, 1.0, 3.0, 8.0, 12.0, 15.9, 16.0, 20.0, 50.0, 100.0, 1000.0, 1e4, 1e5]


@pytest.mark.parametrize("rate", RATES)
def test_fast_counts_are_poisson(rate):
    counts = fast_shot_and_read(np.full(SHAPE, rate, np.float32), NoiseSource(seed=3))[0].astype(np.float64)
    rate = float(np.float32(rate))
    # Standard errors of mean and variance; the fourth central moment of Poisson is rate + 3 rate^2.
    assert abs(counts.mean() - rate) < 4.5 * np.sqrt(rate / N)
    assert abs(counts.var() - rate) < 4.5 * np.sqrt((rate + 2 * rate**2) / N)
    if rate <= 1000:
        law = scipy.stats.poisson(rate)
        edges = np.arange(int(law.ppf(1e-4)), int(law.ppf(1 - 1e-4)) + 2)
        seen = np.histogram(counts, np.concatenate([[-np.inf], edges, [np.inf]]) - 0.5)[0]
        expected = N * np.diff(np.concatenate([[0.0], law.cdf(edges - 1), [1.0]]))
        kept = expected > 5
        statistic = ((seen - expected)[kept] ** 2 / expected[kept]).sum()
        assert scipy.stats.chi2.sf(statistic, kept.sum() - 1) > 1e-3


def test_fast_normals_are_normal_and_independent_of_the_counts():
    counts, normals = fast_shot_and_read(np.full(SHAPE, 400, np.float32), NoiseSource(seed=3))
    z = normals.ravel().astype(np.float64)
    assert scipy.stats.kstest(z, "norm").pvalue > 0.01
    assert abs(scipy.stats.kurtosis(z)) < 4.5 * np.sqrt(24 / N)
    for other in (counts.ravel(), np.roll(z, 1), np.roll(z, 32), np.roll(z, SHAPE[1]), (counts.ravel() - 400) ** 2):
        for own in (z, z**2):
            assert abs(np.corrcoef(own, other)[0, 1]) < 4.5 / np.sqrt(N)


def test_dim_counts_are_the_exact_quantiles():
    means = np.random.default_rng(0).uniform(-1, 15.99, SHAPE).astype(np.float32)
    noise = NoiseSource(seed=3, frame=5)
    exact = poisson_quantile(means, noise.words(Stream.SHOT, SHAPE))
    fast = fast_shot_and_read(means, noise)[0]
    # Single precision moves a step of the distribution by some 1e-7; one draw in a million crosses it.
    assert (fast != exact).mean() < 1e-5
    assert np.abs(fast - exact).max() <= 1


def test_even_the_last_words_have_a_count():
    # u beyond all single-precision numbers below 1: a mean of 1 reaches 12 or 13 there, never the search's limit.
    found = fast_shot_and_read(np.full((3000, 1400), 1, np.float32), NoiseSource(seed=11))[0]
    assert 9 <= found.max() <= 14


@pytest.mark.parametrize("width", [1, 63, 64, 65, 511, 513, 1400])
def test_a_band_or_a_narrower_frame_draws_the_same_numbers(width):
    light = np.random.default_rng(1).uniform(0, 300, SHAPE).astype(np.float32)
    whole = fast_shot_and_read(light, NoiseSource(seed=2, frame=1))
    part = fast_shot_and_read(light[7:31, :width], NoiseSource(seed=2, frame=1, origin=(7, 0)))
    for all_of_it, piece in zip(whole, part, strict=True):
        np.testing.assert_array_equal(piece, all_of_it[7:31, :width])


def test_frames_and_seeds_differ():
    light = np.full((50, 70), 100, np.float32)
    first = fast_shot_and_read(light, NoiseSource(seed=2))
    for other in (NoiseSource(seed=3), NoiseSource(seed=2, frame=1), NoiseSource(seed=2 + (1 << 32))):
        for one, two in zip(first, fast_shot_and_read(light, other), strict=True):
            assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 5 / np.sqrt(3500)


def test_the_fast_camera_gives_the_same_bits_on_one_thread_and_on_two():
    scene = Scene.from_array(np.random.default_rng(1).random((700, 602, 3)))
    frames = []
    before = numba.get_num_threads()
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            frames.append(Camera("imx477", seed=5, sampler="fast").capture(scene, frame=3).mosaic)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*frames)


def test_the_fast_camera_measures_as_the_exact_one():
    report = measure_emva1288(Camera("pregius-3.45", seed=3, sampler="fast"))
    shares = {"gain_dn_per_e": 0.005, "quantum_efficiency": 0.005, "dark_noise_e": 0.015, "prnu_percent": 0.03}
    for name, share in shares.items():
        assert getattr(report, name) == pytest.approx(getattr(report.truth, name), rel=share)


def test_without_shot_noise_both_samplers_are_one(quiet):
    params = replace(quiet, read_noise_e=4.0)
    scene = Scene.from_array(np.random.default_rng(1).random((20, 30, 3)))
    np.testing.assert_array_equal(
        Camera(params, sampler="fast").capture(scene).mosaic, Camera(params).capture(scene).mosaic
    )


def test_rare_effects_work_with_the_fast_sampler(quiet):
    params = replace(quiet, shot_noise=True, read_noise_e=5.0, blooming_fraction=1.0, full_well_e=900.0)
    light = np.full((300, 604), 0.2)
    light[::40] = 3.0
    spilt = Camera(params, sampler="fast").capture(Scene.from_array(light)).mosaic
    assert spilt[1::40].mean() > spilt[20::40].mean() + 50


def test_an_unknown_sampler_is_refused():
    with pytest.raises(CaptureError, match="sampler must be one of exact, fast"):
        Camera("imx477", sampler="quick")


def test_the_common_chain_is_the_single_effects_bit_for_bit():
    rng = np.random.default_rng(4)
    light = rng.random((40, 50)).astype(np.float32)
    noise = NoiseSource(seed=9, frame=2)
    electrons, dark = np.float32(7321.7), np.float32(0.37)
    z = noise.normals(Stream.PRNU, (40, 50), fixed=True)
    empty = np.empty((0, 50), np.float32)
    np.testing.assert_array_equal(
        expected_electrons(light.copy(), electrons, np.float32(0.7 / 100), z, dark),
        prnu(light * electrons, 0.7, noise) + dark,
    )
    np.testing.assert_array_equal(
        expected_electrons(light.copy(), electrons, np.float32(0), empty, dark), light * electrons + dark
    )
    counts = rng.poisson(300, (40, 50)).astype(np.float32)
    for well in (310.0, float("inf")):
        for spread in (0.0, 3.3):
            for read in (0.0, 2.7):
                offsets = noise.normals(Stream.DSNU, (40, 50), fixed=True) if spread else empty
                normals = noise.normals(Stream.READ, (40, 50)) if read else empty
                np.testing.assert_array_equal(
                    charge_with_noise(counts.copy(), well, np.float32(spread), offsets, np.float32(read), normals),
                    read_noise(dsnu(full_well(counts, well), spread, noise), read, noise),
                )


def test_the_converters_loop_is_the_formula_in_double_precision():
    charge = np.random.default_rng(2).normal(500, 900, (300, 100)).astype(np.float32)
    expected = np.clip(np.floor(charge.astype(np.float64) * 0.4711 + (64.5 + 0.5)), 0, 1023)
    np.testing.assert_array_equal(convert(charge, gain_dn_per_e=0.4711, black_level_dn=64.5, bit_depth=10), expected)


def test_kept_maps_are_the_drawn_ones_and_are_drawn_once():
    maps = FixedMaps((30, 40))
    maps.prepare(Stream.PRNU)
    kept = NoiseSource(seed=5, frame=7, origin=(10, 0), maps=maps)
    drawn = NoiseSource(seed=5, frame=2, origin=(10, 0))
    for _ in range(2):
        np.testing.assert_array_equal(
            kept.normals(Stream.PRNU, (8, 40), fixed=True), drawn.normals(Stream.PRNU, (8, 40), fixed=True)
        )
    # Not prepared, narrower, or temporal: drawn anew.
    for stream, shape, fixed in (
        (Stream.DSNU, (8, 40), True),
        (Stream.PRNU, (8, 39), True),
        (Stream.READ, (8, 40), False),
    ):
        first = NoiseSource(seed=5, origin=(10, 0), maps=maps).normals(stream, shape, fixed=fixed)
        np.testing.assert_array_equal(first, NoiseSource(seed=5, origin=(10, 0)).normals(stream, shape, fixed=fixed))

    def fail():
        raise AssertionError("drawn twice")

    assert maps.rows(Stream.PRNU, 10, 18, fail) is not None


def test_a_camera_that_changes_its_size_keeps_no_stale_maps():
    camera = Camera("imx477", seed=5)
    for shape in ((24, 32), (40, 30), (24, 32)):
        scene = Scene.from_array(np.full(shape, 0.4))
        np.testing.assert_array_equal(camera.capture(scene).mosaic, Camera("imx477", seed=5).capture(scene).mosaic)


def test_grey_scenes_and_grey_pictures_are_colour_scenes_with_equal_channels(quiet):
    grey = np.random.default_rng(6).random((20, 30)).astype(np.float32)
    for cfa in ("RGGB", "W"):
        params = replace(sensor_preset("imx477"), cfa=cfa)
        np.testing.assert_array_equal(
            Camera(params).capture(Scene.from_array(grey)).mosaic,
            Camera(params).capture(Scene.from_array(np.repeat(grey[:, :, None], 3, 2))).mosaic,
        )

"""The default sampler, the kept maps and the common chain: sooner, and the right distributions or the same bits."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import scipy.stats

from sensor import Camera, CaptureError, Scene, bands, measure_emva1288, sensor_preset
from sensor.adc import convert
from sensor.cfa import QUAD_BAYER, X_TRANS, cfa_tile, sample_mosaic
from sensor.common_chain import charge_with_noise, expected_electrons
from sensor.counter_rng import FIXED_STEP, NoiseSource, Stream, standard_normal
from sensor.dsnu import dsnu
from sensor.fast_draws import LinearConverter, _place, expose, fast_shot_and_read
from sensor.fast_kernels import ANGLE_BLOCKS, STRIP_PX, UNIT_PX, WORD_BLOCKS, count, fill_words
from sensor.fixed_maps import FixedMaps
from sensor.full_well import full_well
from sensor.prnu import prnu
from sensor.read_noise import read_noise
from sensor.shot_noise import poisson_quantile

SHAPE = (300, 1400)
N = SHAPE[0] * SHAPE[1]
# Around 6 e-, where search gives way to the asymptotic quantile, closely.
RATES = [0.05, 0.3, 1.0, 3.0, 5.5, 5.999, 6.0, 6.001, 6.5, 8.0, 12.0, 16.0, 20.0, 50.0, 100.0, 1000.0, 1e4, 1e5]


def poisson_p_value(counts, rate):
    """Return chi-square's probability over the whole distribution, its tails gathered into cells of at least 5."""
    law, n = scipy.stats.poisson(rate), counts.size
    first, last = int(law.ppf(6 / n)), int(law.isf(6 / n))
    width = max(1, (last - first) // 400)
    edges = np.arange(first, last + width, width)
    seen = np.histogram(counts, np.concatenate([[-np.inf], edges - 0.5, [np.inf]]))[0]
    below = np.concatenate([[0.0], law.cdf(edges - 1), [1.0]])
    # The upper tail from the survival function, which does not cancel.
    expected = n * np.where(
        below[1:] < 0.5, np.diff(below), -np.diff(np.concatenate([[1.0], law.sf(edges - 1), [0.0]]))
    )
    kept = expected > 4
    statistic = ((seen - expected)[kept] ** 2 / expected[kept]).sum()
    return scipy.stats.chi2.sf(statistic, kept.sum() - 1)


def assert_poisson(counts, rate):
    """Hold mean, variance and distribution to Poisson's; one sound rate in some 10,000 would fail."""
    rate, counts = float(np.float32(rate)), counts.astype(np.float64)
    # Standard errors of mean and variance; the fourth central moment of Poisson is rate + 3 rate^2.
    assert abs(counts.mean() - rate) < 4.5 * np.sqrt(rate / counts.size)
    assert abs(counts.var() - rate) < 4.5 * np.sqrt((rate + 2 * rate**2) / counts.size)
    assert poisson_p_value(counts, rate) > 1e-4


@pytest.mark.parametrize("rate", RATES)
def test_counts_are_poisson(rate):
    assert_poisson(fast_shot_and_read(np.full(SHAPE, rate, np.float32), NoiseSource(seed=3))[0], rate)


@pytest.mark.slow  # 30 million photosites a rate: 30 s
@pytest.mark.parametrize(
    "rate", [0.05, 0.5, 2.0, 4.0, 5.999, 6.0, 7.0, 9.0, 12.0, 15.999, 16.0, 25.0, 60.0, 300.0, 1e4, 1e5]
)
def test_many_counts_are_poisson(rate):
    assert_poisson(fast_shot_and_read(np.full((5000, 6000), rate, np.float32), NoiseSource(seed=8, frame=2))[0], rate)


@pytest.mark.slow  # 16 million photosites
def test_each_mean_of_a_ramp_over_the_switching_points_keeps_its_own_law():
    means = np.linspace(3, 40, 4000, dtype=np.float32)
    counts = fast_shot_and_read(np.tile(means, (4000, 1)), NoiseSource(seed=5))[0].astype(np.float64)
    n = counts.shape[0]
    z_mean = (counts.mean(0) - means) / np.sqrt(means / n)
    z_variance = (counts.var(0, ddof=1) - means) / np.sqrt((means + 2 * means.astype(np.float64) ** 2) / n)
    for z in (z_mean, z_variance):
        # 4000 standard normal numbers, to good approximation: their mean and mean square, and no outlier.
        assert abs(z.mean()) < 5 / np.sqrt(4000)
        assert abs((z**2).mean() - 1) < 5 * np.sqrt(2.2 / 4000)
        assert np.abs(z).max() < 5.5


@pytest.mark.parametrize(
    ("mean", "bound"), [(6, 5e-5), (7, 4e-5), (9, 4e-5), (12, 2e-5), (16, 2e-5), (30, 1e-5), (100, 1e-5), (900, 3e-5)]
)
def test_the_asymptotic_counts_of_all_normal_numbers_are_poisson(mean, bound):
    """Counts rise with the normal number, so where each begins tells its probability: no sampling error."""
    normal = np.linspace(-6.8, 6.8, 4_000_001).astype(np.float32)
    counts = normal.copy()
    count(np.full(normal.shape, mean, np.float32), counts)
    n = np.arange(int(mean + 8 * np.sqrt(mean)) + 8)
    begin = np.searchsorted(np.maximum.accumulate(counts), n)
    below = np.where(begin == 0, 0.0, scipy.stats.norm.cdf(normal[np.minimum(begin, normal.size - 1)]))
    law = scipy.stats.poisson(mean)
    chances = np.diff(np.append(below, 1.0))
    assert np.abs(chances - law.pmf(n)).sum() / 2 < bound
    assert abs((chances * n).sum() / mean - 1) < 2e-5
    assert abs((chances * (n - mean) ** 2).sum() / mean - 1) < 1e-4
    assert counts.min() >= 0


def test_normals_are_normal_and_independent_of_the_counts():
    counts, normals = fast_shot_and_read(np.full(SHAPE, 400, np.float32), NoiseSource(seed=3))
    z = normals.ravel().astype(np.float64)
    assert scipy.stats.kstest(z, "norm").pvalue > 0.01
    assert abs(scipy.stats.kurtosis(z)) < 4.5 * np.sqrt(24 / N)
    # Words of one block serve photosites 1 and 288 apart, halves of one word photosites 1 apart.
    neighbours = [np.roll(z, apart) for apart in (1, 2, UNIT_PX // 4, UNIT_PX // 2, UNIT_PX, SHAPE[1])]
    for other in (counts.ravel(), *neighbours, (counts.ravel() - 400) ** 2):
        for own in (z, z**2):
            assert abs(np.corrcoef(own, other)[0, 1]) < 4.5 / np.sqrt(N)


@pytest.mark.slow  # 30 million photosites
def test_many_normals_are_normal_far_into_the_tails():
    z = fast_shot_and_read(np.full((5000, 6000), 50, np.float32), NoiseSource(seed=12))[1]
    edges = np.linspace(-5, 5, 201)
    expected = z.size * np.diff(scipy.stats.norm.cdf(np.concatenate([[-np.inf], edges, [np.inf]])))
    seen = np.histogram(z, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    assert scipy.stats.chi2.sf(((seen - expected) ** 2 / expected).sum(), edges.size) > 1e-4


def test_dim_counts_are_the_exact_quantiles_of_their_words():
    width = UNIT_PX
    means = np.random.default_rng(0).uniform(-1, 5.99, (400, width)).astype(np.float32)
    noise = NoiseSource(seed=3, frame=5, origin=(9, 0))
    words = np.empty((400, width), np.uint32)
    for y in range(400):
        fill_words(np.uint64(0), y, _place(noise), np.uint64(Stream.DIM), words[y])
    exact = poisson_quantile(means, words)
    found = fast_shot_and_read(means, noise)[0]
    # Single precision moves a step of the distribution by some 1e-7; one draw in a million crosses it.
    assert (found != exact).mean() < 2e-5
    assert np.abs(found - exact).max() <= 1


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ([0] * 4, [0] * 2, [0x5F6FB709, 0x0D893F64, 0x4F121F81, 0x4F730A48]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x5207DDC2, 0x45165E59, 0x4D8EE751, 0x8C52F662]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0x4DFCCABA, 0x190A87F0, 0xC47362BA, 0xB6B5242A],
        ),
    ],
)
def test_seven_rounds_give_the_known_answers_of_random123(counter, key, answer):
    first, row, frame, stream = counter
    words = np.empty(64, np.uint32)
    fill_words(np.uint64(first), 0, np.array([row, frame, *key], np.uint64), np.uint64(stream), words)
    # A block's first and third word side by side, the others in the second half.
    assert [int(words[at]) for at in (0, 32, 1, 33)] == answer


def test_no_counter_serves_two_strips_or_two_uses():
    # Unit u takes blocks from their sum times u on: four words each, one for a photosite and half a one for its angle.
    assert (4 * WORD_BLOCKS, 4 * ANGLE_BLOCKS) == (UNIT_PX, UNIT_PX // 2)
    assert STRIP_PX % UNIT_PX == 0
    streams = [stream.value for stream in Stream]
    assert len(set(streams)) == len(streams)


def test_even_the_last_words_have_a_count():
    # u beyond all single-precision numbers below 1: a mean of 1 reaches 12 or 13 there, never the search's limit.
    found = fast_shot_and_read(np.full((3000, 1400), 1, np.float32), NoiseSource(seed=11))[0]
    assert 9 <= found.max() <= 14


def test_no_light_gives_no_electrons_and_blinding_light_its_mean():
    means = np.array([[0.0, -3.0, 1e18]], np.float32)
    counts = fast_shot_and_read(means, NoiseSource(seed=1))[0]
    assert counts[0, :2].tolist() == [0, 0]
    assert counts[0, 2] == pytest.approx(1e18, rel=1e-6)


@pytest.mark.parametrize("cfa", ["W", "RGGB", "GBRG", QUAD_BAYER, X_TRANS])
@pytest.mark.parametrize("grey", [True, False])
def test_one_pass_gives_the_bits_of_the_single_steps(cfa, grey):
    rng = np.random.default_rng(4)
    shape = (12, 1302)
    light = (0.002 * 10 ** rng.uniform(0, 3, (*shape, 3))).astype(np.float32)
    light = light[:, :, 0].copy() if grey else light
    response = np.vstack([rng.uniform(-0.3, 1, (3, 3)), [0.2, 0.7, 0.1]])
    noise = NoiseSource(seed=9, frame=2, origin=(36, 0))
    for share, offset, read, well in [
        (0.007, 0.6, 2.5, 900.0),
        (0.007, 0, 2.5, np.inf),
        (0, 0.6, 0, 900.0),
        (0, 0, 0, 900.0),
    ]:
        out, codes = np.empty(shape, np.float32), np.empty(shape, np.uint16)
        for target, converter in ((out, None), (codes, LinearConverter(0.6, 12.0, 8))):
            expose(
                light, cfa_tile(cfa), response, noise, electrons=2000.0, prnu_share=share, dark_e=0.4,
                full_well_e=well, dsnu_e=offset, read_noise_e=read, out=target, converter=converter,
            )  # fmt: skip
        empty = np.empty((0, shape[1]), np.float32)
        maps = [noise.normals(kind, shape, fixed=True) for kind in (Stream.PRNU, Stream.DSNU)]
        seen = sample_mosaic(light, cfa_tile(cfa), response)
        mean = expected_electrons(
            seen, np.float32(2000), np.float32(share), maps[0] if share else empty, np.float32(0.4)
        )
        counts, normals = fast_shot_and_read(mean, noise)
        single = charge_with_noise(
            counts, well, np.float32(offset), maps[1] if offset else empty, np.float32(read), normals if read else empty
        )
        np.testing.assert_array_equal(out, single)
        one_by_one = convert(single, gain_dn_per_e=0.6, black_level_dn=12.0, bit_depth=8)
        np.testing.assert_array_equal(codes, one_by_one)
        assert np.ptp(one_by_one) > 50


@pytest.mark.parametrize("width", [1, 63, 64, 65, 575, 577, 1151, 1153, 1400])
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


@pytest.mark.parametrize("sampler", ["fast", "exact"])
def test_each_sampler_gives_the_same_bits_on_one_thread_and_on_two(sampler):
    scene = Scene.from_array(np.random.default_rng(1).random((700, 602, 3)))
    frames = []
    before = numba.get_num_threads()
    try:
        for threads in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(threads)
            frames.append(Camera("imx477", seed=5, sampler=sampler).capture(scene, frame=3).mosaic)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize("sampler", ["fast", "exact"])
def test_a_camera_of_each_sampler_measures_what_it_was_given(sampler):
    report = measure_emva1288(Camera("pregius-3.45", seed=3, sampler=sampler))
    shares = {"gain_dn_per_e": 0.005, "quantum_efficiency": 0.005, "dark_noise_e": 0.015, "prnu_percent": 0.03}
    for name, share in shares.items():
        assert getattr(report, name) == pytest.approx(getattr(report.truth, name), rel=share)


def test_without_shot_noise_both_samplers_are_one(quiet):
    params = replace(quiet, read_noise_e=4.0)
    scene = Scene.from_array(np.random.default_rng(1).random((20, 30, 3)))
    np.testing.assert_array_equal(
        Camera(params, sampler="exact").capture(scene).mosaic, Camera(params).capture(scene).mosaic
    )


def test_blooming_works_with_the_default_sampler(quiet):
    params = replace(quiet, shot_noise=True, read_noise_e=5.0, blooming_fraction=1.0, full_well_e=900.0)
    light = np.full((300, 604), 0.2)
    light[::40] = 3.0
    spilt = Camera(params).capture(Scene.from_array(light)).mosaic
    assert spilt[1::40].mean() > spilt[20::40].mean() + 50


def test_an_unknown_sampler_is_refused():
    with pytest.raises(CaptureError, match="sampler must be one of fast, exact"):
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

    def fail(first, end):
        raise AssertionError("drawn twice")

    rows = maps.rows(Stream.PRNU, 10, 18, fail)
    assert rows is not None
    assert rows.dtype == np.int16


def test_fixed_patterns_are_normal_numbers_in_steps_of_a_4096th():
    noise = NoiseSource(seed=5)
    z = noise.normals(Stream.DSNU, (300, 400), fixed=True)
    exact = standard_normal(noise.words(Stream.DSNU, (300, 400), fixed=True))
    assert FIXED_STEP == 1 / 4096
    np.testing.assert_array_equal(z * 4096, np.rint(exact.astype(np.float64) * 4096))
    assert np.abs(exact).max() < 7  # 2**15 steps reach 8


def test_a_camera_that_changes_its_size_keeps_no_stale_maps():
    camera = Camera("imx477", seed=5)
    for shape in ((24, 32), (40, 30), (24, 32)):
        scene = Scene.from_array(np.full(shape, 0.4))
        np.testing.assert_array_equal(camera.capture(scene).mosaic, Camera("imx477", seed=5).capture(scene).mosaic)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("width", [38, 1302])
def test_a_picture_of_codes_is_captured_as_the_light_that_its_table_makes_of_it(dtype, channels, width):
    rng = np.random.default_rng(7)
    table = rng.random(np.iinfo(dtype).max + 1, np.float32)
    codes = rng.integers(0, table.size, (25, width, *channels), dtype)
    # From a larger picture, so that rows do not follow one another in memory, and with rows and columns to be cut off.
    wider = np.zeros((25, width + 7, *channels), dtype)
    wider[:, 3 : width + 3] = codes
    picture, light = Scene(wider[:, 3 : width + 3], table), Scene.from_array(table[codes])
    np.testing.assert_array_equal(picture.rows(3, 9), light.rows(3, 9))
    for exposure_s in (0.01, 1e-5):
        np.testing.assert_array_equal(
            Camera("imx477").capture(picture, exposure_s).mosaic, Camera("imx477").capture(light, exposure_s).mosaic
        )


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(("height", "width", "step"), [(3000, 4000, 2), (1501, 900, 6), (5, 1 << 21, 4), (1, 3, 1)])
def test_large_bands_cover_every_row_once_in_whole_periods(monkeypatch, threads, height, width, step):
    monkeypatch.setattr(bands, "get_num_threads", lambda: threads)
    seen = []
    bands.for_each_band(height, width, step, lambda first, end: seen.append((first, end)), band_px=None)
    seen.sort()
    assert [first for first, _ in seen] == [0, *(end for _, end in seen[:-1])]
    assert seen[-1][1] == height
    assert all(first % step == 0 for first, _ in seen)
    assert len(seen) <= (1 if threads == 1 else bands.SHARES * threads)


def test_grey_scenes_and_grey_pictures_are_colour_scenes_with_equal_channels(quiet):
    grey = np.random.default_rng(6).random((20, 30)).astype(np.float32)
    for cfa in ("RGGB", "W"):
        params = replace(sensor_preset("imx477"), cfa=cfa)
        np.testing.assert_array_equal(
            Camera(params).capture(Scene.from_array(grey)).mosaic,
            Camera(params).capture(Scene.from_array(np.repeat(grey[:, :, None], 3, 2))).mosaic,
        )

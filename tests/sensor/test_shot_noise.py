import numpy as np
import pytest
from scipy.stats import chisquare, poisson

from sensor.counter_rng import NoiseSource, Stream
from sensor.shot_noise import poisson_quantile, shot_noise

MEANS = [0.05, 0.3, 1.0, 4.0, 11.9, 15.99, 16.0, 25.0, 100.0, 1000.0, 1e4, 1e5]


def test_quantiles_by_hand():
    # P(0) = exp(-1) = 0.3679, P(0..1) = 0.7358, P(0..2) = 0.9197: words just below and above those limits.
    below_and_above = [0.36, 0.38, 0.73, 0.74, 0.91, 0.93]
    words = (np.array(below_and_above) * 2**32).astype(np.uint32)
    assert poisson_quantile(np.ones(6, np.float32), words).tolist() == [0, 1, 1, 2, 2, 3]


def test_no_light_gives_no_electrons_and_negative_means_count_as_none():
    words = np.array([0, 2**31, 2**32 - 1], np.uint32)
    np.testing.assert_array_equal(poisson_quantile(np.array([0, 0, -3], np.float32), words), 0)


def test_a_blinding_light_stays_finite():
    words = np.array([2**31], np.uint32)
    assert poisson_quantile(np.array([np.float32(1e30)]), words)[0] == pytest.approx(2**23, abs=2)


@pytest.mark.parametrize("mean", MEANS)
def test_quantiles_are_those_of_scipy_but_for_a_count_at_the_edges(mean):
    words = np.linspace(1000, 2**32 - 1000, 50_001).astype(np.uint32)
    mean32 = np.float32(mean)
    ours = poisson_quantile(np.full(words.shape, mean32), words)
    exact = poisson.ppf((words + 0.5) / 2**32, float(mean32))
    assert np.abs(ours - exact).max() <= 1
    # The asymptotic form is off by at most 1e-4 of a standard deviation's probability; below 16 the search is exact.
    assert np.mean(ours != exact) < (0 if mean < 16 else 3e-4) + 1e-12


@pytest.mark.parametrize(
    ("mean", "bound"), [(0.3, 1e-8), (5, 1e-8), (15.99, 1e-8), (16, 6e-5), (30, 2e-5), (100, 2e-6)]
)
def test_the_exact_distribution_over_all_words_is_poisson(mean, bound):
    """Quantiles rise with the word, so bisection finds the first of the 2**32 words that gives each count."""
    mu = float(np.float32(mean))
    counts = np.arange(0, int(mu + 8 * np.sqrt(mu) + 10))
    low, high = np.zeros(counts.shape, np.int64), np.full(counts.shape, 1 << 32, np.int64)
    for _ in range(33):
        middle = (low + high) // 2
        words = np.minimum(middle, (1 << 32) - 1).astype(np.uint32)
        reached = poisson_quantile(np.full(counts.shape, mean, np.float32), words) >= counts
        high = np.where(reached & (low < high), middle, high)
        low = np.where(~reached & (low < high), middle + 1, low)
    below = low / 2**32  # probability of fewer than ``counts``
    total_variation = np.abs(np.diff(below) - poisson.pmf(counts[:-1], mu)).sum() / 2
    assert total_variation < bound


@pytest.mark.parametrize("mean", MEANS)
def test_counts_have_the_poisson_mean_variance_and_distribution(mean):
    shape = (800, 1000)
    mean32 = np.full(shape, mean, np.float32)
    counts = shot_noise(mean32, NoiseSource(seed=11, frame=2)).astype(np.float64)
    mu, n = float(np.float32(mean)), counts.size
    # Var of the sample mean is mu/n; of the sample variance (mu + 2 mu^2)/n, from Poisson's fourth moment mu + 3 mu^2.
    assert abs(counts.mean() - mu) < 5 * np.sqrt(mu / n)
    assert abs(counts.var() - mu) < 5 * np.sqrt((mu + 2 * mu**2) / n)
    low, high = poisson.ppf([1e-5, 1 - 1e-5], mu).astype(int)
    expected = poisson.pmf(np.arange(low, high + 1), mu)
    expected[0], expected[-1] = poisson.cdf(low, mu), poisson.sf(high - 1, mu)
    seen = np.bincount(np.clip(counts, low, high).astype(int).ravel() - low, minlength=high - low + 1)
    if high > low:
        assert chisquare(seen, expected * n / expected.sum()).pvalue > 1e-4


def test_shot_noise_differs_between_frames_but_not_between_calls():
    mean = np.full((50, 70), 40, np.float32)
    first, again, next_frame = (shot_noise(mean, NoiseSource(seed=1, frame=f)) for f in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    # Two independent Poisson(40) numbers are equal with probability about 1/sqrt(4 pi 40) = 4.5 %.
    assert np.mean(first == next_frame) < 0.1


def test_a_brighter_photosite_with_the_same_word_never_counts_fewer():
    words = NoiseSource(seed=3).words(Stream.SHOT, (1, 4000))
    previous = poisson_quantile(np.full((1, 4000), 2, np.float32), words)
    for mean in (8, 15.5, 16.5, 30, 300):
        current = poisson_quantile(np.full((1, 4000), mean, np.float32), words)
        assert (current >= previous).all()
        previous = current

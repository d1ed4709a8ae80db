"""DP pixelization, PEEP and SVD: docs, methods, sections 6, 7 and 11."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import FrameError, SchemeError, scheme
from scrambler.schemes.components import cosines, eigenfaces
from scrambler.schemes.dp_pixelize import cell_means, cell_sizes, paint_cells
from scrambler.schemes.keyless import to_codes
from scrambler.schemes.noise import PrivacyLedger
from scrambler.schemes.svd import ball_noise, keep_and_move

HAND = np.array([[0, 4, 100, 100], [8, 12, 100, 100], [255, 255, 1, 2], [255, 255, 3, 4]], np.uint8)


def test_cells_by_hand():
    means = cell_means(HAND[None, ..., None], 2)
    assert means[0, ..., 0].tolist() == [[6, 100], [255, 2.5]]
    noisy = to_codes(means + np.array([[1, -1], [2, -3]])[None, ..., None], np.dtype(np.uint8))
    assert noisy[0, ..., 0].tolist() == [[7, 99], [255, 0]]
    assert paint_cells(noisy, 4, 4, 2)[0, :2, 1:3, 0].tolist() == [[7, 99], [7, 99]]


def test_published_noise_scales():
    assert scheme("dp-pixelize").guarantee((64, 64)).scale == 31.875
    assert scheme("dp-pixelize", cell=4, changed_px=4).guarantee((64, 64)).scale == 127.5


@given(st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])), st.integers(1, 5))
@settings(deadline=None, max_examples=25)
def test_cells_are_means_over_the_pixels_they_have(shape, cell):
    image = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    means, sizes = cell_means(image[None], cell)[0], cell_sizes(*shape[:2], cell)
    painted = paint_cells(means[None], *shape[:2], cell)[0]
    for y in range(shape[0]):
        for x in range(shape[1]):
            top, left = y // cell * cell, x // cell * cell
            pixels = image[top : top + cell, left : left + cell]
            assert sizes[y // cell, x // cell] == pixels.shape[0] * pixels.shape[1]
            np.testing.assert_allclose(painted[y, x], pixels.mean(axis=(0, 1)), rtol=1e-12)


def worst_loss(s, shape, changed):
    """Privacy loss when pixels (y, x, count in their cell) go from black to white: sum of |shift| / scale."""
    sizes, scales = cell_sizes(*shape[:2], s.cell), s._scales(shape, np.uint8)
    channels = shape[2] if len(shape) == 3 else 1
    return sum(channels * 255 * count / sizes[cell] / scales[cell] for cell, count in changed.items())


@pytest.mark.parametrize("shape", [(112, 92), (28, 28), (112, 92, 3), (1, 1)])
def test_no_way_to_change_m_pixels_costs_more_than_epsilon_edges_included(shape):
    s = scheme("dp-pixelize", epsilon=0.5)
    sizes = cell_sizes(*shape[:2], 16)
    corner, first = (sizes.shape[0] - 1, sizes.shape[1] - 1), (0, 0)
    for changed in ({corner: 16}, {first: 16}, {corner: 7, first: 9} if corner != first else {first: 16}):
        assert worst_loss(s, shape, changed) == pytest.approx(0.5, rel=1e-12)
    assert s.guarantee(shape).epsilon == 0.5


def test_one_laplace_draw_fills_each_cell_and_has_its_mean_and_variance():
    # Scale 255 * 1 / (4 * 12.75) = 5 codes: far from both ends, and rounding adds 1/12 to the variance.
    s = scheme("dp-pixelize", cell=2, changed_px=1, epsilon=12.75, rng=1)
    image = np.full((400, 600), 128, np.uint8)
    cells = np.asarray(s.protect(image)).reshape(200, 2, 300, 2)
    assert (cells == cells[:, :1, :, :1]).all()
    noise = cells[:, 0, :, 0].astype(float).ravel() - 128
    variance = 2 * 5**2 + 1 / 12
    assert abs(noise.mean()) < 5 * np.sqrt(variance / noise.size)
    # The fourth moment of Laplace is 24 b^4, so the variance of the square is 20 b^4.
    assert abs(noise.var() - variance) < 5 * np.sqrt(20 * 5**4 / noise.size)
    assert np.abs(noise).mean() == pytest.approx(5, abs=0.1)


def test_small_cells_at_the_edges_get_more_noise_by_as_much_as_they_are_smaller():
    s = scheme("dp-pixelize", cell=4, changed_px=1, epsilon=6.375, rng=2)
    image = np.full((4 * 500 + 2, 4), 30_000, np.uint16)
    assert s._scales((6, 4), np.uint8).ravel().tolist() == [2.5, 5.0]
    values = np.asarray(s.protect(image))[::4, 0].astype(float) - 30_000
    scale = s._scales(image.shape, np.uint16)[0, 0]
    assert np.abs(values[:-1]).mean() == pytest.approx(scale, rel=5 / np.sqrt(500))


def test_the_guarantee_is_printed_whole():
    text = str(scheme("dp-pixelize").guarantee((112, 92, 3)))
    for word in ("0.5-differential privacy", "at most 16 pixels", "Sensitivity", "noise scale", "Not covered"):
        assert word in text


@pytest.mark.parametrize("name", ["dp-pixelize", "peep", "svd"])
def test_repeated_releases_add_up_and_a_budget_stops_them(name):
    epsilon = scheme(name).guarantee((8, 12)).epsilon
    s = scheme(name, budget=2 * epsilon)
    image = np.zeros((8, 12), np.uint8)
    other = image + np.uint8(1)
    s.protect(image)
    s.protect(np.stack([image, other]))
    assert s.ledger.spent_on(image) == pytest.approx(2 * epsilon)
    assert s.ledger.spent_on(other) == pytest.approx(epsilon)
    assert s.ledger.most_on_one_image == pytest.approx(2 * epsilon)
    assert s.ledger.total == pytest.approx(3 * epsilon)
    with pytest.raises(SchemeError, match="budget"):
        s.protect(np.stack([other, image]))
    assert s.ledger.spent_on(other) == pytest.approx(epsilon)
    assert s.ledger.total == pytest.approx(3 * epsilon)
    with pytest.raises(SchemeError, match="budget"):
        PrivacyLedger(1.5 * epsilon).spend([image, image], epsilon)


def test_eigenfaces_by_hand():
    basis = eigenfaces(np.array([[1, 0], [3, 0], [2, 1], [2, -1]]).reshape(4, 1, 2), 2)
    assert basis.mean.tolist() == [[2, 0]]
    np.testing.assert_allclose(np.abs(basis.components).reshape(2, 2), np.eye(2), atol=1e-12)
    z = basis.coefficients(np.array([[[3.0, 0.0]]]))[0]
    assert abs(z[0] - 0.5) == pytest.approx(0.5)
    assert z[1] == pytest.approx(0.5)
    np.testing.assert_allclose(basis.planes(z[None]), [[[3, 0]]], atol=1e-12)
    assert basis.coefficients(np.array([[[9.0, 0.0]]])).max() <= 1


def test_centred_faces_span_one_direction_less_than_there_are():
    faces = np.random.default_rng(0).random((4, 3, 5))
    assert len(eigenfaces(faces, 10).components) == 3


@pytest.mark.parametrize("shape", [(1, 1), (4, 7), (9, 5)])
def test_cosines_are_orthonormal_and_their_range_holds_for_every_image(shape):
    basis = cosines(*shape, 12, 255)
    size = shape[0] * shape[1]
    components = np.array([np.outer(d, r).ravel() for d, r in zip(basis.down, basis.right, strict=True)])
    assert len(components) == min(12, size)
    np.testing.assert_allclose(components @ components.T, np.eye(len(components)), atol=1e-12)
    for row, reach in zip(components, basis.highest, strict=True):
        worst = np.where(row > 0, 255.0, 0.0).reshape(shape)
        assert (worst - 127.5).ravel() @ row == pytest.approx(reach)
    image = np.random.default_rng(0).integers(0, 256, shape).astype(float)
    np.testing.assert_allclose(basis.project(image - 127.5), components @ (image - 127.5).ravel(), atol=1e-9)
    np.testing.assert_allclose(
        basis.rebuild(np.arange(len(components)) * 1.0),
        (np.arange(len(components)) @ components).reshape(shape),
        atol=1e-9,
    )


def test_all_coefficients_without_noise_give_the_image_back():
    image = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    np.testing.assert_array_equal(scheme("peep", components=54, epsilon=1e15, rng=0).protect(image), image)


def test_peep_says_what_a_vector_and_what_an_index_costs():
    vector, index = (scheme("peep", components=10, epsilon=8.0, composition=c) for c in ("vector", "per_index"))
    assert vector.guarantee((20, 20)).epsilon == pytest.approx(8.0)
    assert index.guarantee((20, 20)).epsilon == pytest.approx(80.0)
    assert index.guarantee((20, 20, 3)).epsilon == pytest.approx(240.0)
    assert vector.guarantee((20, 20, 3)).scale == pytest.approx(30 / 8)
    assert "each epsilon 0.8" in str(vector.guarantee((20, 20)))


def test_peep_noise_is_laplace_of_the_stated_scale():
    s = scheme("peep", components=16, epsilon=4.0, output="indices", rng=3)
    images = np.full((4000, 4, 5), 100, np.uint8)
    noisy = np.asarray(s.protect(images))
    assert noisy.shape == (4000, 16)
    exact = np.asarray(scheme("peep", components=16, epsilon=1e15, output="indices", rng=3).protect(images[0]))
    assert stats.kstest(((noisy - exact) / 4.0).ravel(), "laplace").pvalue > 1e-4


def test_peep_fits_to_public_faces_of_the_same_size():
    faces = np.random.default_rng(0).integers(0, 256, (9, 6, 5)).astype(np.uint8)
    s = scheme("peep", public=faces, components=4, epsilon=1e12, output="indices", rng=0)
    z = np.asarray(s.protect(faces))
    assert z.shape == (9, 4)
    np.testing.assert_allclose([z.min(axis=0), z.max(axis=0)], [[0] * 4, [1] * 4], atol=1e-9)
    assert "fitted" in str(s.guarantee((6, 5)))
    with pytest.raises(FrameError, match="public"):
        s.protect(np.zeros((5, 6), np.uint8))


def test_cutting_to_one_singular_value_by_hand_and_its_error():
    np.testing.assert_allclose(keep_and_move(np.diag([3.0, 1.0]), 1, 0.0), np.diag([3.0, 0.0]), atol=1e-12)
    np.testing.assert_allclose(keep_and_move(np.diag([3.0, 1.0]), 2, np.array([1.0, -2.0])), np.diag([4.0, -1.0]))
    plane = np.random.default_rng(0).random((7, 5))
    dropped = np.linalg.svd(plane)[1][2:]
    error = np.linalg.norm(plane - keep_and_move(plane, 2, 0.0))
    assert error == pytest.approx(np.sqrt((dropped**2).sum()))


@pytest.mark.parametrize("plane", [np.zeros((40, 33)), np.random.default_rng(0).random((33, 60)) * 255])
def test_large_planes_take_a_shorter_way_to_the_same_picture(plane):
    u, s, vt = np.linalg.svd(plane)
    expected = (u[:, :3] * s[:3]) @ vt[:3]
    np.testing.assert_allclose(keep_and_move(plane, 3, 0.0), expected, atol=1e-8)
    noisy = keep_and_move(plane, 3, np.array([50.0, 20.0, 30.0]))
    moved = np.sort(s[:3] + np.array([50.0, 20.0, 30.0]))[::-1]
    np.testing.assert_allclose(np.linalg.svd(noisy)[1][:3], moved, atol=1e-8)


def test_ball_noise_has_gamma_radius_and_uniform_direction():
    noise = ball_noise(np.random.default_rng(5), 20_000, 3, 0.1)
    radius = np.linalg.norm(noise, axis=1)
    assert stats.kstest(radius, stats.gamma(3, scale=10).cdf).pvalue > 1e-4
    # On the sphere in three dimensions each coordinate is uniform over -1 .. 1 (Archimedes).
    for coordinate in (noise / radius[:, None]).T:
        assert stats.kstest((coordinate + 1) / 2, "uniform").pvalue > 1e-4


def test_svd_says_what_its_singular_values_cost_and_what_is_not_covered():
    guarantee = scheme("svd", epsilon=0.01, changed_px=16).guarantee((64, 64, 3))
    assert guarantee.sensitivity == 3 * 255 * 4
    assert guarantee.epsilon == pytest.approx(30.6)
    assert "singular vectors" in str(guarantee)
    # Mirsky: singular values move no further than the image.
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 256, (9, 6)).astype(float)
    other = plane.copy()
    other.ravel()[rng.choice(54, 16, replace=False)] = 255
    moved = np.linalg.norm(np.linalg.svd(plane)[1] - np.linalg.svd(other)[1])
    assert moved <= np.linalg.norm(plane - other) <= 255 * 4

"""Lenses and charts."""

import numpy as np
import pytest

from sensor import (
    Lens,
    Scene,
    SceneError,
    colour_chart,
    flat_chart,
    ramp_chart,
    slanted_edge_chart,
    srgb_encode,
    star_chart,
)
from sensor.lens_shading import relative_illumination


def light(scene):
    return scene.rows(0, scene.shape[0]).astype(np.float64)


def point(shape=(41, 51)):
    values = np.zeros(shape)
    values[20, 25] = 1
    return Scene.from_array(values)


def test_a_lens_that_does_nothing_returns_its_scene():
    scene = point()
    assert Lens().image(scene) is scene


def test_a_gaussian_spreads_a_point_and_keeps_its_light():
    seen = light(Lens(blur_px=2.0).image(point()))[:, :, 1]
    assert seen.sum() == pytest.approx(1, rel=1e-5)
    y, x = np.mgrid[:41, :51]
    assert np.sqrt((seen * (y - 20) ** 2).sum()) == pytest.approx(2, rel=0.01)
    assert np.sqrt((seen * (x - 25) ** 2).sum()) == pytest.approx(2, rel=0.01)


def test_a_measured_spread_is_laid_down_as_it_is():
    psf = np.array([[0, 0, 1], [2, 4, 0], [0, 3, 0]])
    seen = light(Lens(psf=psf).image(point()))[:, :, 0]
    np.testing.assert_allclose(seen[19:22, 24:27], psf / 10, atol=1e-7)


def test_corners_darken_as_told():
    seen = light(Lens(falloff=0.5).image(flat_chart((30, 40), 0.8)))
    np.testing.assert_allclose(seen[:, :, 2], 0.8 * relative_illumination((30, 40), 0.5, 0, 30), rtol=1e-6)
    assert seen[0, 0, 0] == pytest.approx(0.8 / 1.5**2)


def test_colours_move_out_from_the_centre_and_green_stays():
    # A dot half-way to the corner moves by half of the corner's shift.
    values = np.zeros((101, 101))
    values[25, 25] = 1
    seen = light(Lens(red_shift_px=4.0, blue_shift_px=-2.0).image(Scene.from_array(values)))
    y, x = np.mgrid[:101, :101]
    for channel, moved in ((0, -np.sqrt(2)), (1, 0), (2, np.sqrt(0.5))):
        mass = seen[:, :, channel] / seen[:, :, channel].sum()
        assert (mass * y).sum() == pytest.approx(25 + moved, abs=0.1)
        assert (mass * x).sum() == pytest.approx(25 + moved, abs=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"blur_px": -1},
        {"falloff": float("nan")},
        {"red_shift_px": 1e9},
        {"psf": np.ones((2, 3))},
        {"psf": -np.ones((3, 3))},
        {"psf": np.zeros((3, 3))},
        {"psf": np.ones((3, 3)), "blur_px": 1},
    ],
)
def test_impossible_lenses_are_refused(wrong):
    with pytest.raises(SceneError):
        Lens(**wrong)


def test_flat_and_ramp_by_hand():
    assert (light(flat_chart((2, 3), 0.25)) == 0.25).all()
    np.testing.assert_allclose(light(ramp_chart((2, 5)))[1, :, 0], [0, 0.25, 0.5, 0.75, 1])


def test_the_slanted_edge_has_its_angle_and_its_levels():
    seen = light(slanted_edge_chart((81, 61), angle_deg=5, dark=0.1, bright=0.9))[:, :, 0]
    assert (seen.min(), seen.max()) == pytest.approx((0.1, 0.9))
    # Dark pixels of each row, parts of one included, tell where the edge crosses it.
    crossing = ((0.9 - seen) / 0.8).sum(1)
    slope = np.polyfit(np.arange(81), crossing, 1)[0]
    assert np.degrees(np.arctan(-slope)) == pytest.approx(5, abs=0.05)
    assert crossing[40] == pytest.approx(30.5, abs=0.02)


def test_the_star_has_as_many_rays_as_told():
    seen = light(star_chart((301, 301), rays=12, dark=0, bright=1))[:, :, 0]
    angle = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    ring = seen[np.rint(150 + 100 * np.sin(angle)).astype(int), np.rint(150 + 100 * np.cos(angle)).astype(int)] > 0.5
    assert (ring[1:] != ring[:-1]).sum() + (ring[0] != ring[-1]) == 24
    assert seen.mean() == pytest.approx(0.5, abs=0.01)


def test_the_colour_checker_shows_its_fields_in_order():
    seen = np.rint(255 * srgb_encode(light(colour_chart((40, 60))))).astype(int)
    assert seen[5, 5].tolist() == [0x73, 0x52, 0x44]
    assert seen[5, 55].tolist() == [0x67, 0xBD, 0xAA]
    assert seen[25, 35].tolist() == [0xE7, 0xC7, 0x1F]
    assert seen[35, 5].tolist() == [0xF3, 0xF3, 0xF2]
    assert seen[39, 59].tolist() == [0x34, 0x34, 0x34]


def test_impossible_charts_are_refused():
    for make in (lambda: flat_chart((0, 3)), lambda: star_chart((5, 5), rays=0), lambda: colour_chart((1 << 20, 4))):
        with pytest.raises(SceneError):
            make()

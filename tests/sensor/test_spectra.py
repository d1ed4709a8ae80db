"""Light by wavelength: by hand, against Planck and the CIE's own figures, and against colours."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensor import (
    Camera,
    Illuminant,
    PresetError,
    Scene,
    SceneError,
    SpectralQe,
    SpectralScene,
    develop,
    illuminant,
    relight,
    sensor_preset,
)
from sensor.illuminant import black_body, daylight
from sensor.wavelength_table import read_wavelength_table

# Triangles that one can reckon with: red 600, green 500, blue 400 nm.
TRIANGLES = SpectralQe(
    wavelength_nm=(300, 400, 500, 600, 700), red=(0, 0, 0, 0.4, 0), green=(0, 0, 0.8, 0, 0), blue=(0, 0.6, 0, 0, 0)
)


@pytest.fixture
def spectral(quiet):
    return replace(quiet, spectral_qe=TRIANGLES)


def test_daylight_is_the_table_of_the_cie():
    at = np.array([300.0, 340, 400, 450, 500, 560, 600, 650, 700, 780, 830])
    printed = [0.0341, 39.9488, 82.7549, 117.008, 109.354, 100, 90.0062, 80.0268, 71.6091, 63.3828, 60.3125]
    np.testing.assert_allclose(daylight().power_at(at), printed, atol=6e-4)
    # D50, CIE 15 table T.1.
    np.testing.assert_allclose(illuminant("D50").power_at(np.array([400.0, 500, 600, 700])),
                               [49.31, 95.72, 97.69, 91.6], atol=0.01)  # fmt: skip


@settings(deadline=None, max_examples=20)
@given(st.floats(500, 50_000))
def test_a_black_body_peaks_where_wien_says_and_follows_planck(kelvin):
    nm = np.array([400.0, 550, 700])
    radiant = nm**-5 / np.expm1(1.438777e7 / (nm * kelvin))
    np.testing.assert_allclose(
        (found := black_body(kelvin).power_at(nm)) / found[1], radiant / radiant[1], rtol=1e-5, atol=0
    )


def test_one_figure_a_channel_is_the_mean_over_photons():
    # Two lines of equal power, 400 and 600 nm: photons 2 : 3.
    lamp = Illuminant(np.array([400.0, 600.0]), np.ones(2))
    np.testing.assert_allclose(TRIANGLES.under(lamp)[:3], [0.4 * 3 / 5, 0, 0.6 * 2 / 5])
    assert np.isnan(TRIANGLES.under(lamp)[3])
    np.testing.assert_allclose(TRIANGLES.under("550nm")[:3], [0.2, 0.4, 0])


@pytest.mark.parametrize("cfa", ["GRBG", "W"])
def test_irradiance_gives_the_electrons_of_the_equation(spectral, cfa):
    qe = replace(TRIANGLES, clear=(0, 0.5, 0.9, 0.7, 0))
    params = replace(spectral, cfa=cfa, spectral_qe=qe, gain_dn_per_e=1.0, bit_depth=16, black_level_dn=0)
    # 2 mW/m2 at 500 nm on 1.55 um squared for 20 ms.
    photons = 2e-3 * (1.55e-6) ** 2 * 0.02 * 500e-9 / (6.62607015e-34 * 299792458.0)
    scene = SpectralScene.from_irradiance(np.full((4, 6, 1), 2e-3), [500.0])
    codes = Camera(params).capture(scene, exposure_s=0.02).mosaic
    expected = {"GRBG": [[0.8, 0], [0, 0.8]], "W": [[0.9]]}[cfa]
    tile = np.tile(expected, (4 // len(expected), 6 // len(expected)))
    assert photons * 0.8 > 150
    np.testing.assert_allclose(codes, photons * tile, atol=0.51)


def test_spectra_against_a_loop_over_pixels_and_wavelengths(spectral):
    rng = np.random.default_rng(4)
    nm = np.array([410.0, 455, 470, 520, 610, 640])
    surface = rng.random((4, 6, 6))
    scene = SpectralScene.from_reflectance(surface, nm, light="D65", level=0.7)
    codes = Camera(replace(spectral, bit_depth=16, gain_dn_per_e=7.0)).capture(scene).mosaic
    lamp = illuminant("D65").power_at(nm)
    curves = {"R": (600, 0.4), "G": (500, 0.8), "B": (400, 0.6)}

    def electrons(colour, reflectance):
        centre, height = curves[colour]
        eta = [height * max(0, 1 - abs(x - centre) / 100) for x in nm]
        sums = 0.0
        for i in range(5):  # trapezoids
            ends = [reflectance[k] * lamp[k] * nm[k] * eta[k] for k in (i, i + 1)]
            sums += (ends[0] + ends[1]) / 2 * (nm[i + 1] - nm[i])
        return sums

    white = max(electrons(colour, np.ones(6)) for colour in "RGB")
    for y in range(4):
        for x in range(6):
            share = 0.7 * electrons("RGGB"[y % 2 * 2 + x % 2], surface[y, x]) / white
            assert codes[y, x] == pytest.approx(23 + share * (65535 - 23), abs=0.6)


def test_a_scene_of_level_one_just_saturates_the_most_sensitive_colour(spectral):
    codes = Camera(spectral).capture(SpectralScene.from_reflectance(np.ones((4, 6)), light="E")).mosaic
    # Photons of equal energy go with the wavelength: red 0.4 * 600 and blue 0.6 * 400 are 0.6 of green's 0.8 * 500.
    assert sorted(set(codes.ravel().tolist())) == [623, 1023]


def test_a_grey_in_daylight_develops_to_grey_and_in_lamp_light_to_orange():
    params = sensor_preset("sony-a7s2")
    for light, check in (("D65", lambda r, g, b: abs(r / g - 1) < 0.01 > abs(b / g - 1)),
                         ("A", lambda r, g, b: r / g > 1.2 and b / g < 0.75)):  # fmt: skip
        scene = SpectralScene.from_reflectance(np.full((40, 60), 0.5), light=light)
        # Same camera, same white balance: the mean colour is the lamp's.
        assert check(*develop(Camera(params, seed=1).capture(scene), tone="linear")[8:-8, 8:-8].mean((0, 1)))


def test_another_lamp_on_colours_is_the_same_lamp_on_grey_spectra():
    params = replace(sensor_preset("sony-a7s2"), shot_noise=False)
    grey = Scene.from_array(np.full((6, 8), 0.4))
    lit = Camera(params).capture(relight(grey, params, "3200K")).mosaic
    spectra = SpectralScene.from_reflectance(np.full((6, 8), 0.4), light="3200K")
    codes = Camera(params).capture(spectra).mosaic
    # Levels differ (green is kept in one, the brightest colour in the other), proportions do not.
    ratio = (lit - 512.0) / (codes - 512.0)
    assert ratio.std() / ratio.mean() < 0.01
    same = Camera(params).capture(relight(grey, params, "D65")).mosaic.astype(int)
    assert np.abs(same - Camera(params).capture(grey).mosaic).max() <= 1


def test_a_lens_takes_light_that_no_display_can_show(spectral):
    from sensor import Lens

    params = replace(spectral, color_matrix=sensor_preset("imx477").color_matrix)
    seen = SpectralScene.from_irradiance(np.full((12, 16, 1), 1e-2), [600.0]).seen_by(params)
    assert seen.rows(0, 12).min() < 0
    blurred = Camera(params).capture(Lens(blur_px=2.0).image(seen)).mosaic
    np.testing.assert_array_equal(blurred, Camera(params).capture(seen).mosaic)


def test_curves_come_from_a_preset_and_from_a_file_beside_it(tmp_path):
    text = "# made up\nwavelength_nm; red; green; blue\n400; 0; 0; .5\n500;0;.8;0\n 600;.4;0;0\n"
    (tmp_path / "curves.csv").write_text(text)
    curves = SpectralQe.from_file(tmp_path / "curves.csv")
    assert curves == SpectralQe(wavelength_nm=(400, 500, 600), red=(0, 0, 0.4), green=(0, 0.8, 0), blue=(0.5, 0, 0))
    from sensor import copy_preset

    copy_preset("imx477", tmp_path / "mine.toml")
    with (tmp_path / "mine.toml").open("a") as file:
        file.write('\n[spectral_qe]\nvalue = "curves.csv"\nassumed = "made up"\n')
    assert sensor_preset(tmp_path / "mine.toml").spectral_qe == curves
    assert sensor_preset("sony-a7s2").spectral_qe.green[15] == 0.5


def test_the_lamp_of_a_file_is_its_table(tmp_path):
    (tmp_path / "lamp.txt").write_text("400 1\n500 3\n600 1\n")
    np.testing.assert_allclose(illuminant(tmp_path / "lamp.txt").power_at(np.array([450.0, 500, 700])), [2, 3, 0])
    assert list(read_wavelength_table(tmp_path / "lamp.txt")[1]) == ["1"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "lines of equal length"),
        ("400 1\n500\n", "lines of equal length"),
        ("nm,x\n400,1\n500,one\n", "'one' is not a number"),
        ("400,1\n300,2\n", "must rise"),
        ("400,1\n500,-2\n", "none negative"),
        ("400,0\n500,0\n", "not all 0"),
        ("400,1,2\n500,1,2\n", "two columns"),
        ("nm,a,a\n400,1,2\n", "same name"),
    ],
)
def test_wrong_tables_are_refused_with_the_reason(tmp_path, text, sentence):
    (tmp_path / "lamp.csv").write_text(text)
    with pytest.raises(SceneError, match=f"lamp.csv.*{sentence}"):
        illuminant(tmp_path / "lamp.csv")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: illuminant("F2"), "no illuminant 'F2'"),
        (lambda: illuminant("50K"), "200 to 100000 K"),
        (lambda: illuminant("50nm"), "100 to 3000"),
        (lambda: illuminant("none.csv"), "none.csv: cannot read"),
        (lambda: daylight(3000), "4000 to 25000"),
        (lambda: SpectralScene.from_reflectance(np.ones((2, 2, 3)), [400, 500]), r"shape \(H, W, 2\)"),
        (lambda: SpectralScene.from_reflectance(np.ones((2, 2)), level=0), "level"),
        (lambda: SpectralScene.from_reflectance(-np.ones((2, 2))), "from 0 to"),
        (lambda: SpectralScene.from_reflectance(np.ones((2, 2, 1)), [500], light="525nm"), "line at 525 nm"),
        (lambda: SpectralScene.from_reflectance(np.ones((2, 2, 2)), [900, 950]), "no power from 900"),
        (lambda: Camera("imx477").capture(SpectralScene.from_reflectance(np.ones((4, 4)))), "imx477.*no spectral"),
        (lambda: relight(Scene.from_array(np.ones((2, 2))), sensor_preset("imx477"), "A"), "imx477.*no spectral"),
        (lambda: relight(Scene.from_array(np.ones((2, 2))), sensor_preset("sony-a7s2"), "900nm"), "not see green"),
    ],
)
def test_what_cannot_be_is_said(wrong, sentence):
    with pytest.raises(SceneError, match=sentence):
        wrong()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"green": [0.1, 0.2]}, "wavelength_nm is missing"),
        ({"wavelength_nm": [400, 500], "gren": [0, 0]}, "'gren' is none"),
        ({"wavelength_nm": [400, 500], "green": [0.1]}, "green .* must be 2 numbers"),
        ({"wavelength_nm": [400, 500], "green": [0.1, 1.5]}, "from 0 to 1"),
        ({"wavelength_nm": [500, 400], "green": [0.1, 0.5]}, "must rise"),
        ({"wavelength_nm": [400], "green": [0.1]}, "two wavelengths"),
        ({"wavelength_nm": [400, 500], "green": "red"}, "list of numbers"),
    ],
)
def test_wrong_curves_are_refused(table, sentence):
    with pytest.raises(PresetError, match=sentence):
        SpectralQe.from_mapping(table)


def test_a_sensor_needs_a_curve_for_each_of_its_colours(quiet):
    # The same sensor without its filters is one that nobody measured; it takes scenes of colours as ever.
    bare = replace(sensor_preset("sony-a7s2"), cfa="W")
    for params, colour in ((replace(quiet, spectral_qe=replace(TRIANGLES, blue=())), "blue"), (bare, "clear")):
        with pytest.raises(SceneError, match=f"no curve for the {colour}"):
            Camera(params).capture(SpectralScene.from_reflectance(np.ones((4, 4))))
    with pytest.raises(PresetError, match=r"must be a sensor\.SpectralQe"):
        replace(quiet, spectral_qe={})
    mixed = replace(quiet, cfa="RGBW", spectral_qe=replace(TRIANGLES, clear=TRIANGLES.green))
    with pytest.raises(SceneError, match="mixes clear and coloured"):
        Camera(mixed).capture(SpectralScene.from_reflectance(np.ones((4, 4))))

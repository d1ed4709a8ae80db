from dataclasses import FrozenInstanceError, replace
from importlib.resources import files

import numpy as np
import pytest

from sensor import PresetError, list_presets, sensor_preset
from sensor.colour import camera_response


@pytest.fixture
def toml():
    return files("sensor").joinpath("presets", "imx477.toml").read_text("utf-8")


def test_the_promised_sensors_are_there():
    assert {"imx477", "pregius-3.45", "imx363", "imx455"} <= set(list_presets())


@pytest.mark.parametrize("name", list_presets())
def test_every_figure_of_every_preset_says_where_it_comes_from(name):
    params = sensor_preset(name)
    assert params.name == name
    figures = set(params.__dataclass_fields__) - {"name", "title", "shot_noise", "provenance"}
    if params.spectral_qe is None:  # nobody published curves, and none are assumed
        figures.remove("spectral_qe")
    assert set(params.provenance) == figures
    assert all(len(origin) > 8 for origin in params.provenance.values())


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_is_consistent_with_itself(name):
    params = sensor_preset(name)
    top = (1 << params.bit_depth) - 1
    assert params.black_level_dn < params.white_level_dn() <= top
    assert params.white_level_dn(4.0) <= top
    # The saturated signal ends at the white level, within half a code.
    assert abs(params.black_level_dn + params.saturation_e * params.gain_dn_per_e - params.white_level_dn()) <= 0.5001
    # No camera sees negative light in a colour that a display can show.
    response = camera_response(params.color_matrix, params.white_balance)
    assert (response @ np.ones(3) > 0).all()
    assert response[:3].min() > -0.05


def test_the_published_read_noise_of_the_imx477_comes_out_at_both_gains():
    params = sensor_preset("imx477")
    assert params.total_read_noise_e(1) == pytest.approx(3.0, abs=0.01)
    assert params.total_read_noise_e(16) == pytest.approx(1.5, abs=0.01)
    # (4095 - 256) / 0.47 = 8168 e-, just under the well.
    assert params.saturation_e == pytest.approx(8168, abs=1)


def test_parameters_are_frozen():
    with pytest.raises(FrozenInstanceError):
        sensor_preset("imx477").gain_dn_per_e = 2


def test_a_copied_and_edited_file_is_a_new_sensor(tmp_path, toml):
    path = tmp_path / "mine.toml"
    path.write_text(toml.replace('name = "imx477"', 'name = "mine"').replace("value = 1.49", "value = 0.5"))
    params = sensor_preset(path)
    assert (params.name, params.read_noise_e) == ("mine", 0.5)
    assert replace(params, name="imx477", read_noise_e=1.49) == replace(sensor_preset("imx477"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[bit_depth]\nvalue = 12", "[bit_depth]\nvalue = 99", "bit_depth must be a number from 8 to 16, not 99"),
        ("[bit_depth]\nvalue = 12", "[bit_depth]\nvalue = 12.5", "bit_depth must be of type int"),
        ("[bit_depth]", "[bit_dpeth]", "'bit_dpeth' is not a figure"),
        ("value = 0.47", "value = -1", "gain_dn_per_e must be a number"),
        ("value = 0.47", "value = nan", "gain_dn_per_e must be a number"),
        ("value = 0.47", 'value = "a lot"', "gain_dn_per_e must be a number"),
        ('value = "RGGB"', 'value = "RGXB"', "pattern 'RGXB' is not known"),
        ("value = 3040", "value = 3041", "whole periods"),
        ("value = [3.152, 1.0, 1.417]", "value = [3.152, 1.0]", "white_balance must be 3 gains"),
        ("value = [3.152, 1.0, 1.417]", "value = [3.152, 0.5, 1.417]", "smallest of them 1"),
        ("2.18464", "3.18464", "rows that sum to 1"),
        ("2.18464", '"x"', "color_matrix"),
        ("source =", "sauce =", "must be a table with 'value' and either"),
        ("value =", "value ==", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(tmp_path, toml, old, new, sentence):
    assert old in toml
    path = tmp_path / "wrong.toml"
    path.write_text(toml.replace(old, new, 1))
    with pytest.raises(PresetError, match=sentence):
        sensor_preset(path)


def test_a_figure_without_an_origin_is_refused(tmp_path, toml):
    path = tmp_path / "wrong.toml"
    path.write_text(toml.replace("[bit_depth]\nvalue = 12\nsource", '[bit_depth]\nvalue = 12\nsource = ""\n#'))
    with pytest.raises(PresetError, match="bit_depth must say either 'source' or 'assumed'"):
        sensor_preset(path)


def test_a_missing_figure_is_named(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text('name = "a"\ntitle = "b"\n')
    with pytest.raises(PresetError, match="'height_px' is missing"):
        sensor_preset(path)


def test_unknown_names_and_unreadable_files_are_refused(tmp_path):
    with pytest.raises(PresetError, match=r"no sensor preset 'imx999'.*imx477"):
        sensor_preset("imx999")
    with pytest.raises(PresetError, match=r"no.toml.*No such file"):
        sensor_preset(tmp_path / "no.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PresetError, match="UTF-8"):
        sensor_preset(tmp_path / "b.toml")

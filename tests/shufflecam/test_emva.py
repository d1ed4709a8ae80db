"""``shufflecam emva``, as its own small program until a user types it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from scrambler.errors import ShuffleCamError
from shufflecam.commands.emva import emva


@pytest.fixture
def typed():
    app = typer.Typer()
    app.command()(emva)

    def run(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=True)

    return run


def test_it_measures_a_preset_and_the_frames_it_kept(typed, tmp_path):
    small = ["--sensor", "pregius-3.45", "--height", 24, "--width", 32]
    assert typed(*small, "--out", tmp_path / "one", "--keep-frames").exit_code == 0
    first = json.loads((tmp_path / "one" / "emva1288.json").read_text())
    assert first["truth"]["gain_dn_per_e"] == 0.35714
    again = typed("--frames", tmp_path / "one", "--out", tmp_path / "two")
    assert again.exit_code == 0
    assert "quantum efficiency" in again.output
    second = json.loads((tmp_path / "two" / "emva1288.json").read_text())
    assert second["measured"] == pytest.approx(first["measured"], rel=1e-12)


def test_contradictory_options_are_refused(typed, tmp_path):
    result = typed("--frames", tmp_path, "--keep-frames", "--out", tmp_path / "x")
    assert isinstance(result.exception, ShuffleCamError)
    assert not (tmp_path / "x").exists()


def test_the_title_says_how_often_the_signal_is_amplified(typed, tmp_path):
    small = ["--sensor", "imx477", "--height", 24, "--width", 32, "--out", tmp_path / "out"]
    assert typed(*small, "--gain", 2).exit_code == 0
    assert "12 bit, gain 1, amplified 2 times" in (tmp_path / "out" / "emva1288.txt").read_text()

"""``shufflecam readout``, as its own small program until a user types it."""

import csv
import json

import pytest
import typer
from typer.testing import CliRunner

from scrambler import Key
from shufflecam.commands.readout import readout


@pytest.fixture
def typed():
    app = typer.Typer()
    app.command()(readout)

    def run(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    return run


def test_it_compares_all_patterns(typed):
    result = typed("--sensor", "imx477")
    assert result.exit_code == 0
    for word in ("frame", "rows", "columns", "rows+columns", "lines:16", "tiles:8", "blocks:8", "28.57", "46384"):
        assert word in result.output


def test_it_tells_the_gates_part_by_part_and_what_is_known_of_the_generators(typed):
    output = typed("--sensor", "imx477", "--generator", "light").output
    for word in (
        "Yosys",
        "row and column scan",
        "line buffer control",
        "switch settings",
        "774613",
        "no security claim",
    ):
        assert word in output
    assert typed("--generator", "table").exit_code != 0
    assert typed("--pattern", "rows").exit_code != 0


def test_json_is_one_object_a_line(typed):
    rows = [json.loads(line) for line in typed("--sensor", "imx363", "--json", "--unit", "pixel").output.splitlines()]
    assert rows[0]["pattern"] == "none"
    assert {row["unit"] for row in rows} == {"pixel"}
    assert all(row["energy_j"] > 0 for row in rows)
    assert all(row["gates"] == sum(row["gate_parts"].values()) for row in rows)


def test_it_writes_the_timeline_of_a_keyed_frame(typed, tmp_path):
    Key.generate().save(tmp_path / "door.key")
    small = ["--sensor", "imx490", "--exposure", "0.002", "--pattern", "rows"]
    assert typed(*small, "--key", tmp_path / "door.key", "--out", tmp_path / "out").exit_code == 0
    with (tmp_path / "out" / "timeline.csv").open() as file:
        order = [int(row["row"]) for row in csv.DictReader(file)]
    assert sorted(order) == list(range(1860))
    assert order != sorted(order)
    content = json.loads((tmp_path / "out" / "timeline.json").read_text())
    assert content["row"] == order
    assert (tmp_path / "out" / "timeline.png").stat().st_size > 1000

"""The pages say what is so: their code runs, their commands exist, and they build with no warning."""

import doctest
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import networks
import operators
import scrambler
import sensor
from shufflecam.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "docs" / "guide").glob("*.md")) + [ROOT / "README.md"]
WITH_CODE = [page for page in PAGES if ">>>" in page.read_text() and page.parent.name == "guide"]
VERBS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]  # the app is a group of verbs


def commands_on(page: Path) -> list[str]:
    """Return the lines of a page that call the command, as one would type them."""
    return re.findall(r"^\$ (?:\S*/)?(shufflecam .*?)(?: +#.*)?$", page.read_text(), re.M)


def parse(line: str) -> None:
    """Let the command line read what was typed, and do nothing."""
    _, verb, *words = shlex.split(line.partition(" | ")[0])
    VERBS[verb].make_context(verb, words)


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_on_a_page_does_what_the_page_says(page: Path) -> None:
    failed, tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize("page", [page for page in PAGES if commands_on(page)], ids=lambda page: page.stem)
def test_every_command_on_a_page_has_the_verb_and_the_options_that_it_uses(page: Path) -> None:
    for line in commands_on(page):
        parse(line)


def test_a_command_with_an_option_that_is_gone_would_be_noticed() -> None:
    with pytest.raises(Exception, match="--no-such-option"):
        parse("shufflecam models --no-such-option")


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_ends_with_an_example_that_can_be_copied(verb: str) -> None:
    examples = re.findall(r"Example: (shufflecam .*)", VERBS[verb].help)
    assert len(examples) == 1
    assert shlex.split(examples[0])[1] == verb
    parse(examples[0])


@pytest.mark.slow
def test_the_pages_build_with_no_warning_and_load_nothing_from_the_network(tmp_path: Path) -> None:
    pytest.importorskip("sphinx_gallery", reason="the pages need the extra [docs]")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", tmp_path],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text()
        assert not re.findall(r"<(?:script|img|iframe|source)[^>]*src=[\"'](?:https?:)?//", text), page
        assert not re.findall(r"<link[^>]*rel=[\"']stylesheet[\"'][^>]*href=[\"'](?:https?:)?//", text), page
    reference = (tmp_path / "guide" / "commands.html").read_text()
    for verb in VERBS:
        assert f'id="{verb}"' in reference
    for package in (networks, operators, scrambler, sensor):
        described = (tmp_path / "api" / f"{package.__name__}.html").read_text()
        for name in package.__all__:
            assert not callable(getattr(package, name)) or f'id="{package.__name__}.{name}"' in described, name

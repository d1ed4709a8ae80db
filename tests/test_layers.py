"""The folders may only import downwards: DESIGN's table as a test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "scrambler": set(),
    "sensor": {"scrambler"},
    "operators": {"scrambler"},
    "networks": {"operators", "scrambler"},
    "shufflecam": {"scrambler", "sensor", "operators", "networks"},
}
OURS = set(MAY_IMPORT) | {"examples", "benchmarks", "tests"}


def imported(path: Path) -> set[str]:
    """Return the top-level names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import; imports are absolute here"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    for path in sorted((ROOT / package).rglob("*.py")):
        wrong = (imported(path) & OURS) - MAY_IMPORT[package] - {package}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_the_rule_is_tested_on_real_files() -> None:
    for package in MAY_IMPORT:
        assert len(list((ROOT / package).rglob("*.py"))) > 2, package


# CIFAR-10's official Python batches are pickles: read by an unpickler that builds arrays and refuses all else.
READS_ARRAYS_FROM_PICKLES = {ROOT / "networks" / "datasets" / "cifar10.py"}


def test_nothing_reads_pickles() -> None:
    for package in MAY_IMPORT:
        for path in (ROOT / package).rglob("*.py"):
            assert "pickle" not in imported(path) or path in READS_ARRAYS_FROM_PICKLES, path
            assert "allow_pickle=True" not in path.read_text(), path

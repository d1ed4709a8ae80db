"""Fair timing: candidates take turns round by round, so that other load on the machine meets all of them alike."""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"


def interleave(candidates: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each candidate took in each round, after one untimed round that compiles and warms up.

    Parameters
    ----------
    candidates : mapping of str to callable
        Called without arguments, in order, once a round.
    rounds : int
        Number of timed rounds.
    """
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, run in candidates.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def medians_ms(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return each candidate's median in milliseconds."""
    return {name: 1e3 * median(times) for name, times in seconds.items()}


def machine() -> dict[str, object]:
    """Return what a reader needs to judge the figures: processor, cores, load and versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
    }


def write_report(path: str | os.PathLike[str], title: str, rows: Sequence[Mapping[str, Any]], **extra: object) -> None:
    """Write rows of figures as JSON, with the machine beside them, replacing the file in one step.

    Parameters
    ----------
    path : path
        The JSON file; its folder is made where missing.
    title : str
        What was measured.
    rows : sequence of mappings
        One for each line of the table.
    **extra
        More fields of the report, such as sizes or goals.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    report = {"title": title, "machine": machine(), **extra, "rows": list(rows)}
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    temporary.replace(path)


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of figures as a table; the first row's keys head the columns."""
    cells = [[f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()] for row in rows]
    columns = [[str(head), *column] for head, *column in zip(rows[0], *cells, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    print(title)
    for line in zip(*columns, strict=True):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())

"""How a verb ends when some of its inputs failed."""

from shufflecam.console import stderr
from shufflecam.inputs import Failure


def report_failures(failures: list[Failure]) -> int:
    """Print one line an input that failed; return the exit status, 0 or 3."""
    for failure in failures:
        stderr.print(f"shufflecam: {failure.path}: {failure.reason}", markup=False)
    return 3 if failures else 0

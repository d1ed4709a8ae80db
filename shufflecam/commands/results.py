"""How a verb on many inputs ends: what was done, what failed, and the exit status."""

import typer

from shufflecam.console import stderr, stdout


def report(inputs: int, failures: list[str], done: str = "") -> None:
    """Print what was done, and one line for each input that failed.

    Parameters
    ----------
    inputs : int
        How many there were.
    failures : list of str
        One sentence for each that failed.
    done : str
        What to say behind the number of the rest, such as "frames in DIR"; nothing if empty.

    Raises
    ------
    typer.Exit
        With status 1 if every input failed, 3 if some did and the rest are done.
    """
    if done and len(failures) < inputs:
        stdout.print(f"{inputs - len(failures)} {done}")
    for failure in failures:
        stderr.print(f"shufflecam: {failure}")
    if failures:
        raise typer.Exit(1 if len(failures) == inputs else 3)

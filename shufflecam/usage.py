"""Wrong usage: what no file, key or network could make right."""

from collections.abc import Iterator
from contextlib import contextmanager

from scrambler.errors import ShuffleCamError


class UsageError(ShuffleCamError):
    """A command line that is wrong whatever the files hold: it ends with status 2, where other errors give 1."""


@contextmanager
def usage() -> Iterator[None]:
    """Take whatever is refused inside for wrong usage: for options that are tried before any input is opened.

    Raises
    ------
    UsageError
        In place of any other :class:`~scrambler.errors.ShuffleCamError`, with its sentence.

    Examples
    --------
    >>> with usage():
    ...     raise ShuffleCamError("there is no unit 'brick'")
    Traceback (most recent call last):
    shufflecam.usage.UsageError: there is no unit 'brick'
    """
    try:
        yield
    except ShuffleCamError as error:
        raise UsageError(str(error)) from error

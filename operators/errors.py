"""The error of this package."""

from scrambler.errors import ShuffleCamError


class OperatorError(ShuffleCamError, RuntimeError):
    """An operator was given sizes, types or tables that do not fit together.

    It is a ``ValueError`` like every user error of the project, and a ``RuntimeError`` because that is what
    PyTorch's own operators raise in the same place.
    """

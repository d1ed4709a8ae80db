"""Errors of conversion and training: one sentence that names the layer or parameter, the reason and what to do."""

from scrambler.errors import ShuffleCamError


class ConversionError(ShuffleCamError):
    """A model cannot be converted exactly; names the layer and the reason."""


class LockedError(ShuffleCamError):
    """A keyed network was used while its tables are dropped."""


class TrainingError(ShuffleCamError):
    """A training configuration, its data or a checkpoint cannot be used."""

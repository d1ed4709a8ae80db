"""What stops a whole job, rather than one input."""

from scrambler.errors import ShuffleCamError


class JobError(ShuffleCamError):
    """A job that cannot start or go on: another one is at work, the disk is full, workers or the key are gone."""

"""What a user of the sensor can get wrong, each as one sentence."""

from scrambler.errors import ShuffleCamError


class SceneError(ShuffleCamError):
    """A picture that cannot become a scene: missing, damaged, of the wrong shape or with impossible values."""


class PresetError(ShuffleCamError):
    """A sensor description that is missing, incomplete or physically impossible."""


class CaptureError(ShuffleCamError):
    """A capture that the camera cannot make as asked."""


class RawFileError(ShuffleCamError):
    """A RAW file that cannot be read, or a frame that cannot be written as one."""


class RawFrameError(ShuffleCamError):
    """A RAW frame whose parts do not fit together, or an operation it does not allow."""


class DevelopError(ShuffleCamError):
    """A frame or an option that the image pipeline cannot develop."""

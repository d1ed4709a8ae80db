"""Errors that a user can cause and mend: one clear sentence each, never a secret in it."""


class ShuffleCamError(ValueError):
    """Base of every error of this project that a user can cause and mend."""


class KeyFileError(ShuffleCamError):
    """A key file that cannot be trusted, read or written, or bytes that are no key."""


class MissingKeyError(ShuffleCamError):
    """Something that needs a key was given none."""


class WrongKeyError(ShuffleCamError):
    """A key whose id is not the id of the key that made the data."""


class SecretPickleError(ShuffleCamError, TypeError):
    """A key or a permutation was about to leave the process in a pickle."""


class NonceError(ShuffleCamError):
    """A nonce is missing, has the wrong length, or the count of nonces is wrong."""


class FixedNonceError(NonceError):
    """Several frames would share one nonce, and nobody asked for that."""


class PermutationError(ShuffleCamError):
    """An array that is no permutation, or a size that no permutation can have."""


class FrameError(ShuffleCamError):
    """A frame or an image whose shape, type or values do not fit."""


class PatternError(ShuffleCamError):
    """A readout pattern, unit or period that does not exist."""


class SchemeError(ShuffleCamError):
    """An unknown scheme, or a parameter that a scheme does not have."""


class SealedFileError(ShuffleCamError):
    """A sealed file that cannot be trusted, read or written; nothing of its content was released."""

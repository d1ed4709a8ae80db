"""Keys, nonces, permutations, the multiplexer's readout patterns, and the published protections as named schemes."""

from scrambler.errors import (
    FixedNonceError,
    FrameError,
    KeyFileError,
    MissingKeyError,
    NonceError,
    PatternError,
    PermutationError,
    SchemeError,
    SecretPickleError,
    ShuffleCamError,
    WrongKeyError,
)
from scrambler.key import Key
from scrambler.keyed import keyed_permutation
from scrambler.legacy import LegacyKey
from scrambler.multiplexer import Multiplexer
from scrambler.nonce import (
    FixedNonceGuard,
    FixedNonceWarning,
    check_nonce,
    new_nonce,
    new_nonces,
    nonces_for,
    seeded_nonce,
)
from scrambler.patterns import list_patterns
from scrambler.permutation import Permutation

__all__ = [
    "FixedNonceError",
    "FixedNonceGuard",
    "FixedNonceWarning",
    "FrameError",
    "Key",
    "KeyFileError",
    "LegacyKey",
    "MissingKeyError",
    "Multiplexer",
    "NonceError",
    "PatternError",
    "Permutation",
    "PermutationError",
    "SchemeError",
    "SecretPickleError",
    "ShuffleCamError",
    "WrongKeyError",
    "check_nonce",
    "keyed_permutation",
    "list_patterns",
    "new_nonce",
    "new_nonces",
    "nonces_for",
    "seeded_nonce",
]

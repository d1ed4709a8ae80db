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
from scrambler.schemes import Card, Protected, Scheme, list_schemes, register_scheme, scheme

__all__ = [
    "Card",
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
    "Protected",
    "Scheme",
    "SchemeError",
    "SecretPickleError",
    "ShuffleCamError",
    "WrongKeyError",
    "check_nonce",
    "keyed_permutation",
    "list_patterns",
    "list_schemes",
    "new_nonce",
    "new_nonces",
    "nonces_for",
    "register_scheme",
    "scheme",
    "seeded_nonce",
]

"""Keys, nonces, permutations, masks, sealed files, readout patterns, and the published protections as schemes."""

from scrambler.errors import (
    FixedNonceError,
    FrameError,
    KeyFileError,
    MissingKeyError,
    NonceError,
    PatternError,
    PermutationError,
    SchemeError,
    SealedFileError,
    SecretPickleError,
    ShuffleCamError,
    WrongKeyError,
)
from scrambler.generators import GENERATORS, GeneratorCard, list_generators
from scrambler.key import Key
from scrambler.keyed import keyed_permutation, keyed_permutations
from scrambler.legacy import LegacyKey
from scrambler.mask import mask_of, mask_values
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
from scrambler.schemes import Card, ChannelAffine, Protected, Scheme, list_schemes, register_scheme, scheme
from scrambler.sealed import Unsealed, open_sealed, seal

__all__ = [
    "GENERATORS",
    "Card",
    "ChannelAffine",
    "FixedNonceError",
    "FixedNonceGuard",
    "FixedNonceWarning",
    "FrameError",
    "GeneratorCard",
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
    "SealedFileError",
    "SecretPickleError",
    "ShuffleCamError",
    "Unsealed",
    "WrongKeyError",
    "check_nonce",
    "keyed_permutation",
    "keyed_permutations",
    "list_generators",
    "list_patterns",
    "list_schemes",
    "mask_of",
    "mask_values",
    "new_nonce",
    "new_nonces",
    "nonces_for",
    "open_sealed",
    "register_scheme",
    "scheme",
    "seal",
    "seeded_nonce",
]

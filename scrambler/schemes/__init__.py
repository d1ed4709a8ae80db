"""Every published protection as a named scheme, behind one interface."""

# Importing a family registers its schemes, in the order of the list.
from scrambler.schemes import (  # noqa: F401, I001 - imported to be registered, and in that order
    shuffles as _shuffles,
    structured_shuffles as _structured_shuffles,
    masked as _masked,
    negative_positive as _negative_positive,
    blockwise as _blockwise,
    block_scrambling as _block_scrambling,
    learnable as _learnable,
    dlmt as _dlmt,
    rmt as _rmt,
    block_aes as _block_aes,
    dp_pixelize as _dp_pixelize,
    peep as _peep,
    svd as _svd,
)
from scrambler.schemes.affine_map import AffineMap, AffineScheme
from scrambler.schemes.base import Card, Protected, Scheme
from scrambler.schemes.channel_affine import ChannelAffine
from scrambler.schemes.keyless import NoisyScheme
from scrambler.schemes.masked import ChaCha20Values, ShuffleMask
from scrambler.schemes.noise import Guarantee, PrivacyLedger
from scrambler.schemes.registry import list_schemes, register_scheme, scheme

__all__ = [
    "AffineMap",
    "AffineScheme",
    "Card",
    "ChaCha20Values",
    "ChannelAffine",
    "Guarantee",
    "NoisyScheme",
    "PrivacyLedger",
    "Protected",
    "Scheme",
    "ShuffleMask",
    "list_schemes",
    "register_scheme",
    "scheme",
]

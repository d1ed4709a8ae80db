"""What schemes refuse, each in one sentence that names the reason."""

import re

import numpy as np
import pytest

from scrambler import (
    FrameError,
    Key,
    MissingKeyError,
    NonceError,
    PatternError,
    SchemeError,
    WrongKeyError,
    list_schemes,
    scheme,
)

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))
ANY_TYPE = ["pixel-shuffle", "rows-columns", "tile-shuffle", "block-shuffle"]
KEYED = [name for name in list_schemes() if scheme(name).card.keyed]


def random_images(shape, dtype=np.uint8, seed=1):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("name", KEYED)
def test_a_missing_key_is_named_when_it_is_needed(name):
    for use in (scheme(name).protect, scheme(name).reveal):
        with pytest.raises(MissingKeyError, match=re.escape(f"scheme '{name}' needs key=")):
            use(np.zeros((4, 4), np.uint8))


def test_the_wrong_key_and_the_wrong_scheme_are_refused_and_bare_values_are_not():
    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    protected = scheme("pixel-shuffle", key=KEY).protect(image)
    other = Key.from_bytes(bytes(32))
    with pytest.raises(WrongKeyError, match=f"{KEY.id}.*{other.id}"):
        scheme("pixel-shuffle", key=other).reveal(protected)
    with pytest.raises(FrameError, match="'pixel-shuffle'"):
        scheme("tile-shuffle", key=KEY).reveal(protected)
    wrong = scheme("pixel-shuffle", key=other).reveal(np.asarray(protected), nonce=protected.nonces)
    assert (wrong != image).any()
    with pytest.raises(NonceError, match="needs nonce="):
        scheme("pixel-shuffle", key=KEY).reveal(np.asarray(protected))
    with pytest.raises(FrameError, match="shape"):
        scheme("pixel-shuffle", key=KEY).reveal(np.asarray(protected), nonce=protected.nonces, shape=(4, 16))


BAD_IMAGES = [
    np.zeros(5),
    np.zeros((2, 4, 4, 2)),
    np.zeros((1, 2, 3, 4, 1)),
    np.full((4, 4), np.nan),
    np.array([[np.inf]]),
    np.zeros((4, 4), complex),
    np.zeros((4, 4), bool),
    np.array([["a"]]),
    None,
]


@pytest.mark.parametrize("name", list_schemes())
@pytest.mark.parametrize("images", BAD_IMAGES, ids=range(len(BAD_IMAGES)))
def test_images_that_do_not_fit_are_refused_in_one_sentence(name, images):
    with pytest.raises(FrameError, match="images") as caught:
        scheme(name, key=KEY).protect(images)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(list_schemes()) - set(ANY_TYPE)))
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8, np.uint32])
def test_schemes_that_change_values_take_codes_only(name, dtype):
    with pytest.raises(FrameError, match=f"uint8 or uint16.*{np.dtype(dtype)}"):
        scheme(name, key=KEY).protect(np.zeros((4, 4), dtype))


BAD_PARAMETERS = [
    ("mat", {"max_add": 0}), ("mmt", {"max_mul": 2.5}), ("rise-mmt", {"rise": -1}), ("mat-mmt", {"normalise": "sum"}),
    ("negative-positive", {"bits": 9}), ("sit", {"bits": True}), ("shf", {"block": 0}), ("ffx", {"normalise": 1}),
    ("le", {"reversal": "half"}), ("etc", {"block": "4"}), ("rmt", {"noise": float("nan")}), ("rmt", {"noise": -1}),
    ("rmt", {"transform": "haar"}), ("rmt", {"noise_position": "during"}), ("block-aes", {"block": 6}),
    ("block-aes", {"keys": "two"}), ("block-aes", {"pixels_per_unit": 4}), ("block-aes", {"salt_pepper": 1.5}),
    ("dp-pixelize", {"epsilon": 0}), ("dp-pixelize", {"cell": 0}), ("dp-pixelize", {"changed_px": 0}),
    ("dp-pixelize", {"rng": -1}), ("dp-pixelize", {"budget": 0}), ("peep", {"composition": "both"}),
    ("peep", {"output": "face"}), ("peep", {"components": 0}), ("peep", {"public": np.zeros((4, 4))}),
    ("svd", {"rank": 0}), ("svd", {"epsilon": float("inf")}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters"), BAD_PARAMETERS)
def test_bad_parameters_are_refused_in_one_sentence_that_names_them(name, parameters):
    with pytest.raises(SchemeError, match=next(iter(parameters))) as caught:
        scheme(name, key=KEY, **parameters).protect(np.zeros((4, 4), np.uint8))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mat", "ffx", "shf", "rmt"])
def test_values_or_shapes_that_cannot_be_theirs_are_refused(name):
    s = scheme(name, key=KEY)
    protected = np.asarray(s.protect(random_images((5, 7, 3)), nonce=NONCE))
    for shape in [(5, 7), (5, 70, 3), (5, 7, 4), (1, 5, 7, 3)]:
        with pytest.raises(FrameError, match="shape"):
            s.reveal(protected, nonce=NONCE, shape=shape)
    with pytest.raises(FrameError, match="not whole blocks" if s.block_px > 1 else "no images under this key"):
        s.reveal(protected[1:] if s.block_px > 1 else protected * 0 - 5, nonce=NONCE)


def test_unknown_schemes_and_parameters_are_named():
    with pytest.raises(SchemeError, match="there is no scheme 'pixel'"):
        scheme("pixel")
    with pytest.raises(SchemeError, match=r"no parameter 'tile'.*unit"):
        scheme("pixel-shuffle", tile=4)
    with pytest.raises(SchemeError, match=r"no parameter 'sigma'.*epsilon"):
        scheme("svd", sigma=4)
    for parameters in ({"unit": "octet"}, {"period": 3}):
        with pytest.raises(PatternError):
            scheme("pixel-shuffle", **parameters)
    for side in (1, 2.5, "4"):
        with pytest.raises(SchemeError, match="tile must be"):
            scheme("tile-shuffle", tile=side)
        with pytest.raises(SchemeError, match="block must be"):
            scheme("block-shuffle", block=side)

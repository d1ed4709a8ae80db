import pickle

import numpy as np
import pytest

from scrambler import (
    Key,
    LegacyKey,
    MissingKeyError,
    NonceError,
    PermutationError,
    SecretPickleError,
    ShuffleCamError,
    keyed_permutation,
    keyed_permutations,
)
from scrambler.uniform import shuffle_segments, uniform_permutation

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))


def test_format_v1_of_keyed_permutations_never_changes():
    assert keyed_permutation(KEY, 10, NONCE).source.tolist() == [1, 0, 7, 9, 2, 5, 4, 8, 3, 6]
    assert keyed_permutation(KEY, (32, 32), NONCE).source[:6].tolist() == [798, 518, 601, 473, 629, 343]
    assert keyed_permutation(KEY, 600_000, NONCE).source[:4].tolist() == [326674, 206116, 305143, 146178]


def test_the_seed_is_derived_from_key_nonce_label_and_geometry():
    seed = KEY.derive("layer/3", NONCE, context=b"permutation/v1;size=12;unit=pixel;pattern=frame")
    p = keyed_permutation(KEY, 12, NONCE, "layer/3")
    np.testing.assert_array_equal(p.source, uniform_permutation(seed, 12))


@pytest.mark.parametrize("size", [(0, 3), (1, 1), (5, 7), (700, 800)])
def test_a_frame_size_gives_the_same_source_with_its_shape(size):
    framed, flat = keyed_permutation(KEY, size, NONCE), keyed_permutation(KEY, size[0] * size[1], NONCE)
    np.testing.assert_array_equal(framed.source, flat.source)
    assert framed.shape == size
    assert flat.shape is None
    assert framed.source.dtype == framed.slot.dtype == np.uint32


def test_key_nonce_label_and_size_give_unrelated_permutations():
    size = 4096
    flipped = Key.from_bytes(bytes([KEY.to_bytes()[0] ^ 128]) + KEY.to_bytes()[1:])
    tables = [
        keyed_permutation(KEY, size, NONCE).source,
        keyed_permutation(flipped, size, NONCE).source,
        keyed_permutation(KEY, size, bytes(16)).source,
        keyed_permutation(KEY, size, NONCE, "layer/1").source,
        keyed_permutation(KEY, size, label="layer/1").source,
        keyed_permutation(KEY, size + 1, NONCE).source[:size],
    ]
    for i, one in enumerate(tables):
        for other in tables[:i]:
            # Equal places are Poisson(1): more than 10 have odds of 1e-8.
            assert np.count_nonzero(one == other) <= 10


def test_a_readout_needs_a_nonce_and_other_labels_do_not():
    with pytest.raises(NonceError, match="a readout needs nonce="):
        keyed_permutation(KEY, 10)
    assert keyed_permutation(KEY, 10, label="layer/1").size == 10


def test_a_missing_key_is_one_sentence():
    with pytest.raises(MissingKeyError, match="a keyed permutation needs key="):
        keyed_permutation(None, 10, NONCE)


@pytest.mark.parametrize("size", [-1, 2**32, (2**16, 2**16), (3,), 2.5, "10", (1, -1), None])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(PermutationError):
        keyed_permutation(KEY, size, NONCE)


def test_permutations_drawn_together_are_segments_of_one_stream():
    sizes = [(5, 7), (1, 1), (700, 800), (0, 3), (2, 3)]
    drawn = keyed_permutations(KEY, sizes, "layers")
    seed = KEY.derive("layers", context=b"permutation/v1;size=35,1,560000,0,6;unit=pixel;pattern=frame")
    order = np.concatenate([np.arange(h * w, dtype=np.uint32) for h, w in sizes])
    shuffle_segments(order, np.array([h * w for h, w in sizes]), seed)
    np.testing.assert_array_equal(np.concatenate([p.source for p in drawn]), order)
    for p, (h, w) in zip(drawn, sizes, strict=True):
        assert p.shape == (h, w)
        np.testing.assert_array_equal(p.slot[p.source], np.arange(h * w))


def test_format_v1_of_permutations_drawn_together_never_changes():
    assert [p.source.tolist() for p in keyed_permutations(KEY, [(2, 3), (1, 4)], "layers")] == [
        [1, 3, 5, 4, 0, 2],
        [2, 1, 0, 3],
    ]
    assert keyed_permutations(KEY, [], "layers") == []


def test_permutations_drawn_together_differ_from_one_another_and_with_key_label_and_sizes():
    size = (64, 64)
    flipped = Key.from_bytes(bytes([KEY.to_bytes()[0] ^ 128]) + KEY.to_bytes()[1:])
    tables = [
        p.source
        for p in (
            *keyed_permutations(KEY, [size, size], "layers"),
            *keyed_permutations(flipped, [size, size], "layers"),
            *keyed_permutations(KEY, [size, size], "others"),
            *keyed_permutations(KEY, [size, size, size], "layers"),
            keyed_permutation(KEY, size, label="layers"),
        )
    ]
    for i, one in enumerate(tables):
        for other in tables[:i]:
            # Equal places are Poisson(1): more than 10 have odds of 1e-8.
            assert np.count_nonzero(one == other) <= 10


def test_permutations_drawn_together_need_a_key_possible_sizes_and_no_readout():
    with pytest.raises(MissingKeyError, match="a keyed permutation needs key="):
        keyed_permutations(None, [(2, 3)], "layers")
    with pytest.raises(NonceError, match="a readout needs nonce="):
        keyed_permutations(KEY, [(2, 3)], "readout")
    for sizes in ([(-2, -3)], [(2**16, 2**15), (2**16, 2**15)]):
        with pytest.raises(PermutationError):
            keyed_permutations(KEY, sizes, "layers")


CHAIN = {
    "input": (32, "608 275 171 540 204 215 14 676"),
    "conv1": (32, "199 564 169 111 754 468"),
    "conv2": (32, "17 528 486 905 707 944"),
    "pool1": (16, "134 171 133 4 244 160"),
    "conv3": (16, "85 86 167 101 54 236"),
    "conv4": (16, "224 3 53 105 64 176"),
    "pool2": (8, "33 12 59 14 42 8"),
    "conv5": (8, "51 33 50 57 8 21"),
    "conv6": (8, "56 51 0 29 47 61"),
    "conv7": (8, "52 12 10 1 42 16"),
    "pool3": (4, "11 13 7 2 15 1"),
    "conv8": (4, "11 14 0 1 8 13"),
    "conv9": (4, "2 8 10 15 7 13"),
    "conv10": (4, "13 14 0 1 2 4"),
    "pool4": (2, "3 2 1 0"),
    "conv11": (2, "1 2 0 3"),
    "conv12": (2, "2 3 0 1"),
    "conv13": (2, "0 1 2 3"),
    "pool5": (1, "0"),
}


def test_legacy_keys_reproduce_the_published_chain_of_vgg16():
    # The key that the published code drew for conv1 is the second draw, and so on.
    chain = Key.legacy(1312).chain([(side, side) for side, _ in CHAIN.values()])
    for (name, (side, first)), p in zip(CHAIN.items(), chain, strict=True):
        expected = [int(number) for number in first.split()]
        assert p.source[: len(expected)].tolist() == expected, name
        assert p.shape == (side, side)


def test_legacy_keys_reproduce_the_published_33_by_33_key():
    rows = keyed_permutation(Key.legacy(1312), (33, 33)).source.reshape(33, 33)
    assert rows[0, :3].tolist() == [608, 275, 171]
    assert rows[1, :3].tolist() == [543, 230, 739]
    assert rows[-1, -3:].tolist() == [791, 176, 81]


def test_a_legacy_key_draws_first_after_seeding_and_takes_no_nonce():
    legacy = Key.legacy(1312)
    for _ in range(2):
        assert keyed_permutation(legacy, 1024).source[:3].tolist() == [608, 275, 171]
    assert legacy.chain([4, 4])[0].shape is None
    with pytest.raises(NonceError, match="takes no nonce"):
        keyed_permutation(legacy, 1024, NONCE)


def test_legacy_seeds_are_checked_and_not_shown():
    assert repr(LegacyKey(1312)) == "LegacyKey()"
    with pytest.raises(SecretPickleError):
        pickle.dumps(LegacyKey(1312))
    for seed in (-1, 2**32, 1.5, "1312", True, None):
        with pytest.raises(ShuffleCamError, match="seed of a legacy key"):
            LegacyKey(seed)

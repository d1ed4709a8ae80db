"""EtC and SIT: docs, methods, sections 9 and 11."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scrambler import Key, scheme
from scrambler.schemes.block_scrambling import mirror, reorder_colours, turn
from scrambler.schemes.blocks import from_blocks, to_blocks

KEY = Key.from_bytes(bytes(range(32)))


def test_block_steps_by_hand():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    blocks = to_blocks(image, 2)[0][[2, 0, 3, 1]]
    blocks = mirror(turn(blocks, np.array([1, 0, 2, 3])), np.array([0, 1, 2, 0]))
    blocks[[0, 3]] = 255 - blocks[[0, 3]]
    out = from_blocks(blocks[None], 4, 4)[0, :, :, 0]
    assert out.tolist() == [[246, 242, 1, 0], [247, 243, 5, 4], [11, 10, 249, 253], [15, 14, 248, 252]]


def test_colours_change_places_without_loss():
    # The published code loses a channel in five of its six cases.
    pixel = np.array([10, 20, 30], np.uint8).reshape(1, 1, 1, 3)
    shown = [reorder_colours(pixel, np.array([order])).ravel().tolist() for order in range(6)]
    assert len(set(map(tuple, shown))) == 6
    assert all(sorted(colours) == [10, 20, 30] for colours in shown)


def orientations():
    """The eight ways to lay a square, by plain coordinates."""
    square = np.arange(4).reshape(2, 2)
    return {np.rot90(side, k).tobytes(): (k, flip) for flip, side in enumerate((square, square.T)) for k in range(4)}


def test_all_eight_orientations_of_etc_are_equally_likely():
    image = np.zeros((2 * 90, 2 * 100), np.uint8) + np.tile(np.arange(4).reshape(2, 2), (90, 100)).astype(np.uint8)
    hidden = np.asarray(scheme("etc", key=KEY, block=2).protect(image))
    blocks = to_blocks(np.minimum(hidden, 255 - hidden)[None, ..., None], 2)[0, ..., 0].astype(np.int64)
    counts = dict.fromkeys(orientations(), 0)
    for block in blocks:
        counts[block.tobytes()] += 1
    assert len(counts) == 8
    assert stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_etc_negates_whole_blocks_half_of_them():
    image = np.zeros((120, 160, 3), np.uint8)
    for parameters in ({}, {"exactly_half": True}):
        hidden = np.asarray(scheme("etc", key=KEY, **parameters).protect(image))
        blocks = to_blocks(hidden[None], 4)[0].reshape(1200, 48)
        assert (blocks == blocks[:, :1]).all()
        negated = int((blocks[:, 0] == 255).sum())
        assert negated == 600 if parameters else stats.binomtest(negated, 1200).pvalue > 1e-4


def block_multiset(image, block):
    """Blocks up to order, orientation, sign and colours: what EtC keeps."""
    found = []
    for one in to_blocks(image[None], block)[0]:
        looks = []
        for flip in (one, one[:, ::-1]):
            for k in range(4):
                for sign in (0, 255):
                    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
                        looks.append((np.rot90(flip, k)[..., order] ^ sign).tobytes())
        found.append(min(looks))
    return sorted(found)


def test_etc_keeps_blocks_up_to_their_symmetries():
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    hidden = np.asarray(scheme("etc", key=KEY).protect(image))
    assert block_multiset(hidden, 4) == block_multiset(image, 4)
    assert (hidden != image).mean() > 0.9


def test_sit_keeps_each_blocks_folded_values_and_negates_single_values():
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    hidden = np.asarray(scheme("sit", key=KEY).protect(image))
    kept = [
        sorted(np.sort(np.minimum(one, 255 - one), axis=None).tobytes() for one in to_blocks(v[None], 4)[0])
        for v in (image, hidden)
    ]
    assert kept[0] == kept[1]
    zeros = np.asarray(scheme("sit", key=KEY).protect(np.zeros((120, 160, 3), np.uint8)))
    assert stats.binomtest(int((zeros > 0).sum()), zeros.size).pvalue > 1e-4


@given(
    st.sampled_from(["etc", "sit"]),
    st.integers(1, 5),
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3, 4])),
    st.sampled_from([8, 12, 16]),
)
@settings(deadline=None, max_examples=40)
def test_every_size_block_and_depth_comes_back(name, block, shape, bits):
    image = np.random.default_rng(0).integers(0, 2**bits, shape).astype(np.uint8 if bits == 8 else np.uint16)
    s = scheme(name, key=KEY, block=block, bits=bits)
    np.testing.assert_array_equal(s.reveal(s.protect(image)), image)


@pytest.mark.parametrize("name", ["etc", "sit"])
def test_the_table_is_one_flat_gather_with_signs_for_any_image(name):
    # A protected zero image shows the signs, two protected ramps the source: they must explain any third image.
    s = scheme(name, key=KEY, bits=12)
    size = 8 * 12 * 3
    signs = np.asarray(s.protect(np.zeros((8, 12, 3), np.uint16))).ravel()
    ramp = np.arange(size, dtype=np.uint16).reshape(8, 12, 3)
    source = np.asarray(s.protect(ramp)).ravel() ^ signs
    assert sorted(source.tolist()) == list(range(size))
    image = np.random.default_rng(1).integers(0, 4096, (8, 12, 3)).astype(np.uint16)
    np.testing.assert_array_equal(np.asarray(s.protect(image)).ravel(), image.ravel()[source] ^ signs)

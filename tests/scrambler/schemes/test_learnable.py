"""LE and ELE: docs, methods, section 8."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import Key, scheme
from scrambler.schemes.blocks import block_members, to_blocks
from scrambler.schemes.draws import Draws
from scrambler.schemes.learnable import HalfShuffle

KEY = Key.from_bytes(bytes(range(32)))


def naive_block(codes, order, reverse, half):
    """One block in the four published steps: halves, flip, order, flip; merge."""
    top = 2**half - 1
    halves = [code & top for code in codes] + [code >> half for code in codes]
    halves = [top - v if r else v for v, r in zip(halves, reverse, strict=True)]
    halves = [halves[k] for k in order]
    halves = [top - v if r else v for v, r in zip(halves, reverse, strict=True)]
    return [(high << half) + low for low, high in zip(halves[: len(codes)], halves[len(codes) :], strict=True)]


def test_a_block_of_two_by_hand():
    assert naive_block([0x12, 0x34], [2, 0, 3, 1], [0, 0, 1, 0], 4) == [0xCE, 0x42]
    one = np.array([0])
    secrets = HalfShuffle(order=np.array([[2, 0, 3, 1]]), reverse=np.array([[0, 0, 1, 0]]), source=one, keys=one)
    hidden = secrets.apply(np.array([[0x12, 0x34]], np.uint8), np.array([[0, 1]]))
    assert hidden.tolist() == [[0xCE, 0x42]]
    assert secrets.undo(hidden, np.array([[0, 1]])).tolist() == [[0x12, 0x34]]


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_the_kernel_is_the_published_steps_in_every_block(side, blocks, count, wide, seed):
    rng = np.random.default_rng(seed)
    d, half = side * side, 8 if wide else 4
    order = np.array([rng.permutation(2 * d) for _ in range(blocks)])
    reverse, source = rng.integers(0, 2, (blocks, 2 * d)), rng.permutation(blocks)
    images = rng.integers(0, 4**half, (count, blocks * d)).astype(np.uint16 if wide else np.uint8)
    members = rng.permutation(blocks * d).reshape(blocks, d)
    secrets = HalfShuffle(order=order, reverse=reverse, source=source, keys=np.arange(blocks))
    hidden = secrets.apply(images, members)
    for b in range(count):
        for i, s in enumerate(source):
            expected = naive_block(images[b, members[s]].tolist(), order[s], reverse[s], half)
            assert hidden[b, members[i]].tolist() == expected
    np.testing.assert_array_equal(secrets.undo(hidden, members), images)
    assert "array" not in repr(secrets)


def test_le_has_one_key_for_all_blocks_and_ele_one_for_each():
    image = np.tile(np.random.default_rng(0).integers(0, 256, (4, 4, 3)), (3, 5, 1)).astype(np.uint8)
    same, other = (
        {block.tobytes() for block in to_blocks(np.asarray(scheme(name, key=KEY).protect(image))[None], 4)[0]}
        for name in ("le", "ele")
    )
    assert (len(same), len(other)) == (1, 15)


def test_ele_moves_blocks_after_encrypting_them_in_place():
    s = scheme("ele", key=KEY)
    members = block_members((8, 12, 3), 4)
    base, touched = np.zeros((2, 8, 12, 3), np.uint8)
    rows = []
    for i in range(6):
        touched = base.copy()
        touched.ravel()[members[i]] = 255
        changed = np.asarray(s.protect(touched)).ravel() != np.asarray(s.protect(base)).ravel()
        rows.append({j for j in range(6) if changed[members[j]].any()})
    assert all(len(row) == 1 for row in rows)
    assert sorted(row.pop() for row in rows) == list(range(6))


def test_the_released_reversal_hits_47_of_96_halves():
    order, reverse = scheme("le", reversal="code")._keys(Draws(bytes(32)), 1, 48)
    assert reverse.sum() == 47
    np.testing.assert_array_equal(reverse, order > 48)
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    s = scheme("le", key=KEY, reversal="code")
    np.testing.assert_array_equal(s.reveal(s.protect(image)), image)

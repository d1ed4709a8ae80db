"""Flips, shifts, crops and borders of shuffled frames equal the library's on natural ones, bit for bit."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws

from operators import (
    IndexMap,
    KeyedIndexMap,
    OperatorError,
    crop_map,
    flip_map,
    keyed_index_map,
    pad_map,
    shift_map,
    shuffle_pixels,
    stack_slots,
)


def test_a_flip_of_three_pixels():
    assert flip_map((2, 3), horizontal=True).natural.tolist() == [2, 1, 0, 5, 4, 3]
    assert flip_map((2, 3), vertical=True).natural.tolist() == [3, 4, 5, 0, 1, 2]


def test_a_shift_leaves_a_gap_or_turns_round():
    assert shift_map((1, 3), 0, 1).natural.tolist() == [-1, 0, 1]
    assert shift_map((1, 3), 0, 1, circular=True).natural.tolist() == [2, 0, 1]


def test_a_border_of_a_value_and_a_crop():
    assert pad_map((1, 2), (1, 0, 0, 1)).natural.tolist() == [-1, 0, 1, -1, -1, -1]
    assert crop_map((2, 4), slice(1, None), slice(None, None, 2)).natural.tolist() == [4, 6]


sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))


@st.composite
def maps(draw):
    """A map and the same thing done by slicing, rolling and padding natural frames."""
    H, W = size = draw(sizes)
    kind = draw(st.sampled_from(["flip", "roll", "shift", "crop", "pad", "reflect", "replicate", "circular"]))
    if kind == "flip":
        dims = draw(st.lists(st.sampled_from([2, 3]), unique=True))
        return flip_map(size, vertical=2 in dims, horizontal=3 in dims), lambda x: torch.flip(x, dims)
    down, right = draw(st.integers(-7, 7)), draw(st.integers(-7, 7))
    if kind == "roll":
        return shift_map(size, down, right, circular=True), lambda x: torch.roll(x, (down, right), (2, 3))
    if kind == "shift":
        rows, columns = slice(7 - down, 7 - down + H), slice(7 - right, 7 - right + W)
        return shift_map(size, down, right), lambda x: F.pad(x, (7, 7, 7, 7), value=7.0)[:, :, rows, columns]
    if kind == "crop":
        y, x0 = draw(st.integers(0, H - 1)), draw(st.integers(0, W - 1))
        rows, columns = slice(y, None, draw(st.integers(1, 3))), slice(x0, W, draw(st.integers(1, 3)))
        return crop_map(size, rows, columns), lambda x: x[:, :, rows, columns]
    if kind == "pad":
        wide = [draw(st.integers(-((n - 1) // 2), 3)) for n in (W, W, H, H)]
        return pad_map(size, wide), lambda x: F.pad(x, wide, value=7.0)
    most = {"reflect": -1, "circular": 0, "replicate": 4}[kind]
    wide = [draw(st.integers(0, n + most)) for n in (W, W, H, H)]
    return pad_map(size, wide, kind), lambda x: F.pad(x, wide, mode=kind)


@given(draws, maps(), st.integers(0, 3), st.booleans(), st.booleans())
@drawn(150)
def test_shuffled_in_and_out_equals_the_library(draw, pair, batch, own_keys, channels_last):
    index_map, library = pair
    x = draw.frames(batch, 2, *index_map.input_size)
    shuffled, keys = draw.keyed_batch(x, own_keys=own_keys)
    if channels_last:
        shuffled = shuffled.contiguous(memory_format=torch.channels_last)
    out = draw.order(index_map.output_size)
    got = keyed_index_map(shuffled, index_map, permutation_out=out, value=7.0, **keys)
    torch.testing.assert_close(got, shuffle_pixels(library(x), out), rtol=0, atol=0)
    if "permutation_in" in keys:
        layer = KeyedIndexMap(index_map, keys["permutation_in"], out, 7.0)
        torch.testing.assert_close(layer(shuffled), got, rtol=0, atol=0)
        slots = stack_slots([keys["permutation_in"]] * max(batch, 1))[:batch]
        torch.testing.assert_close(layer(shuffled, slots), got, rtol=0, atol=0)


@pytest.mark.parametrize("index_map", [flip_map((2, 3), vertical=True), pad_map((2, 3), (1, 2, -1, 1)),
                                       crop_map((2, 3), slice(None), slice(1, 3))])  # fmt: skip
def test_gradients_are_right(draw, index_map):
    order, out = draw.order((2, 3)), draw.order(index_map.output_size)
    x = draw.frames(2, 2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: keyed_index_map(x, index_map, permutation_in=order, permutation_out=out), (x,)
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bfloat16, torch.float32])
def test_any_type_passes(draw, dtype):
    x = draw.frames(1, 3, 4, 5).abs().to(dtype)
    torch.testing.assert_close(keyed_index_map(x, flip_map((4, 5), horizontal=True)), x.flip(3), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pad_map((2, 3), (0, 0, 2, 0), "reflect"), "at most 1"),
        (lambda: pad_map((2, 3), (4, 0), "circular"), "at most 3"),
        (lambda: pad_map((2, 3), (1, 1), "mirror"), "known mode"),
        (lambda: pad_map((2, 3), (-2, -1)), "leaves nothing"),
        (lambda: crop_map((2, 3), slice(2, None), slice(None)), "rows"),
        (lambda: IndexMap.of_axes((2, 3), [0], [3]), "columns"),
        (lambda: keyed_index_map(torch.zeros(1, 1, 3, 2), flip_map((2, 3))), r"\(B, C, 2, 3\)"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(OperatorError, match=message):
        make()


def test_a_map_shows_sizes_only():
    assert repr(pad_map((2, 3), (1, 1))) == "IndexMap(2x3 -> 2x5)"
    assert np.array_equal(np.sort(flip_map((3, 4)).natural), np.arange(12))

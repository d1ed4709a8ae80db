import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import GatherTable, OperatorError, Window, deform_conv2d, deformable_offsets, gather_index, stack_slots
from scrambler import Permutation, ShuffleCamError

SIGMA = Permutation([4, 0, 8, 2, 6, 1, 3, 5, 7])
TAU = Permutation([8, 7, 6, 5, 4, 3, 2, 1, 0])
LEGACY_4X4 = Permutation([14, 9, 13, 15, 11, 4, 6, 12, 5, 0, 2, 10, 3, 8, 1, 7])


def test_gather_rows_of_the_published_example():
    index = gather_index(3, 3, padding=1, permutation_in=SIGMA, permutation_out=TAU)
    assert index.dtype == torch.int32
    assert index[0].tolist() == [0, 7, -1, 8, 2, -1, -1, -1, -1]
    assert index[4].tolist() == [1, 5, 3, 6, 0, 7, 4, 8, 2]


def test_pooling_rows_of_the_published_example():
    index = gather_index(4, 2, 2, permutation_in=LEGACY_4X4, permutation_out=Permutation([2, 0, 3, 1]))
    assert index.tolist() == [[13, 1, 7, 2], [9, 14, 5, 8], [11, 4, 0, 3], [10, 12, 6, 15]]


def test_offsets_of_the_published_example():
    table = GatherTable.keyed(Window.of(3, 3, padding=1), SIGMA, TAU)
    offsets = deformable_offsets(table)
    first = [(1, 1), (3, 1), (0, -2), (2, 3), (0, 2), (-1, -2), (-2, 0), (-2, -1), (-2, -2)]
    middle = [(0, 1), (1, 1), (1, -2), (1, 0), (-1, -1), (1, -1), (-1, 1), (0, 1), (-2, 0)]
    assert [tuple(pair) for pair in offsets[:, 0, 0].reshape(9, 2).tolist()] == first
    assert [tuple(pair) for pair in offsets[:, 1, 1].reshape(9, 2).tolist()] == middle


def test_deformable_convolution_follows_the_published_offsets():
    shuffled = torch.tensor([[[[5.0, 1, 9], [3, 7, 2], [4, 6, 8]]]])
    kernel = torch.tensor([[[[1.0, 0, 0], [0, 0, 0], [0, 0, 2]]]])
    table = GatherTable.keyed(Window.of(3, 3, padding=1), SIGMA, TAU)
    keyed = deform_conv2d(shuffled, deformable_offsets(table)[None], kernel, padding=1)
    assert keyed.tolist() == [[[[5, 4, 0], [2, 19, 16], [0, 12, 10]]]]


def test_natural_order_has_no_offsets_inside_the_frame():
    offsets = deformable_offsets(GatherTable.keyed(Window.of((4, 5), (3, 2), stride=(1, 2), dilation=(1, 3))))
    assert offsets.shape == (12, 2, 1)
    assert not offsets.any()


def test_same_padding_of_an_even_kernel_grows_at_the_bottom_and_right():
    assert gather_index((1, 3), (1, 2), padding="same").tolist() == [[0, 1], [1, 2], [2, -1]]


@pytest.mark.parametrize(
    ("mode", "row"), [("reflect", [1, 0, 1]), ("replicate", [0, 0, 1]), ("circular", [2, 0, 1]), ("zeros", [-1, 0, 1])]
)
def test_borders_by_hand(mode, row):
    assert gather_index((1, 3), (1, 3), padding=(0, 1), padding_mode=mode)[0].tolist() == row


def test_ceil_mode_drops_a_window_that_would_start_in_the_border():
    # Positions -1, 1, 3: the third would start at 3, in the right border of 3 pixels.
    assert Window.of((1, 3), (1, 2), (1, 2), (0, 1), ceil_mode=True).output_size == (1, 2)
    assert Window.of((1, 4), (1, 3), (1, 2), ceil_mode=True).output_size == (1, 2)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0))
def test_every_tap_finds_the_slot_of_its_natural_pixel(height, width, kernel, stride, padding, seed):
    if kernel > min(height, width) + 2 * padding:
        return
    rng = np.random.default_rng(seed)
    sigma = Permutation(rng.permutation(height * width))
    plain = rng.permutation(height * width) + 1
    shuffled = sigma.shuffle(plain)
    bordered = np.pad(plain.reshape(height, width), padding)
    table = GatherTable.keyed(Window.of((height, width), kernel, stride, padding))
    tau = Permutation(rng.permutation(table.output_size[0] * table.output_size[1]))
    index = GatherTable.keyed(table.window, sigma, tau).index.numpy()
    for i, taps in enumerate(index):
        y, x = divmod(int(tau.source[i]), table.output_size[1])
        window = bordered[y * stride : y * stride + kernel, x * stride : x * stride + kernel]
        assert [0 if tap < 0 else shuffled[tap] for tap in taps] == window.ravel().tolist()


def test_a_table_shows_sizes_only_and_is_never_pickled():
    table = GatherTable.keyed(Window.of(3, 3, padding=1), SIGMA, TAU)
    assert repr(table) == "GatherTable(3x3 -> 3x3, 9 taps)"
    assert copy.deepcopy(table) is table
    with pytest.raises(ShuffleCamError, match="never pickled"):
        pickle.dumps(table)


def test_the_cached_natural_table_cannot_be_changed_through_a_result():
    first = gather_index((3, 4), 2)
    first.zero_()
    assert gather_index((3, 4), 2)[0].tolist() == [0, 1, 4, 5]


def test_slots_of_a_batch_stack_in_order():
    assert stack_slots([SIGMA, TAU])[0].tolist() == [1, 5, 3, 6, 0, 7, 4, 8, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 0}, "kernel_size"),
        ({"kernel_size": 3, "stride": (1, 0)}, "stride"),
        ({"kernel_size": 3, "padding": "full"}, "padding must be"),
        ({"kernel_size": 3, "padding": "same", "stride": 2}, "stride 1"),
        ({"kernel_size": 3, "padding": 5, "padding_mode": "reflect"}, "too wide"),
        ({"kernel_size": 3, "padding_mode": "mirror"}, "padding_mode must be one of"),
        ({"kernel_size": 6}, "does not fit"),
        ({"kernel_size": 3, "permutation_in": SIGMA}, "arranges 9 pixels where the operator has 25"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(OperatorError, match=message):
        gather_index(5, **arguments)


def test_an_empty_batch_of_permutations_is_refused():
    with pytest.raises(OperatorError, match="one permutation per frame"):
        stack_slots([])

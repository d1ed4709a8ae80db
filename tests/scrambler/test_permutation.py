import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scrambler import FrameError, Permutation, PermutationError, SecretPickleError
from scrambler import kernels as all_kernels
from scrambler.routed import Routed
from scrambler.uniform import UniformDraw, uniform_permutation

SHAPES = st.tuples(st.integers(1, 7), st.integers(1, 9))


def drawn(seed, shape):
    count = shape[0] * shape[1]
    return Permutation(np.random.default_rng(seed).permutation(count), shape)


def naive_shuffle(frame, source):
    """One photosite at a time, (H, W, C)."""
    height, width = frame.shape[:2]
    out = np.empty_like(frame)
    for j in range(height * width):
        out[j // width, j % width] = frame[source[j] // width, source[j] % width]
    return out


def test_gather_form_by_hand_with_a_permutation_that_is_not_its_own_inverse():
    p = Permutation([2, 0, 3, 1])
    x = np.array([10, 20, 30, 40])
    assert p.shuffle(x).tolist() == [30, 10, 40, 20]
    assert p.unshuffle(x).tolist() == [20, 40, 10, 30]
    assert p.slot.tolist() == [1, 3, 0, 2]
    assert p.inverse().source.tolist() == [1, 3, 0, 2]


def test_the_three_by_three_oracle_of_the_published_operators():
    p = Permutation([4, 0, 8, 2, 6, 1, 3, 5, 7], (3, 3))
    assert p.shuffle(np.arange(1, 10).reshape(3, 3)).tolist() == [[5, 1, 9], [3, 7, 2], [4, 6, 8]]
    assert p.slot.tolist() == [1, 5, 3, 6, 0, 7, 4, 8, 2]


DTYPES = [
    np.bool_,
    np.uint8,
    np.int16,
    np.uint16,
    np.float16,
    np.float32,
    np.int64,
    np.float64,
    np.complex128,
    object,
    "M8[s]",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_type_is_moved_bit_for_bit(dtype):
    p = drawn(1, (3, 5))
    frame = np.arange(15).astype(np.int64).reshape(3, 5).astype(dtype)
    shuffled = p.shuffle(frame)
    assert shuffled.dtype == frame.dtype
    np.testing.assert_array_equal(shuffled, naive_shuffle(frame, p.source))
    np.testing.assert_array_equal(p.unshuffle(shuffled), frame)


def test_bits_of_nan_survive():
    nans = np.array([0x7FC00001, 0xFF800001, 0x7F800002], np.uint32).view(np.float32)
    np.testing.assert_array_equal(
        Permutation([1, 2, 0]).shuffle(nans).view(np.uint32), [0xFF800001, 0x7F800002, 0x7FC00001]
    )


@given(SHAPES, st.integers(0, 3), st.sampled_from([1, 2, 3, 4]), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_batches_channels_and_layouts_match_the_naive_loop(shape, batch, channels, seed):
    p = drawn(seed, shape)
    frames = np.random.default_rng(seed).integers(0, 255, (batch, *shape, channels)).astype(np.uint8)
    expected = np.array([naive_shuffle(frame, p.source) for frame in frames]).reshape(frames.shape).astype(np.uint8)
    np.testing.assert_array_equal(p.shuffle(frames, channels_last=True), expected)
    np.testing.assert_array_equal(p.unshuffle(expected, channels_last=True), frames)
    planes = np.moveaxis(frames, -1, 1)  # strided, not contiguous
    np.testing.assert_array_equal(p.shuffle(planes), np.moveaxis(expected, -1, 1))
    np.testing.assert_array_equal(p.unshuffle(np.asfortranarray(p.shuffle(planes))), planes)
    rows = frames.reshape(batch, p.size, channels)
    np.testing.assert_array_equal(p.with_shape(None).shuffle(rows, channels_last=True), expected.reshape(rows.shape))


@given(SHAPES, st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_composition_inverse_and_identity_are_a_group(shape, seed):
    p, q = drawn(seed, shape), drawn(seed // 2 + 1, shape)
    x = np.arange(shape[0] * shape[1]).reshape(shape)
    np.testing.assert_array_equal(q.compose(p).shuffle(x), q.shuffle(p.shuffle(x)))
    assert p.compose(p.inverse()) == Permutation.identity(shape)
    assert p.inverse().inverse() == p
    np.testing.assert_array_equal(Permutation.identity(shape).shuffle(x), x)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(600, 701), (3, 301, 401), (40, 80, 91), (2, 400, 301, 3), (30, 60, 61, 4)])
def test_large_frames_and_batches_take_the_parallel_kernels_and_match_indexing(dtype, shape):
    rng = np.random.default_rng(5)
    frames = rng.integers(0, 255, shape).astype(dtype)
    channels_last = len(shape) == 4
    size = shape[-3:-1] if channels_last else shape[-2:]
    p = Permutation(rng.permutation(size[0] * size[1]), size)
    expected = frames.reshape(-1, size[0] * size[1], shape[-1] if channels_last else 1)[:, p.source].reshape(shape)
    np.testing.assert_array_equal(p.shuffle(frames, channels_last=channels_last), expected)
    np.testing.assert_array_equal(p.unshuffle(expected, channels_last=channels_last), frames)
    gathered = Permutation.of_valid(p.source, shape=size)
    np.testing.assert_array_equal(gathered.unshuffle(expected, channels_last=channels_last), frames)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_route_and_its_table_move_everything_alike(dtype, channels):
    shape = (514, 511)
    count = shape[0] * shape[1]
    routed = Permutation.of_mover(Routed(UniformDraw(bytes(32), count)), shape)
    table = Permutation(uniform_permutation(bytes(32), count), shape)
    frames = np.random.default_rng(2).integers(0, 255, (2, *shape, channels)).astype(dtype)
    shuffled = routed.shuffle(frames, channels_last=True)
    np.testing.assert_array_equal(shuffled, table.shuffle(frames, channels_last=True))
    np.testing.assert_array_equal(routed.unshuffle(shuffled, channels_last=True), frames)
    np.testing.assert_array_equal(routed.slot, table.slot)
    assert routed == table
    assert routed.with_shape(None).source is routed.source


@pytest.mark.parametrize("name", ["gather", "scatter"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_kernels_equal_their_own_python(name, channels):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 99, (3, 10, channels)).astype(np.uint16)
    source = rng.permutation(10).astype(np.uint32)
    slow, fast = np.empty_like(rows), np.empty_like(rows)
    for row, out in zip(rows, slow, strict=True):
        getattr(all_kernels, f"_{name}_piece").py_func(row, source, out)
    for kernel in (f"_{name}_serial", f"_{name}_parallel"):
        fast[...] = 0
        getattr(all_kernels, kernel)(rows, source, fast, *([4] if kernel.endswith("parallel") else []))
        np.testing.assert_array_equal(fast, slow)


def test_out_is_written_and_returned_and_checked():
    p = drawn(3, (4, 3))
    frame = np.arange(12, dtype=np.uint16).reshape(4, 3)
    out = np.zeros_like(frame)
    assert p.shuffle(frame, out=out) is out
    np.testing.assert_array_equal(out, naive_shuffle(frame, p.source))
    for bad in (frame, out.T, out.astype(np.uint8), np.zeros((4, 6), np.uint16)[:, ::2]):
        with pytest.raises(FrameError, match="out must be"):
            p.shuffle(frame, out=bad)


def test_inputs_are_left_alone_and_nothing_is_empty_handed():
    p = drawn(3, (4, 3))
    frame = np.arange(12).reshape(4, 3)
    p.shuffle(frame)
    np.testing.assert_array_equal(frame, np.arange(12).reshape(4, 3))
    assert p.shuffle(np.zeros((0, 4, 3))).shape == (0, 4, 3)
    assert Permutation([], (0, 5)).shuffle(np.zeros((2, 0, 5))).shape == (2, 0, 5)


@pytest.mark.parametrize("shape", [(3, 4), (12,), (4, 3, 2), ()])
def test_frames_that_do_not_fit_are_refused(shape):
    with pytest.raises(FrameError, match="needs the axes"):
        drawn(3, (4, 3)).shuffle(np.zeros(shape))


def test_tensors_keep_type_and_gradient_and_match_arrays():
    p = drawn(9, (3, 4))
    array = np.arange(48, dtype=np.float32).reshape(2, 2, 3, 4)
    tensor = torch.tensor(array, requires_grad=True)
    shuffled = p.shuffle(tensor)
    np.testing.assert_array_equal(shuffled.detach().numpy(), p.shuffle(array))
    (shuffled * torch.arange(12.0).reshape(3, 4)).sum().backward()
    assert tensor.grad is not None
    np.testing.assert_array_equal(tensor.grad[0, 0].numpy(), p.unshuffle(np.arange(12.0).reshape(3, 4)))
    half = torch.arange(12, dtype=torch.int16).reshape(3, 4, 1)
    assert p.unshuffle(half, channels_last=True).dtype == torch.int16
    np.testing.assert_array_equal(p.unshuffle(p.shuffle(half, channels_last=True), channels_last=True), half)
    with pytest.raises(FrameError, match="out is for arrays"):
        p.shuffle(tensor, out=array)


@pytest.mark.parametrize("source", [[0, 0], [1, 2], [-1, 0], [[0, 1]], [0.0, 1.0], ["a"], [True], [0, 2**40]])
def test_what_is_no_permutation_is_refused(source):
    with pytest.raises(PermutationError, match="source must"):
        Permutation(source)


@pytest.mark.parametrize("shape", [(2, 3), 4, (4,), (-2, -2), (2.0, 2.0), "ab", (2, 2, 1)])
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(PermutationError):
        Permutation([0, 2, 1, 3], shape)


def test_permutations_of_different_sizes_do_not_compose():
    with pytest.raises(PermutationError, match="compose"):
        drawn(1, (2, 3)).compose(drawn(1, (3, 2)))


def test_a_permutation_never_changes_and_stays_secret():
    given_source = np.array([2, 0, 1, 3], np.uint32)
    p = Permutation(given_source, (2, 2))
    given_source[0] = 3
    assert p.source.tolist() == [2, 0, 1, 3]
    for table in (p.source, p.slot):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 1
    with pytest.raises(AttributeError, match="never changes"):
        p.shape = None
    with pytest.raises(AttributeError, match="never changes"):
        del p.shape
    assert repr(p) == "Permutation(shape=(2, 2))"
    assert repr(p.with_shape(None)) == "Permutation(size=4)"
    assert copy.deepcopy(p) is copy.copy(p) is p
    with pytest.raises(SecretPickleError, match="not pickled"):
        pickle.dumps(p)
    with pytest.raises(TypeError, match="unhashable"):
        hash(p)

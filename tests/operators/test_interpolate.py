"""Resizing of shuffled maps: hand examples, the law, loops and the library, gradients, bad input."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn, draws
from naive_maps import resize
from torch import nn

from operators import KeyedInterpolate, OperatorError, Resize, keyed_interpolate, shuffle_pixels, stack_slots


def test_nearest_repeats_and_bilinear_mixes():
    x, slot = torch.tensor([[[[8.0, 0.0]]]]), torch.tensor([1, 0])
    assert keyed_interpolate(x, scale_factor=(1, 2), slot=slot).tolist() == [[[[0.0, 0.0, 8.0, 8.0]]]]
    assert keyed_interpolate(x, scale_factor=(1, 2), mode="bilinear", slot=slot).tolist() == [[[[0.0, 2.0, 6.0, 8.0]]]]


modes = st.sampled_from(
    [("nearest", None), ("nearest-exact", None), ("bilinear", False), ("bilinear", True), ("bicubic", False),
     ("bicubic", True)]
)  # fmt: skip
lengths = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(draws, lengths, st.tuples(st.integers(1, 9), st.integers(1, 9)), modes, st.integers(0, 3), st.booleans())
@drawn(80)
def test_any_size_equals_the_loops_and_the_library(draw, size, target, mode, batch, own_keys):
    x = draw.frames(batch, 2, *size)
    shuffled, keys = draw.keyed_batch(x, own_keys=own_keys)
    out = draw.order(target)
    name, align = mode
    got = keyed_interpolate(shuffled, target, mode=name, align_corners=align, permutation_out=out, **keys)
    if not name.startswith("nearest"):  # which pixel is nearest hangs on the rounding of sizes that do not divide
        loops = torch.from_numpy(resize(x.numpy(), target, name, bool(align)))
        torch.testing.assert_close(got, shuffle_pixels(loops, out), rtol=1e-12, atol=1e-12)
    library = F.interpolate(x, target, mode=name, align_corners=align) if batch else x.new_zeros(0, 2, *target)
    torch.testing.assert_close(got, shuffle_pixels(library, out), rtol=1e-12, atol=1e-12)


@given(draws, lengths, st.sampled_from(["nearest", "nearest-exact", "bilinear"]), st.booleans())
@drawn(40)
def test_doubling_equals_the_loops_bit_for_bit(draw, size, mode, own_keys):
    x = draw.frames(2, 3, *size)
    shuffled, keys = draw.keyed_batch(x, own_keys=own_keys)
    target = (2 * size[0], 2 * size[1])
    got = keyed_interpolate(shuffled, scale_factor=2, mode=mode, **keys)
    torch.testing.assert_close(got, torch.from_numpy(resize(x.numpy(), target, mode)), rtol=0, atol=0)


@given(draws, lengths, modes, st.floats(0.4, 3.7), st.floats(0.4, 3.7), st.booleans())
@drawn(50)
def test_scale_factors_mean_what_they_mean_in_the_library(draw, size, mode, down, right, again):
    if int(size[0] * down) < 1 or int(size[1] * right) < 1:
        down, right = 1.7, 2.3
    x = draw.frames(1, 2, *size)
    name, align = mode
    options = {"scale_factor": (down, right), "mode": name, "align_corners": align, "recompute_scale_factor": again}
    shuffled, keys = draw.keyed_batch(x, own_keys=False)
    expected = F.interpolate(x, **options)
    torch.testing.assert_close(keyed_interpolate(shuffled, **options, **keys), expected, rtol=1e-12, atol=1e-12)


def test_no_bit_depends_on_the_key(draw):
    x = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    order, out = draw.order((5, 7)), draw.order((9, 4))
    plain = keyed_interpolate(x, (9, 4), mode="bicubic")
    keyed = keyed_interpolate(
        shuffle_pixels(x, order), (9, 4), mode="bicubic", permutation_in=order, permutation_out=out
    )
    torch.testing.assert_close(keyed, shuffle_pixels(plain, out), rtol=0, atol=0)
    torch.testing.assert_close(plain, F.interpolate(x, (9, 4), mode="bicubic"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_module_stands_in_for_upsample(draw, dtype):
    plain = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    order, out = draw.order((3, 4)), draw.order((6, 8))
    layer = KeyedInterpolate.of_upsample(plain, (3, 4), order, out).to(dtype)
    x = draw.frames(2, 2, 3, 4, dtype=dtype)
    expected = shuffle_pixels(plain(x), out)
    torch.testing.assert_close(layer(shuffle_pixels(x, order)), expected, rtol=0, atol=0)
    slots = stack_slots([order, order])
    torch.testing.assert_close(layer(shuffle_pixels(x, order), slots), expected, rtol=0, atol=0)
    assert not layer.state_dict()
    assert "tensor" not in repr(layer)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic", "area"])
def test_gradients_are_right(draw, mode):
    order, out = draw.order((2, 3)), draw.order((3, 5))
    x = draw.frames(2, 2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: keyed_interpolate(x, (3, 5), mode=mode, permutation_in=order, permutation_out=out), (x,)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 4, "mode": "lanczos"}, "mode must be one of"),
        ({"size": 4, "mode": "nearest", "align_corners": True}, "align_corners"),
        ({}, "either size or scale_factor"),
        ({"size": 4, "scale_factor": 2.0}, "either size or scale_factor"),
        ({"scale_factor": 0.1}, "leaves nothing"),
        ({"size": 0}, "size must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(OperatorError, match=message):
        keyed_interpolate(torch.zeros(1, 1, 2, 3), **arguments)


def test_a_module_refuses_maps_of_another_size():
    with pytest.raises(OperatorError, match="2, 3"):
        KeyedInterpolate(Resize.of((2, 3), 4))(torch.zeros(1, 1, 3, 3))

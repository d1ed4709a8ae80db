"""Reshaping and slicing of dimensions that hold pixels, by hand and against what an index says."""

from math import prod

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.layout import Layout, Order, Pixels, groups_of, map_layout
from networks.reshaping import InexactError, reshaped, sliced_tokens

ORDER = Order((4, 6), "layer")
Y, X, YX = Pixels(ORDER, "y"), Pixels(ORDER, "x"), Pixels(ORDER, "yx")
MAP = map_layout(ORDER)


@pytest.mark.parametrize(
    ("shape", "layout", "target", "expected"),
    [
        ((2, 8, 4, 6), MAP, (2, 8, 24), (None, None, YX)),
        ((2, 24, 8), (None, YX, None), (2, 4, 6, 8), (None, Y, X, None)),
        ((2, 8, 4, 6), MAP, (2, 2, 4, 4, 6), (None, None, None, Y, X)),
        ((2, 2, 4, 4, 6), (None, None, None, Y, X), (16, 4, 6), (None, Y, X)),
        ((2, 8, 4, 6), MAP, (2, 1, 8, 4, 6), (None, None, None, Y, X)),
        ((2, 24, 24), (None, YX, None), (2, 24, 3, 2, 4), (None, YX, None, None, None)),
        ((2, 8, 4, 6), MAP, (2, 192), None),
        ((2, 4, 6, 8), (None, Y, X, None), (2, 192), None),
    ],
)
def test_a_reshape_that_keeps_pixels_apart(
    shape: tuple[int, ...], layout: Layout, target: tuple[int, ...], expected: Layout | None
) -> None:
    assert reshaped(shape, layout, target) == expected


@pytest.mark.parametrize(
    ("shape", "layout", "target"),
    [
        ((2, 8, 4, 6), MAP, (2, 8, 2, 2, 6)),
        ((2, 8, 4, 6), MAP, (2, 8, 6, 4)),
        ((2, 8, 4, 6), MAP, (2, 32, 6)),
        ((2, 25, 8), (None, Pixels(ORDER, "yx", 1), None), (2, 200)),
        ((2, 24, 8), (None, YX, None), (2, 6, 4, 8)),
        ((2, 24, 24), (None, YX, YX), (2, 576)),
    ],
)
def test_a_reshape_that_cuts_the_map_is_refused(
    shape: tuple[int, ...], layout: Layout, target: tuple[int, ...]
) -> None:
    with pytest.raises(InexactError):
        reshaped(shape, layout, target)


@given(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=4), st.data())
@settings(deadline=None, max_examples=80)
def test_what_is_called_pixels_after_a_reshape_holds_the_pixels(sizes: list[int], data: st.DataObject) -> None:
    order = Order((3, 2), "layer")
    at = data.draw(st.integers(0, len(sizes)))
    shape = (*sizes[:at], 3, 2, *sizes[at:])
    layout: Layout = (
        *(None,) * at, Pixels(order, "y"), Pixels(order, "x"), *(None,) * (len(sizes) - at)
    )  # fmt: skip
    pixel = torch.arange(6).reshape(3, 2).reshape(*(1,) * at, 3, 2, *(1,) * (len(sizes) - at)).expand(shape)
    cut = data.draw(st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 12]), max_size=4))
    if prod(shape) % prod(cut):
        return
    target = (*cut, prod(shape) // prod(cut))
    try:
        after = reshaped(shape, layout, target)
    except InexactError:
        return
    if after is None:
        return
    (group,) = groups_of(after)
    assert group.is_whole
    moved = pixel.reshape(target).movedim(group.dims, tuple(range(-len(group.dims), 0))).flatten(-len(group.dims))
    assert (moved == torch.arange(6)).all()


def test_class_tokens_are_cut_off_and_pixels_are_not() -> None:
    tag = Pixels(ORDER, "yx", before=2)
    assert sliced_tokens(tag, slice(2, None), 26) == YX
    assert sliced_tokens(tag, slice(1, None), 26) == Pixels(ORDER, "yx", 1)
    assert sliced_tokens(tag, slice(None), 26) == tag
    assert sliced_tokens(tag, slice(0, 2), 26) is None
    assert sliced_tokens(tag, 1, 26) is None
    assert sliced_tokens(tag, -25, 26) is None
    for index in (2, -1, slice(3, None), slice(0, 3), slice(None, None, 2), slice(0, -1)):
        with pytest.raises(InexactError):
            sliced_tokens(tag, index, 26)


def test_joined_orders_are_one_and_keep_the_first_label() -> None:
    one, two, three = (Order((4, 6), name, rank) for rank, name in enumerate(("a", "b", "c")))
    three.join(two)
    assert three.label == "b"
    two.join(one)
    assert {order.root for order in (one, two, three)} == {one}
    assert three.label == "a"
    assert len(groups_of((Pixels(one, "yx"), Pixels(three, "yx")))) == 2

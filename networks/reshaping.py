"""What reshaping and indexing do to the dimensions that hold pixels; shapes and layouts only, no graph."""

from collections.abc import Sequence
from math import prod

from networks.layout import Layout, Pixels


class InexactError(Exception):
    """The pixels would be torn apart; says how."""


def _paired(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return the smallest runs of dimensions of two shapes that hold equally many values, in order.

    Examples
    --------
    >>> _paired((2, 8, 4, 6), (16, 24))
    [([0, 1], [0]), ([2, 3], [1])]
    """
    runs, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        one, other = [i], [j]
        i, j = i + 1, j + 1
        while (have := prod(before[k] for k in one)) != (want := prod(after[k] for k in other)):
            if have < want:
                one.append(i)
                i += 1
            else:
                other.append(j)
                j += 1
        runs.append((one, other))
    return runs


def reshaped(shape: Sequence[int], layout: Layout, target: Sequence[int]) -> Layout | None:
    """Return the layout after ``view``, ``reshape``, ``flatten``, ``squeeze`` and the like.

    Rows and columns may become one dimension of tokens, and tokens rows and columns again; dimensions without pixels
    may do anything among themselves.

    Returns
    -------
    Layout or None
        None when pixels and channels become features together, which only makes sense in natural order.

    Raises
    ------
    InexactError
        When the map is cut up in another way.
    """
    if 0 in shape:
        raise InexactError("an empty tensor cannot be followed")
    # Dimensions of length 1 without pixels come and go.
    kept = [i for i, (length, tag) in enumerate(zip(shape, layout, strict=True)) if length > 1 or tag is not None]
    rows_of_one = sum(shape[i] == 1 for i in kept)
    ones = [j for j, length in enumerate(target) if length == 1]
    wanted = [j for j, length in enumerate(target) if length > 1 or (rows_of_one and j in ones[-rows_of_one:])]
    out: list[Pixels | None] = [None] * len(target)
    mixed = False
    try:
        runs = _paired([shape[i] for i in kept], [target[j] for j in wanted])
    except IndexError:
        raise InexactError("it changes the number of values") from None
    for one, other in runs:
        tags = [layout[kept[i]] for i in one]
        places = [wanted[j] for j in other]
        given = [tag for tag in tags if tag is not None]
        axes = [tag.axis for tag in given]
        if not given:
            continue
        first = given[0]
        if len(tags) == len(places) == 1:
            out[places[0]] = first
        elif axes == ["y", "x"] and len(tags) == 2 and len(places) == 1:
            out[places[0]] = Pixels(first.order, "yx")
        elif axes == ["yx"] and len(tags) == 1 and not first.before and _is_grid(places, target, first):
            out[places[0]], out[places[1]] = Pixels(first.order, "y"), Pixels(first.order, "x")
        elif len(places) == 1 and (axes == ["y", "x"] or (axes == ["yx"] and not first.before)):
            mixed = True
        else:
            raise InexactError(
                "it cuts the map into windows, or mixes its rows with other dimensions; only keys='stem', "
                "which keeps natural order behind the first layer, can follow"
            )
    if mixed and any(tag is not None for tag in out):
        raise InexactError("it makes features of some of the pixels only")
    return None if mixed else tuple(out)


def _is_grid(places: Sequence[int], target: Sequence[int], tag: Pixels) -> bool:
    return len(places) == 2 and tuple(target[p] for p in places) == tag.order.grid


def sliced_tokens(tag: Pixels, index: int | slice, length: int) -> Pixels | None:
    """Return what is left of a dimension of tokens: the pixels, or None when only tokens before them are taken.

    Raises
    ------
    InexactError
        When some of the pixels are taken, and others not.
    """
    if isinstance(index, int):
        if 0 <= (index + length if index < 0 else index) < tag.before:
            return None
        raise InexactError("it takes one pixel out of the map")
    start, stop, step = index.indices(length)
    if (step == 1 and stop == length and start <= tag.before) or (start, stop, step) == (0, length, 1):
        return Pixels(tag.order, tag.axis, tag.before - start)
    if step > 0 and stop <= tag.before:
        return None
    raise InexactError("it takes some pixels out of a row of tokens")

"""What the converter knows about a tensor on its way: which dimensions hold pixels, and in whose order."""

from __future__ import annotations

from dataclasses import dataclass

FRAME, NATURAL = "frame", "natural"


class Order:
    """The pixel order of one or more maps, still without a key.

    Orders that meet in a sum, a product or a concatenation are joined: from then on they are one, so that the sum needs
    no gather. The frame's own order differs from call to call and is never joined with another.

    Parameters
    ----------
    grid : tuple of int
        Height and width of the maps.
    label : str
        Its name in the plan.
    rank : int
        Of two orders that are joined, the one with the lower rank lends its label.
    follows_frame : bool
        Whether this is the order of the input frame, known only when its nonce is.
    """

    def __init__(self, grid: tuple[int, int], label: str, rank: int = 0, *, follows_frame: bool = False) -> None:
        self.grid = grid
        self.follows_frame = follows_frame
        self._label = label
        self._rank = rank
        self._joined: Order | None = None

    @property
    def root(self) -> Order:
        """The order that stands for all that were joined."""
        return self if self._joined is None else self._joined.root

    @property
    def label(self) -> str:
        """Its name in the plan."""
        return self.root._label

    def join(self, other: Order) -> None:
        """Make two orders of one grid the same."""
        first, second = sorted((self.root, other.root), key=lambda order: order._rank)
        if first is not second:
            assert first.grid == second.grid
            assert not first.follows_frame
            second._joined = first


@dataclass(frozen=True)
class Pixels:
    """A dimension that holds pixels.

    Attributes
    ----------
    order : Order
        In whose order they are.
    axis : str
        "yx" for all pixels in one dimension, "y" and "x" for the two of a map: rows and columns of the shuffled layout.
    before : int
        Tokens without a place in the frame, such as a class token, in front of the pixels of a dimension "yx".
    """

    order: Order
    axis: str
    before: int = 0


Layout = tuple[Pixels | None, ...]
"""One entry a dimension; None for batch, channels, heads and everything else without a pixel order."""


@dataclass(frozen=True)
class Several:
    """The layouts of a tuple of tensors."""

    parts: tuple[Layout | Several, ...]


def map_layout(order: Order) -> Layout:
    """Return the layout of maps (B, C, H, W)."""
    return None, None, Pixels(order, "y"), Pixels(order, "x")


def is_plain(layout: Layout | Several) -> bool:
    """Whether no dimension has a pixel order."""
    if isinstance(layout, Several):
        return all(is_plain(part) for part in layout.parts)
    return all(tag is None for tag in layout)


def follows_frame(layout: Layout) -> bool:
    """Whether some of the pixels are in the frame's own order, another one for every frame of a batch."""
    return any(tag is not None and tag.order.follows_frame for tag in layout)


def orders_of(layout: Layout) -> list[Order]:
    """Return the different orders of a layout."""
    return list(dict.fromkeys(tag.order.root for tag in layout if tag is not None))


@dataclass(frozen=True)
class Group:
    """The dimensions of one tensor that together hold one map's pixels.

    Attributes
    ----------
    order : Order
        In whose order they are.
    dims : tuple of int
        Counted from the end: that of "yx", or those of "y" and "x".
    before : int
        See :class:`Pixels`.
    is_whole : bool
        Whether they hold all pixels, rather than rows or columns alone.
    """

    order: Order
    dims: tuple[int, ...]
    before: int
    is_whole: bool


def groups_of(layout: Layout) -> list[Group]:
    """Return the groups of dimensions that hold pixels; an attention matrix has two, of queries and of keys."""
    groups: dict[object, dict[str, int]] = {}
    for dim, tag in enumerate(layout, -len(layout)):
        if tag is not None:
            # All pixels in one dimension are a group of their own.
            groups.setdefault((tag, dim) if tag.axis == "yx" else tag.order.root, {})[tag.axis] = dim
    found = []
    for dims in groups.values():
        tag = layout[next(iter(dims.values()))]
        assert tag is not None
        places = tuple(dims[axis] for axis in ("yx", "y", "x") if axis in dims)
        found.append(Group(tag.order.root, places, tag.before, "yx" in dims or len(places) == 2))
    return found

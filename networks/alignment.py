"""Bringing the tensors that an operation combines into common orders, where possible without moving anything."""

from collections.abc import Hashable, Sequence
from typing import Any

from torch import fx, nn

from networks.conversion import Conversion
from networks.layout import Group, Layout, Pixels, groups_of
from networks.tracing import PROBE_BATCH
from operators import KeyedPositions, KeyedReorder

Tags = dict[Hashable, Pixels]
TORN = "it works along rows or columns of pixels, which a shuffle tears apart"


def align(
    conversion: Conversion, node: fx.Node, operands: Sequence[tuple[fx.Node, Sequence[Hashable]]]
) -> dict[Hashable, Pixels]:
    """Bring the tensors that a node combines into common orders.

    Orders that meet are joined, which costs nothing. Only the frame's own order, which differs from frame to frame, and
    tensors in natural order, such as tables of positions, have to be moved.

    Parameters
    ----------
    operands : sequence of (node, labels)
        A label for each dimension; dimensions with the same label meet. Labels that are integers count dimensions from
        the end, so that what is missing in front is broadcast.

    Returns
    -------
    dict
        The pixels that each label now stands for; labels without pixels are left out.

    Raises
    ------
    ConversionError
        If maps of different sizes meet, or pixels along different dimensions.
    """
    met: dict[Hashable, list[Pixels | None]] = {}
    for source, labels in operands:
        for label, tag, length in zip(labels, conversion.layout(source), conversion.shape(source), strict=True):
            if tag is not None or length > 1:
                met.setdefault(label, []).append(tag)
    ready = []
    for source, labels in operands:
        pairs = zip(labels, conversion.layout(source), strict=True)
        foreign = any(
            tag is not None and tag.order.follows_frame and not all(t and t.order.follows_frame for t in met[label])
            for label, tag in pairs
        )
        ready.append((settle(conversion, node, source) if foreign else source, labels))
    tags: Tags = {}
    for source, labels in ready:
        for label, tag in zip(labels, conversion.layout(source), strict=True):
            if tag is not None:
                _join(conversion, node, tags.setdefault(label, tag), tag)
    for source, labels in ready:
        _follow(conversion, node, source, list(labels), tags)
    conversion.aligned += len({s for s, _ in ready if groups_of(conversion.layout(s))}) > 1
    return tags


def kept(conversion: Conversion, node: fx.Node, tags: Tags, labels: Sequence[Hashable]) -> Layout:
    """Return the layout of a result whose dimensions have these labels; the others were summed over.

    Raises
    ------
    ConversionError
        If rows were summed over and columns not, or the other way round.
    """
    for group in groups_of(tuple(tags.values())):
        if not group.is_whole or len({list(tags)[dim] in labels for dim in group.dims}) > 1:
            raise conversion.refuse(node, TORN)
    return tuple(tags.get(label) for label in labels)


def settle(conversion: Conversion, node: fx.Node, source: fx.Node) -> fx.Node:
    """Bring a tensor from the frame's own order into one that is the same for every frame, before ``node`` reads it."""
    if source in conversion.settled:
        node.replace_input_with(source, conversion.settled[source])
        return conversion.settled[source]
    layout = conversion.layout(source)
    group = _only_group(conversion, node, source)
    name = f"rekey_{source.name}"
    order = conversion.new_order(group.order.grid, name)
    moved = tuple(None if tag is None or order is None else Pixels(order, tag.axis, tag.before) for tag in layout)

    def reorder(plain: None, i: Any, o: Any) -> nn.Module:
        return KeyedReorder(nn.Identity(), group.order.grid, i, o)

    is_map = len(layout) == 4 and group.dims == (-2, -1)
    make = reorder if is_map else _positions(group)
    call = conversion.insert(node, source, name, make, (group.order, order), moved)
    conversion.settled[source] = call
    return call


def unshuffle(conversion: Conversion, node: fx.Node) -> None:
    """Bring a node's first argument into natural order."""
    source = conversion.input(node)
    group = _only_group(conversion, node, source)
    plain: Layout = (None,) * len(conversion.layout(source))
    conversion.insert(node, source, f"natural_{node.name}", _positions(group), (group.order, None), plain)


def _only_group(conversion: Conversion, node: fx.Node, source: fx.Node) -> Group:
    groups = groups_of(conversion.layout(source))
    batched = conversion.layout(source)[0] is None and conversion.shape(source)[0] == PROBE_BATCH
    if len(groups) != 1 or (groups[0].order.follows_frame and not batched):
        raise conversion.refuse(node, "the pixels of its input lie where no table can move them")
    return groups[0]


def _positions(group: Group) -> Any:
    return lambda plain, i, o: KeyedPositions(group.order.grid, group.dims, group.before, i, o)


def _join(conversion: Conversion, node: fx.Node, one: Pixels, other: Pixels) -> None:
    if one.order.grid != other.order.grid:
        raise conversion.refuse(node, f"it combines maps of {one.order.grid} and {other.order.grid} pixels")
    if (one.axis, one.before) != (other.axis, other.before):
        raise conversion.refuse(node, "it combines tensors whose pixels lie along different dimensions")
    one.order.join(other.order)


def _follow(conversion: Conversion, node: fx.Node, source: fx.Node, labels: list[Hashable], tags: Tags) -> None:
    """Bring a tensor in natural order, such as a table of positions, into the order of what it meets."""
    missing = sorted(label for label in tags if isinstance(label, int) and label not in labels)
    shape = conversion.shape(source)
    places = [*missing, *labels]
    for group in groups_of(tuple(tags.get(label) for label in places)):
        own = [dim for dim in group.dims if -dim <= len(shape)]
        layout = conversion.layout(source)
        if all(layout[dim] is not None or shape[dim] == 1 for dim in own):
            continue
        if not group.is_whole:
            raise conversion.refuse(node, TORN)
        if any(layout[dim] is not None for dim in own):
            raise conversion.refuse(node, "it combines a map with a tensor that holds only some of its pixels")
        grid = group.order.grid
        lengths = grid if len(group.dims) == 2 else (group.before + grid[0] * grid[1],)
        whole = list(shape)
        while len(whole) < -min(group.dims):
            whole.insert(0, 1)
        for dim, length in zip(group.dims, lengths, strict=True):
            if whole[dim] not in (1, length):
                raise conversion.refuse(node, "it combines a map with a constant that does not fit its pixels")
            whole[dim] = length
        padded = (*(None,) * (len(whole) - len(layout)), *layout)
        followed = tuple(
            tags[places[dim]] if dim in group.dims else tag for dim, tag in enumerate(padded, -len(padded))
        )
        name = f"follow_{node.name}_{len(conversion.layers)}"
        make = _positions(group)
        source = conversion.insert(node, source, name, make, (None, group.order), followed, shape=whole)
        shape = tuple(whole)

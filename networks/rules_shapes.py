"""Rules for what moves whole dimensions: permuting, reshaping, slicing, splitting, concatenating, broadcasting."""

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from networks.alignment import align, unshuffle
from networks.conversion import Conversion, Rule, plain_like
from networks.layout import Layout, Pixels, Several
from networks.reshaping import InexactError, reshaped, sliced_tokens
from networks.rules_windows import map_before
from operators import crop_map


def _reshape(conversion: Conversion, node: fx.Node) -> Any:
    """View, reshape, flatten, squeeze and all others whose result has the same values in the same sequence."""
    source = conversion.input(node)
    try:
        layout = reshaped(conversion.shape(source), conversion.layout(source), conversion.shape(node))
    except InexactError as error:
        raise conversion.refuse(node, str(error)) from error
    if layout is None:
        unshuffle(conversion, node)
        return plain_like(node.meta["value"])
    return layout


def _moved(conversion: Conversion, node: fx.Node, sequence: list[int]) -> Layout:
    layout = conversion.layout(conversion.input(node))
    return tuple(layout[dim] for dim in sequence)


def _permute(conversion: Conversion, node: fx.Node) -> Layout:
    rank = len(conversion.shape(node))
    given = conversion.value(node.args[1:]) or (conversion.value(node.kwargs["dims"]),)
    dims = given[0] if isinstance(given[0], (tuple, list)) else given
    return _moved(conversion, node, [int(dim) % rank for dim in dims])


def _transpose(conversion: Conversion, node: fx.Node) -> Layout:
    rank = len(conversion.shape(node))
    sequence = list(range(rank))
    one, other = (
        int(conversion.argument(node, place, name, conversion.value(node.kwargs.get(also)))) % rank
        for place, name, also in ((1, "dim0", "axis0"), (2, "dim1", "axis1"))
    )
    sequence[one], sequence[other] = other, one
    return _moved(conversion, node, sequence)


def _movedim(conversion: Conversion, node: fx.Node) -> Layout:
    rank = len(conversion.shape(node))
    order = torch.empty((1,) * rank, device="meta")
    marked = order.expand(*range(2, rank + 2)).movedim(
        conversion.argument(node, 1, "source"), conversion.argument(node, 2, "destination")
    )
    sequence = [length - 2 for length in marked.shape]
    # The same as a permutation, which exporters understand in all its forms.
    node.op, node.target, node.args, node.kwargs = "call_method", "permute", (conversion.input(node), *sequence), {}
    return _moved(conversion, node, sequence)


def _attribute(conversion: Conversion, node: fx.Node) -> Any:
    """``x.shape`` and the like, which no order changes, and ``x.T``, ``x.mT``."""
    if not isinstance(node.meta["value"], Tensor):
        return ()
    rank = len(conversion.shape(node))
    if node.args[1] == "mT" or (node.args[1] == "T" and rank == 2):
        return _moved(conversion, node, [*range(rank - 2), rank - 1, rank - 2])
    raise conversion.refuse(node, "it is not known what it does to the pixels")


def _query(conversion: Conversion, node: fx.Node) -> Layout:
    """Shape queries: no order changes a shape."""
    return ()


def _expand(conversion: Conversion, node: fx.Node) -> Layout:
    """Repetition along dimensions without pixels."""
    source, shape = conversion.input(node), conversion.shape(node)
    layout = conversion.layout(source)
    padded = (*(None,) * (len(shape) - len(layout)), *layout)
    for dim, tag in enumerate(layout, -len(layout)):
        if tag is not None and shape[dim] != conversion.shape(source)[dim]:
            raise conversion.refuse(node, "it repeats pixels")
    return padded


def _split(conversion: Conversion, node: fx.Node) -> Several:
    """Split, chunk and unbind along a dimension without pixels."""
    source = conversion.input(node)
    layout = conversion.layout(source)
    unbound = getattr(node.target, "__name__", node.target) == "unbind"
    dim = int(conversion.argument(node, 1 if unbound else 2, "dim", 0)) % len(layout)
    if layout[dim] is not None:
        raise conversion.refuse(node, "it splits the pixels of a map")
    part = layout[:dim] + layout[dim + 1 :] if unbound else layout
    return Several((part,) * len(node.meta["value"]))


def _sequence(conversion: Conversion, node: fx.Node) -> list[fx.Node]:
    tensors = node.args[0] if node.args else node.kwargs["tensors"]
    assert isinstance(tensors, (tuple, list))
    return [tensor for tensor in tensors if isinstance(tensor, fx.Node)]


def _concatenate(conversion: Conversion, node: fx.Node) -> Layout:
    """Concatenation of channels: all maps in one order. Of tokens: some without a place in front of a map's."""
    sources = _sequence(conversion, node)
    rank = len(conversion.shape(node))
    dim = int(conversion.argument(node, 1, "dim", node.kwargs.get("axis", 0))) % rank
    along = [(source, conversion.layout(source)[dim]) for source in sources]
    tagged = [tag for _, tag in along if tag is not None]
    if len(tagged) > 1 or (tagged and (along[-1][1] is None or tagged[0].axis != "yx")):
        raise conversion.refuse(node, "it puts something behind or between the pixels of a map")
    # Every operand has a label of its own along the dimension; the others meet.
    operands = [
        (source, [f"part {i}" if d == dim else d - rank for d in range(rank)]) for i, source in enumerate(sources)
    ]
    tags = align(conversion, node, operands)
    layout: list[Pixels | None] = [tags.get(d - rank) for d in range(rank)]
    if tagged:
        last = tags[f"part {len(sources) - 1}"]
        ahead = sum(conversion.shape(source)[dim] for source in sources[:-1])
        layout[dim] = Pixels(last.order, "yx", last.before + ahead)
    return tuple(layout)


def _stack(conversion: Conversion, node: fx.Node) -> Layout:
    rank = len(conversion.shape(node))
    dim = int(conversion.argument(node, 1, "dim", 0)) % rank
    tags = align(conversion, node, [(s, list(range(1 - rank, 0))) for s in _sequence(conversion, node)])
    layout = [tags.get(d) for d in range(1 - rank, 0)]
    layout.insert(dim, None)
    return tuple(layout)


def _item(conversion: Conversion, node: fx.Node) -> Any:
    """Indexing: of a tuple, of dimensions without pixels, of tokens in front of the pixels, or as a crop of a map."""
    source = conversion.input(node)
    layout, index = conversion.layouts(source), conversion.value(node.args[1])
    if isinstance(layout, Several):
        return Several(layout.parts[index]) if isinstance(index, slice) else layout.parts[index]
    entries = list(index) if isinstance(index, tuple) else [index]
    if any(not isinstance(entry, (int, slice, Tensor, type(None), type(...))) for entry in entries):
        raise conversion.refuse(node, "it is indexed in a way that is not known")
    used = sum(entry is not None and entry is not ... for entry in entries)
    rest = [slice(None)] * (len(layout) - used)
    at = next((i for i, entry in enumerate(entries) if entry is ...), len(entries))
    entries = [*entries[:at], *rest, *entries[at + 1 :]]
    crops: dict[int, slice] = {}
    try:
        left = _indexed(layout, conversion.shape(source), entries, crops)
    except InexactError as error:
        raise conversion.refuse(node, str(error)) from error
    conversion.keep_frames_apart(node, {dim for dim, entry in _with_dims(entries) if isinstance(entry, Tensor)})
    if not crops:
        return left
    places = [dim for dim, tag in enumerate(layout) if tag is not None]
    tags = [tag for tag in layout if tag is not None]
    if [tag.axis for tag in tags] != ["y", "x"]:
        raise conversion.refuse(node, "its input is no map, whose rows and columns could be cropped")
    rows, columns = (crops.get(place, slice(None)) for place in places)
    cropped = map_before(conversion, node, crop_map(tags[0].order.grid, rows, columns))
    y, x = (cropped[place] for place in places)
    node.args = (
        conversion.input(node),
        tuple(slice(None) if isinstance(e, slice) and i in crops else e for i, e in _with_dims(entries)),
    )
    new = {"y": y, "x": x}
    return tuple(tag if tag is None else new[tag.axis] for tag in left)


def _with_dims(entries: list[Any]) -> list[tuple[int, Any]]:
    """Return entries with the dimension that each indexes; -1 for a new one."""
    dims = np.cumsum([entry is not None for entry in entries]) - 1
    return [(-1 if entry is None else int(dim), entry) for dim, entry in zip(dims, entries, strict=True)]


def _indexed(layout: Layout, shape: tuple[int, ...], entries: list[Any], crops: dict[int, slice]) -> Layout:
    """Return what indexing leaves of a layout; slices of height and width are noted in ``crops``."""
    out: list[Pixels | None] = []
    for dim, entry in _with_dims(entries):
        tag = None if dim < 0 else layout[dim]
        if isinstance(entry, Tensor):
            if tag is not None or entry.ndim != 1 or entry.dtype == torch.bool or sum(
                isinstance(e, Tensor) for e in entries) > 1:  # fmt: skip
                raise InexactError("it picks pixels, or other things, by a tensor")
            out.append(None)
        elif tag is not None and tag.axis == "yx":
            kept = sliced_tokens(tag, entry, shape[dim])
            out += [kept] if isinstance(entry, slice) else []
        elif tag is not None and isinstance(entry, int):
            raise InexactError("it takes one row or column out of a map")
        elif tag is not None and entry.indices(shape[dim]) != (0, shape[dim], 1):
            crops[dim] = entry
            out.append(tag)
        elif not isinstance(entry, int):
            out.append(tag)
    return tuple(out)


SHAPE_RULES: dict[Any, Rule] = {
    **dict.fromkeys(
        (nn.Flatten, torch.flatten, "flatten", nn.Unflatten, torch.unflatten, "unflatten", torch.reshape, "reshape",
         "view", "view_as", "reshape_as", torch.squeeze, "squeeze", torch.unsqueeze, "unsqueeze"), _reshape,
    ),
    **dict.fromkeys((torch.permute, "permute"), _permute),
    **dict.fromkeys((torch.transpose, "transpose", torch.swapaxes, "swapaxes", "swapdims"), _transpose),
    **dict.fromkeys((torch.movedim, "movedim", torch.moveaxis, "moveaxis"), _movedim),
    **dict.fromkeys(("size", "dim", "numel", "stride", "is_floating_point", len, torch.numel), _query),
    **dict.fromkeys(("expand", "expand_as", "repeat", torch.broadcast_to), _expand),
    **dict.fromkeys((torch.split, "split", torch.chunk, "chunk", "tensor_split", torch.unbind, "unbind"), _split),
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), _concatenate),
    torch.stack: _stack,
    getattr: _attribute,
    operator.getitem: _item,
}  # fmt: skip

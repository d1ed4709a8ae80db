"""Attacks on protected frames, small and plain: what somebody without the key can do (docs/security.md).

All take frames as uint8 arrays. An attack that needs a position table returns it in gather form: the slot that it
believes to hold each photosite.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import shortest_path
from skimage.metrics import structural_similarity
from torch import nn

Frames = NDArray[np.uint8]


def ssim(found: Frames, truth: Frames) -> float:
    """Return the mean structural similarity of two batches (B, H, W, C)."""
    pairs = zip(found, truth, strict=True)
    return float(np.mean([structural_similarity(a, b, channel_axis=-1, data_range=255) for a, b in pairs]))


def _correlation(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how positions (N frames, P positions) vary together, each frame's mean taken away."""
    signal = signal - signal.mean(1, keepdims=True)
    signal -= signal.mean(0)
    signal /= np.linalg.norm(signal, axis=0) + 1e-9
    product: NDArray[np.float64] = signal.T @ signal
    return product


def statistics(frames: Frames) -> list[NDArray[np.float64]]:
    """Return four signals (N, P) that neighbouring photosites share: grey, green, red less blue, contrast."""
    flat = frames.reshape(len(frames), -1, 3).astype(np.float64)
    grey = flat.mean(2)
    return [grey, flat[:, :, 1], flat[:, :, 0] - flat[:, :, 2], np.abs(grey - grey.mean(1, keepdims=True))]


def _embedding(correlation: NDArray[np.float64], neighbours: int = 8) -> NDArray[np.float64]:
    """Return places in the plane (P, 2): distances along the graph of nearest neighbours, then classical scaling."""
    distance = np.sqrt(np.maximum(2 - 2 * correlation, 1e-9))
    np.fill_diagonal(distance, 0)
    near = np.argsort(distance, axis=1)[:, 1 : neighbours + 1]
    rows = np.repeat(np.arange(len(near)), neighbours)
    graph = csr_matrix((distance[rows, near.ravel()], (rows, near.ravel())), shape=distance.shape)
    along = shortest_path(graph, directed=False)
    along[~np.isfinite(along)] = along[np.isfinite(along)].max()
    squared = along**2
    centred = -0.5 * (squared - squared.mean(0) - squared.mean(1)[:, None] + squared.mean())
    values, vectors = np.linalg.eigh(centred)
    places: NDArray[np.float64] = vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 1e-9))
    return places


def _onto_grid(places: NDArray[np.float64], side: int) -> NDArray[np.intp]:
    """Return the slot for each photosite of a square grid, by the cheapest assignment; ranks spread the places."""
    spread = np.argsort(np.argsort(places, axis=0), axis=0) / (len(places) - 1)
    y, x = np.divmod(np.arange(side * side), side)
    grid = np.stack([y, x], 1) / (side - 1)
    cost = ((grid[:, None] - spread[None]) ** 2).sum(2)
    slots: NDArray[np.intp] = linear_sum_assignment(cost)[1]
    return slots


def _symmetries(side: int) -> list[NDArray[np.intp]]:
    """Return the eight turned and mirrored orders of a square grid."""
    grid = np.arange(side * side).reshape(side, side)
    return [np.rot90(g, k).ravel() for g in (grid, grid.T) for k in range(4)]


def layouts_from_ciphertexts(frames: Frames, public: Frames, rounds: int = 25) -> list[NDArray[np.intp]]:
    """Guess the layout behind frames (N, H, W, 3) of one key: attack A1.

    Neighbouring photosites vary together. Each of four statistics gives an embedding in the plane, laid onto the grid
    in eight orientations; the best one of each is refined until its correlations fit those of public photographs.
    """
    side = frames.shape[1]
    found = []
    for seen, known in zip(statistics(frames), statistics(public), strict=True):
        observed, template = _correlation(seen), _correlation(known)
        slots = _onto_grid(_embedding(observed), side)
        guesses = [slots[order] for order in _symmetries(side)]
        best = guesses[int(np.argmax([(observed[np.ix_(guess, guess)] * template).sum() for guess in guesses]))]
        for _ in range(rounds):
            refined = linear_sum_assignment(-(template @ observed[best]))[1]
            if (refined == best).all():
                break
            best = refined
        found += [*guesses, best]
    return found


def layout_from_pairs(plain: Frames, protected: Frames) -> tuple[NDArray[np.intp], float]:
    """Match positions by their values in known pairs: attack A2; also the share of positions that match just one."""
    known, seen = (np.moveaxis(f.reshape(len(f), -1, 3), 0, 1).reshape(-1, 3 * len(f)) for f in (plain, protected))
    where: dict[bytes, list[int]] = {}
    for slot, values in enumerate(seen):
        where.setdefault(values.tobytes(), []).append(slot)
    matches = [where.get(values.tobytes(), []) for values in known]
    slots = np.array([found[0] if found else -1 for found in matches])
    # What stays open is filled with the slots that nothing matched, in order.
    left = np.setdiff1d(np.arange(len(slots)), slots)
    slots[slots < 0] = np.resize(left, np.count_nonzero(slots < 0))
    return slots, float(np.mean([len(found) == 1 for found in matches]))


def linear_inversion(plain: Frames, protected: Frames, targets: Frames, ridge: float = 1e4) -> Frames:
    """Learn a linear map from protected to plain values and apply it: attack A5."""
    x, y = (f.reshape(len(f), -1).astype(np.float64) for f in (protected, plain))
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    weights = x.T @ np.linalg.solve(x @ x.T + ridge * np.eye(len(x)), y)  # the dual form: fewer pairs than values
    guess = (targets.reshape(len(targets), -1) - mean_x) @ weights + mean_y
    found: Frames = np.rint(guess).clip(0, 255).astype(np.uint8).reshape(targets.shape)
    return found


def value_features(frames: Frames) -> NDArray[np.float32]:
    """Return what a frame's values say whatever their order: joint and single histograms."""
    flat = frames.reshape(len(frames), -1, 3)
    joint = (flat // 32).astype(np.int64) @ np.array([64, 8, 1])
    single = flat // 4 + (np.arange(3, dtype=np.int64) * 64)
    cells = np.concatenate([joint, 512 + single.reshape(len(frames), -1)], 1)
    counts = np.stack([np.bincount(row, minlength=512 + 192) for row in cells])
    features: NDArray[np.float32] = np.sqrt(counts).astype(np.float32)
    return features


def class_from_values(
    train: Frames, labels: NDArray[np.int64], test: Frames, truth: NDArray[np.int64], epochs: int = 25
) -> float:
    """Train a small classifier on the values alone; return its accuracy: attack A3."""
    torch.manual_seed(0)
    x, y = torch.from_numpy(value_features(train)), torch.from_numpy(labels)
    mean, scale = x.mean(0), x.std(0) + 0.1
    model = nn.Sequential(
        nn.Linear(x.shape[1], 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for first in range(0, len(x), 256):
            part = order[first : first + 256]
            loss = nn.functional.cross_entropy(model((x[part] - mean) / scale), y[part])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
    with torch.no_grad():
        answers = model.eval()((torch.from_numpy(value_features(test)) - mean) / scale).argmax(1)
    return float((answers.numpy() == truth).mean())


def link_rate(protected: Frames, gallery: Frames) -> float:
    """Return how often the nearest values in a gallery belong to the frame's own source, frame i to picture i."""
    x, y = value_features(protected), value_features(gallery)
    distance = (y**2).sum(1)[None] - 2 * x @ y.T
    return float((distance.argmin(1) == np.arange(len(x))).mean())


def _chain(lines: NDArray[np.float64]) -> NDArray[np.intp]:
    """Put lines (L, values) into an order in which neighbours are alike, greedily at both ends."""
    centred = lines - lines.mean(1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True) + 1e-9
    alike = centred @ centred.T
    np.fill_diagonal(alike, -np.inf)
    first, second = np.unravel_index(alike.argmax(), alike.shape)
    order = [int(first), int(second)]
    free = np.ones(len(lines), bool)
    free[order] = False
    while free.any():
        ends = np.where(free, alike[[order[0], order[-1]]], -np.inf)
        end, line = np.unravel_index(ends.argmax(), ends.shape)
        order.insert(0 if end == 0 else len(order), int(line))
        free[line] = False
    return np.array(order)


def rows_and_columns(frame: Frames) -> list[Frames]:
    """Reorder rows and then columns of one frame (H, W, 3) by likeness: attack A8; in all four orientations."""
    by_rows = frame[_chain(frame.reshape(len(frame), -1).astype(np.float64))]
    turned = by_rows.transpose(1, 0, 2)
    both = turned[_chain(turned.reshape(len(turned), -1).astype(np.float64))].transpose(1, 0, 2)
    return [both, both[::-1], both[:, ::-1], both[::-1, ::-1]]


def thumbnail(frame: Frames, side: int = 8) -> Frames:
    """Return the frame (H, W, 3) averaged in side x side fields and enlarged again."""
    height, width = frame.shape[0] // side, frame.shape[1] // side
    fields = frame[: height * side, : width * side].reshape(side, height, side, width, 3).mean((1, 3))
    enlarged: Frames = np.rint(fields.repeat(height, 0).repeat(width, 1)).astype(np.uint8)
    return enlarged

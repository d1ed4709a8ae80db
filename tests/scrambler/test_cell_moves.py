"""Frames move by whole cells as their tables say, whatever the unit, the edges and the type."""

import numba
import numpy as np
import pytest

from scrambler import Key, Multiplexer, Permutation, cell_moves
from scrambler.cell_moves import CellMoves
from scrambler.cells import cells_of

KEY, NONCE = Key.from_bytes(bytes(range(32))), bytes(range(16))


def drawn(shape, dtype):
    return np.random.default_rng(1).integers(0, 250, shape).astype(dtype)


def naive_table(shape, kinds):
    """One photosite of one cell at a time."""
    source = np.full(shape, -1)
    for cells, permutation in kinds:
        places = [
            (cells.top + r * cells.step[0], cells.left + c * cells.step[1])
            for r in range(cells.grid[0])
            for c in range(cells.grid[1])
        ]
        for (y, x), n in zip(places, permutation.source, strict=True):
            whence_y, whence_x = places[n]
            for dy in range(cells.size[0]):
                for dx in range(cells.size[1]):
                    source[y + dy, x + dx] = (whence_y + dy) * shape[1] + whence_x + dx
    return source.ravel()


@pytest.mark.parametrize("unit", ["quad", "plane", "pixel"])
@pytest.mark.parametrize("period", [(2, 2), (4, 4), (6, 6), (1, 3)])
@pytest.mark.parametrize("shape", [(9, 13), (8, 12)])
@pytest.mark.parametrize("kind", [(np.uint8, 1), (np.uint16, 1), (np.uint16, 3), (np.float32, 4)])
@pytest.mark.parametrize("way", ["small", "large"])
def test_cells_move_as_the_naive_table_says(unit, period, shape, kind, way, monkeypatch):
    if way == "large":  # frames of this size would take the other one
        monkeypatch.setattr(cell_moves, "_SMALL", 0)
    dtype, channels = kind
    rng = np.random.default_rng(5)
    kinds = [(cells, Permutation(rng.permutation(cells.count))) for cells in cells_of(shape, unit, period)]
    moves, expected = CellMoves(shape, kinds), naive_table(shape, kinds)
    np.testing.assert_array_equal(moves.source(), expected)
    np.testing.assert_array_equal(moves.slot(), np.argsort(expected))
    rows = drawn((2, shape[0] * shape[1], channels), dtype)
    out, back = np.empty_like(rows), np.empty_like(rows)
    assert moves.move(rows, out, inverse=False)
    np.testing.assert_array_equal(out, rows[:, expected])
    assert moves.move(out, back, inverse=True)
    np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize("shape", [(1100, 1000), (1101, 1003)])
@pytest.mark.parametrize("pattern", ["frame", "tiles:4", "rows+columns"])
@pytest.mark.parametrize("unit", ["quad", "plane"])
def test_large_mosaics_move_as_their_tables_say_on_any_number_of_threads(shape, pattern, unit):
    p = Multiplexer(KEY, pattern, unit).permutation(shape, NONCE)
    mosaic = drawn(shape, np.uint16)
    expected = mosaic.ravel()[p.source].reshape(shape)
    most = numba.get_num_threads()
    try:
        for threads in {1, most}:
            numba.set_num_threads(threads)
            again = Multiplexer(KEY, pattern, unit).permutation(shape, NONCE)
            np.testing.assert_array_equal(again.shuffle(mosaic), expected)
            np.testing.assert_array_equal(again.unshuffle(expected), mosaic)
            np.testing.assert_array_equal(again.source, p.source)
            np.testing.assert_array_equal(again.slot[again.source], np.arange(again.size))
    finally:
        numba.set_num_threads(most)


def test_a_line_of_cells_may_be_as_long_as_the_frame():
    # The most a small frame can ask of the division by multiplication: all cells in one line, and one in each.
    for shape in ((1, 2**18 - 1), (2**18 - 1, 1)):
        p = Multiplexer(KEY, "frame", "plane").permutation(shape, NONCE, period=(1, 1))
        mosaic = np.arange(p.size, dtype=np.uint32).reshape(shape)
        np.testing.assert_array_equal(p.shuffle(mosaic).ravel(), p.source)
        np.testing.assert_array_equal(p.unshuffle(p.shuffle(mosaic)), mosaic)

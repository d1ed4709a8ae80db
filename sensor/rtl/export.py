"""The folder of an export: modules, test benches, vectors, a README; checked with any Verilog simulator, or none."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np

from scrambler import Key
from scrambler.files import write_atomically
from scrambler.generators import GENERATORS
from sensor.benes import route, switch
from sensor.rtl.benes_module import benes_bench, benes_module
from sensor.rtl.design import Design, Vectors, vectors_of
from sensor.rtl.line_bench import line_bench
from sensor.rtl.order_module import order_module
from sensor.rtl.test_bench import ORDER_BENCH, order_bench

LIBRARY = ("keyed_round.v", "keyed_bijection.v", "order_table.v", "line_buffer.v")
TEST_KEY, TEST_NONCE = bytes(range(32)), bytes(range(16))
"""Public, for vectors only: a secret key never goes into such a folder."""

BENES_PORTS, BENES_ROWS = 64, 100


def export_rtl(design: Design, out: str | Path, *, bits: int = 12, most_slots: int = 1 << 16) -> None:
    """Write the Verilog of a design, its test benches and vectors.

    Parameters
    ----------
    design : Design
        What to export.
    out : str or Path
        An existing folder; files of these names are replaced, each in one step.
    bits : int
        Bits of a code, for line buffers and the switch network.
    most_slots : int
        How many slots ``expected.hex`` covers; ``golden.json`` has the digest of all.
    """
    folder = Path(out)
    for name in LIBRARY:
        _write(folder / name, (files("sensor.rtl") / "verilog" / name).read_text(encoding="ascii"))
    _write(folder / "readout_order.v", order_module(design))
    _write(folder / f"{ORDER_BENCH}.v", order_bench(design))
    vectors = vectors_of(design, Key.from_bytes(TEST_KEY), TEST_NONCE)
    slots = min(most_slots, vectors.expected.size)
    write_vectors(design, vectors, folder, most_slots=slots)
    if design.kind == "lines":
        _write(folder / "line_shuffle_tb.v", line_bench(design, bits))
    _write(folder / "benes_network.v", benes_module(BENES_PORTS, bits))
    _write(folder / "benes_network_tb.v", benes_bench(BENES_PORTS, bits, BENES_ROWS))
    _write_benes_vectors(folder, BENES_PORTS, bits, BENES_ROWS)
    golden = {
        "shape": list(design.shape), "pattern": design.pattern, "unit": design.unit, "period": list(design.period),
        "generator": design.generator, "test_key": TEST_KEY.hex(), "test_nonce": TEST_NONCE.hex(),
        "slots": int(vectors.expected.size),
        "sha256": hashlib.sha256(vectors.expected.astype("<u4").tobytes()).hexdigest(),
    }  # fmt: skip
    _write(folder / "golden.json", json.dumps(golden, indent=1) + "\n")
    _write(folder / "README.md", _readme(design, slots))


def write_vectors(design: Design, vectors: Vectors, out: str | Path, *, most_slots: int | None = None) -> None:
    """Write one frame's vectors for the test bench of :func:`export_rtl` into an existing folder."""
    folder = Path(out)
    longest = design.length(0) if design.segments else 1
    # Tables of the last, shorter line buffer are filled up, so that every segment begins at a multiple.
    words = [word for table in vectors.words for word in (*table, *[0] * (longest - len(table)))]
    if design.generator != "table":
        words = [table[0] for table in vectors.words]
    _write(
        folder / "row_words.hex", _hex(vectors.row_words or [0] * (design.rows if design.generator == "table" else 1))
    )
    _write(folder / "words.hex", _hex(words or [0]))
    _write(folder / "expected.hex", vectors.expected[:most_slots].astype(">u4").tobytes().hex("\n", 4) + "\n")


def _write_benes_vectors(folder: Path, ports: int, bits: int, rows: int, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    plain, settings, routed = [], [], []
    for _ in range(rows):
        row, ways = rng.integers(0, 1 << bits, ports), route(rng.permutation(ports))
        plain.append(_joined(row.tolist(), bits))
        settings.append(_joined(ways.astype(int).tolist(), 1))
        routed.append(_joined(switch(row, ways).tolist(), bits))
    for name, words in (("rows", plain), ("settings", settings), ("routed", routed)):
        _write(folder / f"{name}.hex", _hex(words))


def _joined(values: list[int], bits: int) -> int:
    """Return values as one number, the first in the lowest bits."""
    return sum(value << (bits * place) for place, value in enumerate(values))


def _hex(words: list[int]) -> str:
    return "".join(f"{word:x}\n" for word in words)


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode("ascii"))


def _readme(design: Design, slots: int) -> str:
    line_part = (
        "- `line_buffer.v`, `line_shuffle_tb.v`: two banks of line buffers read in that order. The bench wants"
        " `codes.hex` and `shuffled.hex`, the frame before and after, one code a line.\n"
        if design.kind == "lines"
        else "- `line_buffer.v`: two banks of line buffers, for the pattern lines:L.\n"
    )
    return f"""# Keyed readout order in Verilog

Pattern {design.pattern}, unit {design.unit}, generator {design.generator} ({GENERATORS[design.generator].strength}),
{design.shape[1]} x {design.shape[0]} photosites.

- `readout_order.v`: row and column scan around the address generators; one photosite's address a clock.
- `keyed_round.v`, `keyed_bijection.v`: the generator without a table; `order_table.v`: the one with a table.
{line_part}- `benes_network.v`: a switch network of {BENES_PORTS} ports whose settings are shifted in;
  `sensor.benes.route` computes them.
- `*_tb.v`: self-checking test benches; each prints PASS or FAIL.

Run them with Icarus Verilog in this folder; the first covers {slots} slots:

    iverilog -g2005 -o order readout_order_tb.v readout_order.v keyed_round.v keyed_bijection.v order_table.v
    vvp order +count={slots}
    iverilog -g2005 -o benes benes_network_tb.v benes_network.v && vvp benes

Without any tool: `expected.hex` holds row times 65536 plus column for each slot, as eight hexadecimal digits, of the
frame that `golden.json` names; its `sha256` is that of all slots as little-endian words. The key in `golden.json` is
a public one for tests. `words.hex` and `row_words.hex` hold round keys, or tables, drawn from it.

The round keys of a real frame come from the key and the frame's nonce (HKDF-SHA256 and ChaCha20, in the host or in a
cipher core). Whoever has them has the frame.
"""

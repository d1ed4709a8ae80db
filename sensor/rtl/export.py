"""The folder of an export: modules, test benches, vectors, a README; checked with any Verilog simulator, or none."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scrambler import Key
from scrambler.files import write_atomically
from scrambler.generators import GENERATORS
from sensor.benes import route, switch
from sensor.rtl.benes_module import benes_bench, benes_module
from sensor.rtl.design import Design
from sensor.rtl.line_bench import LINE_BENCH, line_bench
from sensor.rtl.order_module import order_module
from sensor.rtl.test_bench import ORDER_BENCH, order_bench
from sensor.rtl.vectors import Vectors, vectors_of

GENERATOR_FILES = ("keyed_round.v", "keyed_bijection.v", "order_table.v")
LIBRARY = (*GENERATOR_FILES, "line_buffer.v", "order_supply.v")
SOURCES = ("readout_order.v", *GENERATOR_FILES, "order_supply.v")
"""What a test bench of the order needs beside itself."""

TEST_KEY, TEST_NONCE = bytes(range(32)), bytes(range(16))
"""Public, for vectors only: a secret key never goes into such a folder."""

BENES_ROWS = 100


def export_rtl(design: Design, out: str | Path, *, bits: int = 12, ports: int = 64, most_slots: int = 1 << 16) -> None:
    """Write the Verilog of a design, its test benches and vectors.

    Parameters
    ----------
    design : Design
        What to export.
    out : str or Path
        An existing folder; files of these names are replaced, each in one step.
    bits : int
        Bits of a code, for line buffers and the switch network.
    ports : int
        Width of the switch network, 2 or more.
    most_slots : int
        How many slots ``expected.hex`` covers; ``golden.json`` has the digest of all.
    """
    folder = Path(out)
    for name in LIBRARY:
        _write(folder / name, (files("sensor.rtl") / "verilog" / name).read_text(encoding="ascii"))
    _write(folder / "readout_order.v", order_module(design))
    _write(folder / f"{ORDER_BENCH}.v", order_bench(design))
    vectors = public_vectors(design)
    slots = min(most_slots, vectors.expected.size)
    write_vectors(vectors, folder, most_slots=slots)
    if design.buffer_rows:
        _write(folder / f"{LINE_BENCH}.v", line_bench(design, bits))
        if vectors.expected.size <= most_slots:
            codes = np.random.default_rng(0).integers(0, 1 << bits, design.shape)
            write_codes(vectors, codes.astype(np.uint16), folder)
    _write(folder / "benes_network.v", benes_module(ports, bits))
    _write(folder / "benes_network_tb.v", benes_bench(ports, bits, BENES_ROWS))
    _write_benes_vectors(folder, ports, bits, BENES_ROWS)
    golden = {
        "shape": list(design.shape), "pattern": design.pattern, "unit": design.unit, "period": list(design.period),
        "generator": design.generator, "test_key": TEST_KEY.hex(), "test_nonce": TEST_NONCE.hex(),
        "slots": int(vectors.expected.size),
        "sha256": hashlib.sha256(vectors.expected.astype("<u4").tobytes()).hexdigest(),
    }  # fmt: skip
    _write(folder / "golden.json", json.dumps(golden, indent=1) + "\n")
    _write(folder / "README.md", _readme(design, slots, ports))


def public_vectors(design: Design) -> Vectors:
    """Return the vectors in an exported folder: of the key and nonce in its ``golden.json``, which are no secret."""
    return vectors_of(design, Key.from_bytes(TEST_KEY), TEST_NONCE)


def write_vectors(vectors: Vectors, out: str | Path, *, most_slots: int | None = None) -> None:
    """Write one frame's vectors for the test bench of :func:`export_rtl` into an existing folder."""
    folder = Path(out)
    for number, zone in enumerate(vectors.zones):
        if zone.row_words:
            _write(folder / f"row_words_{number}.hex", _hex(zone.row_words))
        _write(folder / f"words_{number}.hex", _hex([word for table in zone.words for word in table] or [0]))
    _write(folder / "expected.hex", vectors.expected[:most_slots].astype(">u4").tobytes().hex("\n", 4) + "\n")


def write_codes(vectors: Vectors, codes: NDArray[np.uint16], out: str | Path) -> None:
    """Write a frame before and after the line buffers, for their bench, into an existing folder.

    Parameters
    ----------
    vectors : Vectors
        Of one frame.
    codes : ndarray of uint16, shape (H, W)
        The frame as the converters deliver it, from the top.
    out : str or Path
        Gets ``codes.hex`` and ``shuffled.hex``.
    """
    row, column = np.divmod(vectors.expected, np.uint32(65536))
    for name, frame in (("codes", codes), ("shuffled", codes[row, column])):
        _write(Path(out) / f"{name}.hex", frame.astype(">u2").tobytes().hex("\n", 2) + "\n")


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


def _readme(design: Design, slots: int, ports: int) -> str:
    line_part = "- `line_buffer.v`: two banks of line buffers, for the patterns lines:L and tiles:T.\n"
    line_run = ""
    if design.buffer_rows:
        line_part = f"""- `line_buffer.v`, `{LINE_BENCH}.v`: two banks of line buffers, one filled while the other is
  read in that order. The bench wants a frame before and after, `codes.hex` and `shuffled.hex`;
  `sensor.rtl.write_codes` writes them.
"""
        line_run = f"    iverilog -g2005 -o lines {LINE_BENCH}.v line_buffer.v {' '.join(SOURCES)} && vvp lines\n"
    return f"""# Keyed readout order in Verilog

Pattern {design.pattern}, unit {design.unit}, generator {design.generator} ({GENERATORS[design.generator].strength}),
{design.shape[1]} x {design.shape[0]} photosites.

- `readout_order.v`: row and column scan around the address generators; one photosite's address a clock, with blanking
  while a generator gets new keys. A zone has generators of its own: a colour plane, and each kind of cells, tiles,
  blocks or buffers that an edge cuts off. This design has {len(design.zones)}.
- `keyed_round.v`, `keyed_bijection.v`: the generator without a table; `order_table.v`: the one with a table.
{line_part}- `benes_network.v`: a switch network of {ports} ports whose settings are shifted in;
  `sensor.benes.route` computes them.
- `*_tb.v`: self-checking test benches; each prints PASS or FAIL. `order_supply.v` gives them keys; all other modules
  are synthesizable.

Run them with Icarus Verilog in this folder; the first covers {slots} slots:

    iverilog -g2005 -o order readout_order_tb.v {" ".join(SOURCES)}
    vvp order +count={slots}
    iverilog -g2005 -o benes benes_network_tb.v benes_network.v && vvp benes
{line_run}
Without any tool: `expected.hex` holds row times 65536 plus column for each slot, as eight hexadecimal digits, of the
frame that `golden.json` names; its `sha256` is that of all slots as little-endian words. The key in `golden.json` is
a public one for tests. `words_N.hex` and `row_words_N.hex` hold the round keys, or tables, of zone N, drawn from it.

The round keys of a real frame come from the key and the frame's nonce (HKDF-SHA256 and ChaCha20, in the host or in a
cipher core). Whoever has them has the frame.
"""

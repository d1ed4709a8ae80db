"""The exported Verilog against Python: every address, every network, whole frames through line buffers; linted."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest

from scrambler import Key, Multiplexer, list_generators
from sensor import CaptureError, RawFrame
from sensor.benes import route, switch
from sensor.rtl import Design, benes_bench, benes_module, export_rtl, vectors_of, write_vectors
from sensor.rtl.export import TEST_KEY, TEST_NONCE

PATTERNS = ("frame", "rows", "columns", "rows+columns", "lines:4")
LIBRARY = ["readout_order.v", "keyed_round.v", "keyed_bijection.v", "order_table.v"]
SMALL = (34, 60)  # 17 rows of quads: the last line buffer is a short one


def tool(name):
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed (Debian: {name})")


def run(folder, *command):
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def simulate(folder, top, *sources, arguments=()):
    run(folder, "iverilog", "-g2005", "-o", "sim", f"{top}.v", *sources)
    return run(folder, "vvp", "sim", *arguments)


@tool("iverilog")
@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_address_is_pythons(tmp_path, pattern, generator):
    for unit in ("pixel", "quad") if generator != "feistel" else ("quad",):
        design = Design(shape=SMALL, pattern=pattern, unit=unit, generator=generator)
        export_rtl(design, tmp_path)
        assert "PASS 2040 addresses" in simulate(tmp_path, "readout_order_tb", *LIBRARY)


@tool("iverilog")
def test_a_wrong_address_is_found(tmp_path):
    export_rtl(Design(shape=SMALL, pattern="columns"), tmp_path)
    lines = (tmp_path / "expected.hex").read_text().splitlines()
    lines[1000] = "00000000"
    (tmp_path / "expected.hex").write_text("\n".join(lines))
    assert "FAIL 1 of 2040" in simulate(tmp_path, "readout_order_tb", *LIBRARY)


@tool("iverilog")
def test_a_network_of_64_ports_of_12_bits_routes_random_rows(tmp_path):
    check_network(tmp_path, 100)


@pytest.mark.slow
@tool("iverilog")
def test_a_network_of_64_ports_of_12_bits_routes_1000_random_rows(tmp_path):
    check_network(tmp_path, 1000)


def check_network(folder, rows):
    rng = np.random.default_rng(rows)
    (folder / "benes_network.v").write_text(benes_module(64, 12))
    (folder / "benes_network_tb.v").write_text(benes_bench(64, 12, rows))
    columns = {"rows": [], "settings": [], "routed": []}
    for _ in range(rows):
        row, order = rng.integers(0, 4096, 64), rng.permutation(64)
        settings = route(order)
        np.testing.assert_array_equal(switch(row, settings), row[order])
        columns["rows"].append("".join(f"{v:03x}" for v in row[::-1]))
        columns["routed"].append("".join(f"{v:03x}" for v in row[order][::-1]))
        columns["settings"].append(f"{sum(int(bit) << i for i, bit in enumerate(settings)):x}")
    for name, lines in columns.items():
        (folder / f"{name}.hex").write_text("\n".join(lines) + "\n")
    assert f"PASS {rows} rows" in simulate(folder, "benes_network_tb", "benes_network.v")


def shuffle_lines(folder, design, codes):
    """Send a frame through the exported line buffers."""
    mux = Multiplexer(Key.from_bytes(TEST_KEY), pattern=design.pattern, unit=design.unit, generator=design.generator)
    shuffled = mux.permutation(design.shape, TEST_NONCE, period=design.period).shuffle(codes)
    export_rtl(design, folder)
    for name, frame in (("codes", codes), ("shuffled", shuffled)):
        (folder / f"{name}.hex").write_text(frame.astype(">u2").tobytes().hex("\n", 2) + "\n")
    return simulate(folder, "line_shuffle_tb", "line_buffer.v", *LIBRARY)


@tool("iverilog")
@pytest.mark.parametrize("generator", list_generators())
def test_a_frame_goes_through_the_line_buffers(tmp_path, generator):
    codes = np.random.default_rng(3).integers(0, 4096, SMALL).astype(np.uint16)
    design = Design(shape=SMALL, pattern="lines:4", generator=generator)
    assert "PASS 2040 codes" in shuffle_lines(tmp_path, design, codes)


@pytest.mark.slow
@tool("iverilog")
def test_a_real_frame_goes_through_the_line_buffers(tmp_path, data):
    path = sorted(data.rglob("*infinite_isp_outdoor1_2592x1536*"))[0]
    codes = RawFrame.load(path).mosaic
    height, width = (side // 2 * 2 for side in codes.shape)
    design = Design(shape=(height, width), pattern="lines:16", generator="feistel")
    codes = np.ascontiguousarray(codes[:height, :width]) & 0xFFF
    assert f"PASS {codes.size} codes" in shuffle_lines(tmp_path, design, codes)


@pytest.mark.slow
@tool("verilator")
@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("pattern", [*PATTERNS[:-1], "lines:16"])
def test_every_address_of_a_full_hd_frame_is_pythons_for_two_keys_and_three_nonces(tmp_path, pattern, generator):
    design = Design(shape=(1080, 1920), pattern=pattern, generator=generator)
    export_rtl(design, tmp_path, most_slots=16)
    build = "--binary -O3 -Wno-fatal -Wno-WIDTH --top-module readout_order_tb readout_order_tb.v"
    run(tmp_path, "verilator", *build.split(), *LIBRARY)
    for number in range(6):
        nonce = (number % 3).to_bytes(16, "big")
        write_vectors(design, vectors_of(design, Key.from_bytes(bytes([number // 3] * 32)), nonce), tmp_path)
        assert "PASS 2073600 addresses" in run(tmp_path, tmp_path / "obj_dir" / "Vreadout_order_tb")


@tool("verilator")
@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_verilator_finds_nothing_to_complain_about(tmp_path, pattern, generator):
    export_rtl(Design(shape=SMALL, pattern=pattern, generator=generator), tmp_path)
    # Upper halves of products and bits that a width leaves over are unused on purpose, and REST may be 0.
    command = "verilator --lint-only -Wall -Wno-UNUSED -Wno-UNSIGNED -Wno-DECLFILENAME --top-module readout_order"
    assert run(tmp_path, *command.split(), *LIBRARY).strip() == ""
    if pattern == "frame":
        for name in ("benes_network", "line_buffer"):
            command = f"verilator --lint-only -Wall --top-module {name} {name}.v"
            assert run(tmp_path, *command.split()).strip() == ""


@tool("yosys")
def test_yosys_finds_no_latches_and_no_warnings_that_matter(tmp_path):
    export_rtl(Design(shape=SMALL, pattern="lines:4", generator="light"), tmp_path)
    script = (
        f"read_verilog {' '.join(LIBRARY)} line_buffer.v benes_network.v; hierarchy -check; proc; "
        "select -assert-none t:$dlatch t:$_DLATCH_*; check -assert"
    )
    assert "Warning" not in run(tmp_path, "yosys", "-p", script)


@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_vectors_check_equality_without_any_tool(tmp_path, pattern, generator):
    design = Design(shape=SMALL, pattern=pattern, generator=generator)
    export_rtl(design, tmp_path)
    golden = json.loads((tmp_path / "golden.json").read_text())
    mux = Multiplexer(
        Key.from_bytes(bytes.fromhex(golden["test_key"])), pattern=pattern, unit="quad", generator=generator
    )
    row, column = np.divmod(mux.permutation(SMALL, bytes.fromhex(golden["test_nonce"])).source, 60)
    words = (row * 65536 + column).astype("<u4")
    assert hashlib.sha256(words.tobytes()).hexdigest() == golden["sha256"]
    assert [int(line, 16) for line in (tmp_path / "expected.hex").read_text().split()] == words.tolist()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"pattern": "tiles:8"}, "not exported as hardware: choose frame, rows, columns, rows.columns or lines:L"),
        ({"pattern": "rows", "unit": "plane"}, "choose pixel or quad"),
        ({"pattern": "rows", "shape": (33, 60)}, "33 x 60 is not two or more whole cells of 2 x 2"),
        ({"pattern": "frame", "shape": (4, 600)}, "exported with tables only"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(wrong, sentence):
    with pytest.raises(CaptureError, match=sentence):
        Design(**{"shape": SMALL, **wrong})

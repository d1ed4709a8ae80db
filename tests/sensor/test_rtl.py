"""The exported Verilog against Python: every address, every network, whole frames through line buffers; linted."""

import hashlib
import json
import os
import shutil
import subprocess

import numpy as np
import pytest

from scrambler import Key, Multiplexer, list_generators
from scrambler.errors import PatternError
from sensor import CaptureError, RawFrame
from sensor.benes import route, switch
from sensor.rtl import (
    Design,
    benes_bench,
    benes_module,
    export_rtl,
    public_vectors,
    vectors_of,
    write_codes,
    write_vectors,
)
from sensor.rtl.export import SOURCES, TEST_KEY, TEST_NONCE

PATTERNS = ("frame", "rows", "columns", "rows+columns", "lines:4", "tiles:3", "blocks:3")
UNITS = ("pixel", "quad", "plane")
EVEN, ODD = (34, 60), (13, 21)  # 17 x 30 whole quads, and 6 x 10 with half ones at the edges

EVERYTHING = [(pattern, unit, generator) for pattern in PATTERNS for unit in UNITS for generator in list_generators()]
# Each pattern with each generator and each unit, though not with each pair of them.
SOME = [one for number, one in enumerate(EVERYTHING) if number // 9 % 3 == (number // 3 + number) % 3]


def tool(name):
    """Skip without the tool; on a build server, iverilog has to be there."""
    needed = name == "iverilog" and os.environ.get("CI", "").lower() in ("1", "true")
    missing = shutil.which(name) is None and not needed
    return pytest.mark.skipif(missing, reason=f"{name} is not installed (Debian: {name})")


def run(folder, *command):
    assert shutil.which(command[0]) is not None, f"{command[0]} is not installed, and CI must not skip"
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def simulate(folder, top, *sources, arguments=()):
    run(folder, "iverilog", "-g2005", "-o", "sim", f"{top}.v", *sources)
    return run(folder, "vvp", "sim", *arguments)


def compile_with_verilator(folder, top, *sources):
    run(folder, "verilator", "--binary", "-O3", "-Wno-fatal", "-Wno-WIDTH", "--top-module", top, f"{top}.v", *sources)
    return folder / "obj_dir" / f"V{top}"


def check_addresses(folder, shape, pattern, unit, generator):
    design = Design(shape=shape, pattern=pattern, unit=unit, generator=generator)
    export_rtl(design, folder)
    assert f"PASS {shape[0] * shape[1]} addresses" in simulate(folder, "readout_order_tb", *SOURCES)


@tool("iverilog")
@pytest.mark.parametrize(("pattern", "unit", "generator"), SOME)
def test_every_address_is_pythons(tmp_path, pattern, unit, generator):
    check_addresses(tmp_path, ODD, pattern, unit, generator)


@tool("iverilog")
def test_a_bench_that_is_told_to_stop_early_says_pass_and_nothing_else(tmp_path):
    export_rtl(Design(shape=EVEN, pattern="frame"), tmp_path, most_slots=100)
    said = simulate(tmp_path, "readout_order_tb", *SOURCES, arguments=("+count=100",))
    assert "PASS 100 addresses" in said
    assert "FAIL" not in said


@pytest.mark.slow
@tool("iverilog")
@pytest.mark.parametrize("shape", [EVEN, ODD, (1, 5), (70, 3)])
@pytest.mark.parametrize(("pattern", "unit", "generator"), EVERYTHING)
def test_every_address_of_every_design_is_pythons(tmp_path, shape, pattern, unit, generator):
    check_addresses(tmp_path, shape, pattern, unit, generator)


@tool("iverilog")
@pytest.mark.parametrize("unit", UNITS)
def test_other_periods_of_colour_filters_have_zones_of_their_own(tmp_path, unit):
    design = Design(shape=(21, 31), pattern="lines:2", unit=unit, period=(4, 4), generator="light")
    export_rtl(design, tmp_path)
    assert "PASS 651 addresses" in simulate(tmp_path, "readout_order_tb", *SOURCES)


@pytest.mark.parametrize(("pattern", "unit", "generator"), EVERYTHING)
def test_zones_cover_every_photosite_once(pattern, unit, generator):
    covered = np.zeros(ODD, int)
    for zone in Design(shape=ODD, pattern=pattern, unit=unit, generator=generator).zones:
        down, right = (first + np.arange(size) * step for first, size, step in zip(
            (zone.top, zone.left), zone.shape, zone.step, strict=True
        ))  # fmt: skip
        covered[np.ix_(down, right)] += 1
        assert (zone.rows % zone.deep, zone.columns % zone.wide) == (0, 0)
    assert (covered == 1).all()


@tool("iverilog")
def test_a_wrong_address_is_found(tmp_path):
    export_rtl(Design(shape=EVEN, pattern="columns"), tmp_path)
    lines = (tmp_path / "expected.hex").read_text().splitlines()
    lines[1000] = "00000000"
    (tmp_path / "expected.hex").write_text("\n".join(lines))
    assert "FAIL 1 of 2040" in simulate(tmp_path, "readout_order_tb", *SOURCES)


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


def export_with_frame(folder, design, codes, bits=12):
    """Export a design with a frame and what its line buffers have to make of it."""
    mux = Multiplexer(Key.from_bytes(TEST_KEY), pattern=design.pattern, unit=design.unit, generator=design.generator)
    shuffled = mux.permutation(design.shape, TEST_NONCE, period=design.period).shuffle(codes)
    export_rtl(design, folder, bits=bits, most_slots=16)
    write_codes(public_vectors(design), codes, folder)
    written = [int(line, 16) for line in (folder / "shuffled.hex").read_text().split()]
    np.testing.assert_array_equal(np.reshape(written, design.shape), shuffled)


@tool("iverilog")
@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize(("pattern", "unit"), [("lines:4", "quad"), ("lines:5", "plane"), ("tiles:3", "pixel")])
def test_a_frame_goes_through_the_line_buffers(tmp_path, pattern, unit, generator):
    codes = np.random.default_rng(3).integers(0, 4096, ODD).astype(np.uint16)
    export_with_frame(tmp_path, Design(shape=ODD, pattern=pattern, unit=unit, generator=generator), codes)
    assert "PASS 273 codes" in simulate(tmp_path, "line_shuffle_tb", "line_buffer.v", *SOURCES)


@pytest.mark.slow
@tool("verilator")
@pytest.mark.parametrize("pattern", ["lines:16", "tiles:8"])
@pytest.mark.parametrize("name", ["infinite_isp_outdoor1_2592x1536_grbg8.dng", "nikon_rose_768x512_rggb14.dng"])
def test_real_frames_go_through_the_line_buffers(tmp_path, data, name, pattern):
    frame = RawFrame.load(data / "raw" / name)
    codes = frame.mosaic
    export_with_frame(tmp_path, Design(shape=codes.shape, pattern=pattern), codes, frame.bit_depth)
    program = compile_with_verilator(tmp_path, "line_shuffle_tb", "line_buffer.v", *SOURCES)
    assert f"PASS {codes.size} codes" in run(tmp_path, program)


@pytest.mark.slow
@tool("verilator")
@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("pattern", ["frame", "rows", "columns", "rows+columns", "lines:16", "tiles:8", "blocks:8"])
def test_every_address_of_a_full_hd_frame_is_pythons_for_two_keys_and_three_nonces(tmp_path, pattern, unit, generator):
    design = Design(shape=(1080, 1920), pattern=pattern, unit=unit, generator=generator)
    export_rtl(design, tmp_path, most_slots=16)
    program = compile_with_verilator(tmp_path, "readout_order_tb", *SOURCES)
    for number in range(6):
        nonce = (number % 3).to_bytes(16, "big")
        write_vectors(vectors_of(design, Key.from_bytes(bytes([number // 3] * 32)), nonce), tmp_path)
        assert "PASS 2073600 addresses" in run(tmp_path, program)


@tool("verilator")
@pytest.mark.parametrize(("pattern", "unit", "generator"), SOME)
def test_verilator_finds_nothing_to_complain_about(tmp_path, pattern, unit, generator):
    export_rtl(Design(shape=ODD, pattern=pattern, unit=unit, generator=generator), tmp_path)
    # Upper halves of products and bits that a width leaves over are unused on purpose, and REST may be 0.
    command = "verilator --lint-only -Wall -Wno-UNUSED -Wno-UNSIGNED -Wno-DECLFILENAME --top-module readout_order"
    assert run(tmp_path, *command.split(), *SOURCES[:-1]).strip() == ""
    if pattern == "frame":
        for name in ("benes_network", "line_buffer"):
            command = f"verilator --lint-only -Wall --top-module {name} {name}.v"
            assert run(tmp_path, *command.split()).strip() == ""


@tool("yosys")
@pytest.mark.parametrize(
    ("pattern", "unit", "generator"),
    [("lines:4", "quad", "light"), ("tiles:3", "plane", "table"), ("rows+columns", "pixel", "feistel")],
)
def test_yosys_finds_no_latches_and_no_warnings_that_matter(tmp_path, pattern, unit, generator):
    check_with_yosys(tmp_path, pattern, unit, generator)


@pytest.mark.slow
@tool("yosys")
@pytest.mark.parametrize(("pattern", "unit", "generator"), EVERYTHING)
def test_yosys_finds_no_latches_in_any_design(tmp_path, pattern, unit, generator):
    check_with_yosys(tmp_path, pattern, unit, generator)


def check_with_yosys(folder, pattern, unit, generator):
    export_rtl(Design(shape=ODD, pattern=pattern, unit=unit, generator=generator), folder)
    script = (
        f"read_verilog {' '.join(SOURCES[:-1])} line_buffer.v benes_network.v; hierarchy -check; proc; "
        "select -assert-none t:$dlatch t:$_DLATCH_*; check -assert"
    )
    assert "Warning" not in run(folder, "yosys", "-p", script)


@pytest.mark.parametrize("generator", list_generators())
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_vectors_check_equality_without_any_tool(tmp_path, pattern, generator):
    design = Design(shape=EVEN, pattern=pattern, generator=generator)
    export_rtl(design, tmp_path)
    golden = json.loads((tmp_path / "golden.json").read_text())
    mux = Multiplexer(
        Key.from_bytes(bytes.fromhex(golden["test_key"])), pattern=pattern, unit="quad", generator=generator
    )
    row, column = np.divmod(mux.permutation(EVEN, bytes.fromhex(golden["test_nonce"])).source, 60)
    words = (row * 65536 + column).astype("<u4")
    assert hashlib.sha256(words.tobytes()).hexdigest() == golden["sha256"]
    assert [int(line, 16) for line in (tmp_path / "expected.hex").read_text().split()] == words.tolist()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"pattern": "spiral"}, "no pattern 'spiral'"),
        ({"unit": "row"}, "no unit 'row'"),
        ({"generator": "aes"}, "no generator 'aes'"),
        ({"shape": (0, 60)}, "has 1 to 65535 photosites, got 0 x 60"),
        ({"shape": (4, 70000)}, "got 4 x 70000"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(wrong, sentence):
    with pytest.raises((CaptureError, PatternError), match=sentence):
        Design(**{"shape": EVEN, "pattern": "rows", **wrong})

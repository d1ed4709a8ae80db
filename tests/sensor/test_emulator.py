"""The emulated readout: the camera's frames bit for bit, the formulae's times and counts, and files of both."""

from dataclasses import replace

import numpy as np
import pytest

from scrambler import Multiplexer
from sensor import Camera, CaptureError, Scene, SwitchNetwork, compare_readouts, readout_timeline, sensor_preset
from sensor.benes import route, switch
from sensor.emulator import ReadoutEmulator, write_vcd
from sensor.emulator.converters import ConverterBank
from sensor.emulator.link import Link
from sensor.readout_counts import benes_switches
from sensor.readout_timing import random_access_time_s, row_time_s

PATTERNS = ("frame", "rows", "columns", "rows+columns", "lines:2", "tiles:2", "blocks:2")
NONCE = bytes(range(16))
SHAPE = (14, 22)
SCENE = Scene.from_array(np.random.default_rng(0).uniform(0, 1.2, (*SHAPE, 3)).astype(np.float32))

NOISY = {
    "column_offset_e": 3.0, "column_gain_percent": 0.5, "row_noise_e": 2.0, "banding_noise_e": 2.0,
    "rts_fraction": 0.1, "rts_amplitude_e": 20.0, "hot_pixel_fraction": 0.05, "hot_pixel_e_per_s": 1e4,
}  # fmt: skip


def noisy(**more):
    return replace(sensor_preset("imx477"), **{**NOISY, **more})


def check(camera, nonce=NONCE, **how):
    with_nonce = {} if camera.multiplexer is None else {"nonce": nonce}
    emulation = ReadoutEmulator(camera).capture(SCENE, frame=3, **with_nonce, **how)
    captured = camera.capture(SCENE, frame=3, **with_nonce, **how)
    np.testing.assert_array_equal(emulation.frame.mosaic, captured.mosaic)
    for name in ("key_id", "nonce", "pattern", "unit", "stage", "generator", "exposure_s", "white_level"):
        assert getattr(emulation.frame, name) == getattr(captured, name)
    return emulation


@pytest.mark.parametrize("stage", ["post-adc", "pre-adc"])
@pytest.mark.parametrize("unit", ["pixel", "quad", "plane"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_emulator_captures_what_the_camera_captures(key, pattern, unit, stage):
    check(Camera(noisy(), Multiplexer(key, pattern=pattern, unit=unit), seed=5, stage=stage))


@pytest.mark.parametrize("generator", ["feistel", "light"])
def test_every_generator_is_emulated(key, generator):
    for stage in ("post-adc", "pre-adc"):
        mux = Multiplexer(key, pattern="rows+columns", generator=generator)
        check(Camera(noisy(), mux, seed=5, stage=stage, network=SwitchNetwork() if stage == "pre-adc" else None))


@pytest.mark.parametrize(
    "more",
    [
        {"ramp_curvature_dn": 5.0},
        {"converter": "sar"},
        {"converter": "sar", "capacitor_mismatch_percent": 2.0},
        {"bit_depth": 10, "black_level_dn": 20.0, "link_lanes": 3},
        {"shutter": "global", "parasitic_light_share": 0.01, "storage_dark_e_per_s": 1e4},
        {"blooming_fraction": 0.5, "full_well_e": 3000.0},
    ],
)
def test_every_kind_of_converter_shutter_and_link_is_emulated(key, more):
    for stage in ("post-adc", "pre-adc"):
        check(Camera(noisy(**more), Multiplexer(key, pattern="rows+columns"), seed=5, stage=stage))
        check(Camera(noisy(**more), Multiplexer(key), seed=5, stage=stage))
    check(Camera(noisy(**more), seed=5))


@pytest.mark.parametrize("unit", ["pixel", "quad", "plane"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_times_buffers_and_counts_are_those_of_the_formulae(key, pattern, unit):
    params = noisy(blank_rows=5, line_overhead_s=3e-7)
    for cost in compare_readouts(params, shape=SHAPE, unit=unit, patterns=(pattern,))[1:]:
        mux = Multiplexer(key, pattern=pattern, unit=unit)
        emulation = check(Camera(params, mux, stage=cost.stage))
        assert emulation.row_time_s == pytest.approx(cost.row_time_s, rel=1e-9)
        assert emulation.frame_time_s == pytest.approx(cost.frame_time_s, rel=1e-9)
        assert emulation.counts.memory_bits == cost.memory_bits
        assert emulation.counts.switches == cost.switches
        assert emulation.counts.conversions == 2 * SHAPE[0] * SHAPE[1]
        assert emulation.counts.link_bits == 12 * SHAPE[0] * SHAPE[1]
        random = emulation.circuit == "random access"
        assert emulation.counts.row_selects == (SHAPE[0] * SHAPE[1] if random else SHAPE[0])


@pytest.mark.parametrize("unit", ["pixel", "quad", "plane"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_before_the_converters_time_is_that_of_rows_or_of_random_access(key, pattern, unit):
    params = noisy(blank_rows=5, line_overhead_s=3e-7)
    camera = Camera(params, Multiplexer(key, pattern=pattern, unit=unit), stage="pre-adc")
    emulation = check(camera)
    keeps_rows = pattern in ("rows", "columns", "rows+columns") and (unit != "plane" or pattern == "columns")
    if not keeps_rows:
        assert emulation.circuit == "random access"
        assert emulation.frame_time_s == pytest.approx(random_access_time_s(params, SHAPE), rel=1e-9)
        return
    network = None if pattern == "rows" else camera.network
    row_s = row_time_s(params, SHAPE[1], network)
    assert emulation.circuit == ("row decoder" if pattern == "rows" else "switch network")
    assert emulation.row_time_s == pytest.approx(row_s, rel=1e-9)
    assert emulation.frame_time_s == pytest.approx((SHAPE[0] + 5) * row_s, rel=1e-9)


@pytest.mark.parametrize("shutter", ["rolling", "global"])
@pytest.mark.parametrize("slowest", ["analogue", "converters", "link"])
def test_the_sequencer_finds_the_timeline_of_the_formulae(key, shutter, slowest):
    more = {
        "analogue": {"analog_row_s": 9e-5},
        "converters": {"analog_row_s": 1e-6},
        "link": {"analog_row_s": 1e-6, "link_bits_per_s": 1e6},
    }[slowest]
    params = noisy(shutter=shutter, line_overhead_s=2e-6, **more)
    for stage in ("post-adc", "pre-adc"):
        camera = Camera(params, Multiplexer(key, pattern="rows+columns"), stage=stage)
        emulation = check(camera, exposure_s=0.004)
        network = camera.network if stage == "pre-adc" else None
        formula = readout_timeline(
            params, 0.004, shape=SHAPE, row_order=emulation.timeline.row, network=network, shutter=shutter
        )
        for name in formula.COLUMNS:
            np.testing.assert_allclose(getattr(emulation.timeline, name), getattr(formula, name), rtol=1e-9, atol=1e-15)
        assert emulation.row_time_s == pytest.approx(row_time_s(params, SHAPE[1], network), rel=1e-9)


def test_rows_are_selected_in_the_order_of_the_key_and_reset_before(key):
    emulation = check(Camera(noisy(), Multiplexer(key, pattern="rows", unit="pixel")), exposure_s=1e-4)
    events = emulation.events
    assert (np.diff(events.time_s) >= 0).all()
    selected = events.row[events.action == 2]
    assert sorted(selected.tolist()) == list(range(SHAPE[0]))
    assert selected.tolist() == (emulation.frame.readout_permutation(key).source[:: SHAPE[1]] // SHAPE[1]).tolist()
    np.testing.assert_array_equal(events.row[events.action == 0], selected)
    lines = events.to_csv().splitlines()
    assert lines[0] == "time_s,action,place,row"
    assert len(lines) == 1 + len(events) == 1 + 9 * SHAPE[0]


def test_line_buffers_delay_the_link_by_one_buffer(key):
    emulation = check(Camera(noisy(), Multiplexer(key, pattern="lines:2")))
    events = emulation.events
    wait = events.time_s[events.action == 7] - events.time_s[events.action == 6]
    np.testing.assert_allclose(wait, 4 * emulation.row_time_s)
    assert emulation.circuit == "line buffers"


def test_random_access_takes_the_formulas_time(key):
    params = noisy()
    emulation = check(Camera(params, Multiplexer(key), stage="pre-adc"))
    assert emulation.frame_time_s == pytest.approx(random_access_time_s(params, SHAPE))


def parse_vcd(text):
    """Read a VCD file back: names, and (time, name, value) for every change."""
    names, changes, time = {}, [], 0
    head, body = text.split("$enddefinitions $end")
    for line in head.splitlines():
        if line.startswith("$var"):
            _, _, width, mark, name, _ = line.split()
            names[mark] = (name, int(width))
    for word in body.replace("$dumpvars", "").replace("$end", "").splitlines():
        if word.startswith("#"):
            assert int(word[1:]) >= time
            time = int(word[1:])
        elif word.startswith("b"):
            value, mark = word[1:].split()
            changes.append((time, names[mark][0], int(value, 2)))
        elif word:
            changes.append((time, names[word[1:]][0], int(word[0])))
    return names, changes


def test_the_vcd_file_tells_the_same_as_the_events(key, tmp_path):
    emulation = check(Camera(noisy(), Multiplexer(key, pattern="rows")), exposure_s=1e-4)
    write_vcd(emulation.events, tmp_path / "readout.vcd")
    names, changes = parse_vcd((tmp_path / "readout.vcd").read_text(encoding="ascii"))
    assert {name for name, _ in names.values()} >= {"select_row", "convert", "link"}
    start = emulation.events.time_s.min()
    selects = [(time, value) for time, name, value in changes if name == "select_row"][1:]
    assert [value for _, value in selects] == emulation.timeline.row.tolist()
    times = (emulation.timeline.settle_s - start) * 1e12
    np.testing.assert_allclose([time for time, _ in selects], times, atol=1)
    busy = [value for _, name, value in changes if name == "link"]
    assert busy == [0] + [1, 0] * SHAPE[0]


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 13, 22, 64])
def test_a_network_of_any_width_lets_every_order_through(width):
    rng = np.random.default_rng(width)
    for _ in range(40):
        order, row = rng.permutation(width), rng.integers(0, 4096, width)
        settings = route(order)
        assert len(settings) == benes_switches(width)
        np.testing.assert_array_equal(switch(row, settings), row[order])


def test_a_ramp_and_a_sar_converter_by_hand(quiet):
    # 10 bits, half a code an electron, black 23: -60 e- lie below, 0 e- at 23, 3 e- at 24.5 (rounds up), 9999 above.
    charge = np.array([-60, 0, 3, 9999], np.float32)
    for converter in ("single-slope", "sar"):
        bank = ConverterBank(replace(quiet, converter=converter), 4, seed=0, gain=1.0)
        assert bank.convert(charge).tolist() == [0, 23, 25, 1023]
        assert bank.cycles == 2 * (1024 if converter == "single-slope" else 11)
        assert bank.conversions == 8


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize("lanes", [1, 2, 3, 4])
def test_what_goes_over_the_lanes_comes_back(bits, lanes):
    row = np.random.default_rng(bits).integers(0, 1 << bits, 23).astype(np.uint16)
    link = Link(lanes, bits)
    sent = link.send(row)
    assert len(sent) == lanes
    np.testing.assert_array_equal(link.receive(sent, 23), row)


def test_an_emulator_wants_a_camera_and_a_nonce_that_is_used():
    with pytest.raises(CaptureError, match=r"needs a sensor\.Camera, got str"):
        ReadoutEmulator("imx477")
    with pytest.raises(CaptureError, match="no multiplexer"):
        ReadoutEmulator(Camera()).capture(SCENE, nonce=NONCE)

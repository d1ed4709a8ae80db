"""Timing and cost of readouts, against figures reckoned by hand and published ones."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from scrambler import Multiplexer
from scrambler.errors import PatternError
from sensor import CaptureError, SwitchNetwork, compare_readouts, readout_row_order, readout_timeline, sensor_preset
from sensor.readout_counts import benes_switches, order_bits
from sensor.readout_figure import timeline_png
from sensor.readout_timing import conversion_time_s, frame_time_s, link_time_s, random_access_time_s, row_time_s


@pytest.fixture
def imx477():
    return sensor_preset("imx477")


def cost(params, pattern, stage="post-adc", **more):
    (found,) = [c for c in compare_readouts(params, **more) if (c.pattern, c.stage) == (pattern, stage)]
    return found


def test_the_row_time_of_the_imx477_is_the_drivers_and_fits_its_frame_rate(imx477):
    # Linux driver: 24,000 pixel clocks at 840 MHz. Published: 11 frames a second, 29.9 us a row without blanking.
    assert row_time_s(imx477) == pytest.approx(24_000 / 840e6, rel=1e-3)
    assert row_time_s(imx477) == pytest.approx(29.9e-6, rel=0.05)
    assert 1 / frame_time_s(imx477) == pytest.approx(11.0, rel=0.005)


def test_row_time_by_hand():
    # 1000 columns of 10 bits over 2 lanes of 1 Gb/s: 5 us. Ramp: 1024 steps at 512 MHz, 2 us, twice. Analogue 3 us.
    params = replace(
        sensor_preset("imx477"),
        width_px=1000, height_px=100, bit_depth=10, black_level_dn=64, converter_clock_hz=512e6, analog_row_s=3e-6,
        link_lanes=2, link_bits_per_s=1e9, line_overhead_s=0.5e-6, blank_rows=20,
    )  # fmt: skip
    assert conversion_time_s(params) == pytest.approx(2e-6)
    assert link_time_s(params, 1000) == pytest.approx(5e-6)
    assert row_time_s(params) == pytest.approx(5.5e-6)
    assert row_time_s(params, 500) == pytest.approx(4.5e-6)  # now the converters are the slowest
    assert row_time_s(replace(params, analog_row_s=9e-6)) == pytest.approx(9.5e-6)
    assert frame_time_s(params) == pytest.approx(120 * 5.5e-6)
    # SAR: 11 clocks of 10 MHz.
    assert conversion_time_s(replace(params, converter="sar", converter_clock_hz=10e6)) == pytest.approx(1.1e-6)


def test_global_random_access_costs_as_many_frames_as_there_are_columns(imx477):
    # Converters as the slowest stage, without overlap: one row time is analogue time plus conversions.
    params = replace(imx477, analog_row_s=1e-6, line_overhead_s=0.0, link_bits_per_s=1e12, blank_rows=0)
    sequential = params.analog_row_s + 2 * conversion_time_s(params)
    assert random_access_time_s(params) / (params.height_px * sequential) == pytest.approx(params.width_px)
    # 3 us a photosite: published estimates of 0.20 s for 256 x 256, 0.92 s VGA, 6.2 s 1080p, 37 s IMX477.
    three = replace(params, analog_row_s=1e-6, conversions_per_read=1, converter_clock_hz=4096 / 2e-6)
    for shape, seconds in (((256, 256), 0.20), ((480, 640), 0.92), ((1080, 1920), 6.2), ((3040, 4056), 37.0)):
        assert random_access_time_s(three, shape) == pytest.approx(seconds, rel=0.02)
    assert cost(imx477, "frame", "pre-adc").frame_time_s == random_access_time_s(imx477)


def test_counts_of_orders_by_hand():
    f = math.factorial
    shape = (4, 6)
    expected = {
        "frame": f(24), "rows": f(4), "columns": f(6) ** 4, "rows+columns": f(4) * f(6) ** 4,
        "lines:3": f(18) * f(6), "tiles:3": f(9) ** 2 * f(3) ** 2, "blocks:3": f(2) * f(2),
    }  # fmt: skip
    for pattern, count in expected.items():
        assert order_bits(pattern, shape, "pixel") == pytest.approx(math.log2(count), rel=1e-12)
    # Quads: 2 x 3 cells. Planes: four grids of 2 x 3.
    assert order_bits("frame", shape, "quad") == pytest.approx(math.log2(f(6)))
    assert order_bits("frame", shape, "plane") == pytest.approx(4 * math.log2(f(6)))


@pytest.mark.parametrize("pattern", ["frame", "rows", "columns", "rows+columns", "lines:2", "tiles:2", "blocks:2"])
@pytest.mark.parametrize(("shape", "unit"), [((3, 2), "pixel"), ((4, 4), "quad"), ((2, 4), "plane")])
def test_the_multiplexer_draws_exactly_that_many_orders(key, pattern, shape, unit):
    count = round(2 ** order_bits(pattern, shape, unit))
    mux = Multiplexer(key, pattern=pattern, unit=unit)
    draws = min(20 * count + 20, 8000)
    seen = {mux.permutation(shape, i.to_bytes(16, "little")).source.tobytes() for i in range(draws)}
    # With 20 draws for each order, one is missed with odds below count * exp(-20).
    assert len(seen) == count


def test_switches_of_a_benes_network():
    for n in (2, 4, 8, 64, 256, 2048, 4096):
        assert benes_switches(n) == n * (math.log2(n) - 0.5)
    assert benes_switches(1) == 0
    # Enough switches to reach every order, and fewer for fewer ports.
    for n in range(2, 40):
        assert benes_switches(n) >= math.log2(math.factorial(n))
        assert benes_switches(n) > benes_switches(n - 1)


def test_memory_and_rates_of_the_comparison(imx477):
    line = 4056 * 12
    assert cost(imx477, "frame").memory_bits == 3040 * line  # 17.6 MiB
    assert cost(imx477, "frame").memory_bits / 8 / 2**20 == pytest.approx(17.6, abs=0.1)
    assert cost(imx477, "lines:16", unit="pixel").memory_bits == 2 * 16 * line  # 190 KiB
    assert cost(imx477, "lines:16").memory_bits == 2 * 32 * line  # cells of two rows
    for pattern in ("rows", "columns", "rows+columns"):
        free = cost(imx477, pattern)
        assert (free.memory_bits, free.switches) == (0, 0)
        assert free.frame_rate_hz == pytest.approx(11, rel=0.005)
    assert cost(imx477, "columns", "pre-adc").switches == benes_switches(4056)
    assert all(c.key_bits == 256 for c in compare_readouts(imx477)[1:])
    tiny = cost(imx477, "rows", shape=(6, 8), unit="pixel")
    assert tiny.key_bits == tiny.order_bits == pytest.approx(math.log2(720))


def test_energy_by_hand(imx477):
    # Converters: 2 x 0.1 pJ x 4096 a pixel; link: 12 bits of 12.5 pJ; columns: wires of 3040 rows, 1 V at 2.8 V.
    pixels = 3040 * 4056
    wire = 9e-15 * 90 / 130 * 1.55 / 5
    expected = pixels * (2 * 0.1e-12 * 4096 + 12 * 12.5e-12 + wire * 3040 * 2.8) + 3040 * wire * 4056 * 2.8**2
    plain = compare_readouts(imx477)[0]
    assert plain.pattern == "none"
    assert plain.energy_j == pytest.approx(expected, rel=1e-9)
    # Random access selects a row for every photosite: W times the row drivers' energy.
    access = cost(imx477, "frame", "pre-adc")
    rows = 3040 * wire * 4056 * 2.8**2
    assert access.energy_j - plain.energy_j - pixels * access.gates * 1e-15 == pytest.approx(
        rows * (4056 - 1), rel=1e-6
    )


def test_a_network_that_settles_slowly_slows_the_row_down(imx477):
    slow = SwitchNetwork(switch_ohm=1e6)
    assert slow.settling_time_s(4056, 12) == pytest.approx(13 * math.log(2) * slow.time_constant_s(4056))
    forever = replace(slow, settle_s=float("inf"))
    assert row_time_s(imx477, None, forever) == pytest.approx(
        imx477.analog_row_s + slow.settling_time_s(4056, 12) + imx477.line_overhead_s
    )
    assert row_time_s(imx477, None, replace(slow, settle_s=1e-3)) == pytest.approx(1.005e-3, rel=0.01)


def test_a_timeline_by_hand(imx477):
    params = replace(imx477, analog_row_s=3e-6, line_overhead_s=0.0)
    order = np.array([2, 0, 3, 1])
    line = readout_timeline(params, 0.004, shape=(4, 4056), row_order=order)
    row = row_time_s(params)
    np.testing.assert_array_equal(line.row, order)
    np.testing.assert_allclose(line.settle_s, row * np.arange(4))
    np.testing.assert_allclose(line.exposure_end_s - line.reset_s, 0.004)
    np.testing.assert_allclose(line.exposure_end_s, line.settle_s)
    np.testing.assert_allclose(line.convert_s - line.settle_s, 3e-6)
    np.testing.assert_allclose(line.shift_s - line.convert_s, 2 * 4096 / 500e6)
    np.testing.assert_allclose(line.end_s - line.shift_s, 4056 * 12 / 1.8e9)
    together = readout_timeline(params, 0.004, shape=(4, 4056), row_order=order, shutter="global")
    np.testing.assert_array_equal(together.exposure_end_s, 0)
    np.testing.assert_array_equal(together.reset_s, -0.004)


def test_the_link_and_the_converters_never_serve_two_rows_at_once(imx477):
    for params in (imx477, sensor_preset("imx455"), replace(imx477, converter_clock_hz=50e6)):
        line = readout_timeline(params, 0.01, shape=(50, params.width_px))
        for begin, end in (("settle_s", "convert_s"), ("convert_s", "shift_s"), ("shift_s", "end_s")):
            assert (getattr(line, begin)[1:] >= getattr(line, end)[:-1] - 1e-12).all()


def test_tables_of_a_timeline_hold_the_same_numbers(imx477):
    line = readout_timeline(imx477, 0.01, shape=(6, 4056))
    rows = list(csv.DictReader(io.StringIO(line.to_csv())))
    content = json.loads(line.to_json())
    assert [int(r["row"]) for r in rows] == content["row"] == list(range(6))
    np.testing.assert_allclose([float(r["end_s"]) for r in rows], content["end_s"], rtol=1e-8)
    assert timeline_png(line).startswith(b"\x89PNG")
    # Rows of many rows of the sensor are drawn by their place in the readout.
    mixed = replace(line, row=np.full(6, -1))
    assert timeline_png(mixed).startswith(b"\x89PNG")
    assert timeline_png(mixed) != timeline_png(line)


@pytest.mark.parametrize("pattern", ["rows", "rows+columns"])
def test_keyed_rows_are_read_in_the_order_of_the_permutation(key, imx477, pattern):
    mux = Multiplexer(key, pattern=pattern)
    order = readout_row_order(mux, imx477, (10, 14), bytes(16))
    source = mux.permutation((10, 14), bytes(16)).source.reshape(10, 14)
    assert sorted(order) == list(range(10))
    assert not np.array_equal(order, range(10))
    for place in range(10):
        assert set(source[place] // 14) == {order[place]}


@pytest.mark.parametrize("pattern", ["frame", "columns", "lines:2", "tiles:2", "blocks:2"])
def test_other_patterns_read_the_sensor_from_the_top(key, imx477, pattern):
    assert readout_row_order(Multiplexer(key, pattern=pattern), imx477, (12, 16), bytes(16)).tolist() == list(range(12))


def test_impossible_timelines_are_refused(imx477):
    for wrong in ({"row_order": np.array([0, 0])}, {"row_order": np.arange(3)}):
        with pytest.raises(CaptureError, match="row_order"):
            readout_timeline(imx477, 0.01, shape=(2, 4056), **wrong)
    with pytest.raises(CaptureError, match="exposure_s"):
        readout_timeline(imx477, -1, shape=(2, 4056))
    with pytest.raises(CaptureError, match="shutter"):
        readout_timeline(imx477, 0.1, shape=(2, 4056), shutter="leaf")
    with pytest.raises(PatternError, match="unit"):
        compare_readouts(imx477, unit="pair")

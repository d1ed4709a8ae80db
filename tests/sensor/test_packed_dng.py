"""DNGs without gaps between their codes."""

import numpy as np
import pytest
import rawpy
from frames import make_frame

from scrambler import Multiplexer
from sensor import BAYER, MONO, QUAD_BAYER, X_TRANS, RawFileError, RawFrame
from sensor.bit_packing import pack_rows


def naive_bytes(codes, bits):
    rows = []
    for row in codes:
        text = "".join(format(int(code), f"0{bits}b") for code in row)
        text += "0" * (-len(text) % 8)
        rows.append([int(text[at : at + 8], 2) for at in range(0, len(text), 8)])
    return np.array(rows, np.uint8)


@pytest.mark.parametrize("bits", range(8, 17))
def test_bits_lie_as_a_naive_loop_lays_them(bits):
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (5, 23)).astype(np.uint16)
    np.testing.assert_array_equal(pack_rows(codes, bits), naive_bytes(codes, bits))


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("cfa", [*BAYER, X_TRANS, QUAD_BAYER, MONO])
@pytest.mark.parametrize("shape", [(24, 36), (48, 60)])
def test_rawpy_reads_packed_files_bit_for_bit(tmp_path, bits, cfa, shape):
    codes = np.random.default_rng(1).integers(0, 1 << bits, shape).astype(np.uint16)
    frame = make_frame(*shape, cfa, mosaic=codes, bit_depth=bits, black_level=5, white_level=(1 << bits) - 1)
    frame.save(tmp_path / "a.dng", packed=True)
    with rawpy.imread(str(tmp_path / "a.dng")) as raw:
        np.testing.assert_array_equal(raw.raw_image, codes)
    loaded = RawFrame.load(tmp_path / "a.dng")
    np.testing.assert_array_equal(loaded.mosaic, codes)
    assert (loaded.cfa, loaded.bit_depth) == (cfa, bits)


@pytest.mark.parametrize("width", [23, 25, 641])
def test_odd_widths_are_no_matter(tmp_path, width):
    frame = make_frame(30, width, MONO)
    frame.save(tmp_path / "a.dng", packed=True)
    np.testing.assert_array_equal(RawFrame.load(tmp_path / "a.dng").mosaic, frame.mosaic)


def test_twelve_bits_take_three_quarters_of_the_room(tmp_path, key):
    frame = make_frame(200, 300).shuffle(Multiplexer(key))
    frame.save(tmp_path / "a.dng")
    frame.save(tmp_path / "b.dng", packed=True)
    plain, packed = ((tmp_path / name).stat().st_size for name in ("a.dng", "b.dng"))
    assert plain - packed == 200 * 300 * 2 // 4
    one, other = (RawFrame.load(tmp_path / name) for name in ("a.dng", "b.dng"))
    np.testing.assert_array_equal(one.mosaic, other.mosaic)
    assert one.nonce == other.nonce


def test_codes_beyond_the_resolution_are_refused(tmp_path):
    frame = make_frame(24, 24, mosaic=np.full((24, 24), 5000, np.uint16))
    with pytest.raises(RawFileError, match="more than 12 bits"):
        frame.save(tmp_path / "a.dng", packed=True)
    assert not list(tmp_path.iterdir())

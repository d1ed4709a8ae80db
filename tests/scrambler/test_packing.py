import numpy as np
import pytest

from scrambler.packing import pack_codes, packed_size, unpack_codes


def naive_bits(codes, bits):
    text = "".join(f"{code:0{bits}b}" for code in codes.tolist())
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 100])
def test_codes_are_packed_without_gaps(bits, count):
    codes = np.random.default_rng(1).integers(0, 1 << bits, count).astype(np.uint16)
    octets = pack_codes(codes, bits)
    assert octets.tobytes() == naive_bits(codes, bits)
    assert octets.size == packed_size(count, bits)
    back = np.empty_like(codes)
    unpack_codes(octets, bits, back)
    np.testing.assert_array_equal(back, codes)

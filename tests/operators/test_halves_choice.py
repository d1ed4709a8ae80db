"""Which layers take the matrix unit, how their weights are packed and what they need; on any processor."""

import llvmlite.binding
import numpy as np
import pytest
import torch

from operators import halves_kernels, indirect_kernels
from operators.halves import halves_numbers, suits_halves
from operators.indirect_weights import pack_halves

ALL = {"amx-tile": True, "amx-fp16": True, "avx512f": True, "avx512bw": True}
LAYER = {"inputs": 256, "outputs": 256, "taps": 9, "channels": 64, "maps": 64, "groups": 1}


@pytest.fixture
def a_unit(monkeypatch):
    """Let the choice and the packing see a processor with the unit."""
    for name, value in (("IS_THERE", True), ("ROWS", 12), ("COLUMNS", 32)):
        monkeypatch.setattr(f"operators.halves.{name}", value)
    monkeypatch.setattr("operators.indirect_weights.COLUMNS", 32)


class Library:
    """The C library, with a system call that answers ``answer``."""

    def __init__(self, answer):
        self.answer = answer

    def syscall(self, *_):
        return self.answer


@pytest.fixture
def found(monkeypatch):
    """Return a function that looks for the unit on a made-up Linux machine."""

    def look(features, answer=0):
        monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", features)
        monkeypatch.setattr(halves_kernels.ctypes, "CDLL", lambda _: Library(answer))
        monkeypatch.setattr(halves_kernels.sys, "platform", "linux")
        for name in ("CPU_FEATURES", "CPU_NAME"):
            monkeypatch.setattr(halves_kernels.numba.config, name, None, raising=False)
        monkeypatch.setattr(halves_kernels.numba.config, "DISABLE_JIT", 0)
        return halves_kernels._is_there()

    return look


def no_answer():
    raise RuntimeError("no host features")


def test_the_unit_is_used_where_features_and_system_allow_it(found):
    assert found(lambda: ALL)


@pytest.mark.parametrize("missing", ALL)
def test_the_unit_is_not_used_when_a_feature_is_missing(found, missing):
    assert not found(lambda: ALL | {missing: False})
    assert not found(lambda: {name: True for name in ALL if name != missing})


def test_the_unit_is_not_used_when_the_system_refuses_it(found):
    assert not found(lambda: ALL, answer=-1)


def test_the_unit_is_not_used_on_another_system_or_for_another_processor(found, monkeypatch):
    assert found(lambda: ALL)
    monkeypatch.setattr(halves_kernels.numba.config, "CPU_NAME", "generic", raising=False)
    assert not halves_kernels._is_there()
    monkeypatch.setattr(halves_kernels.numba.config, "CPU_NAME", "host", raising=False)
    assert halves_kernels._is_there()
    monkeypatch.setattr(halves_kernels.sys, "platform", "darwin")
    assert not halves_kernels._is_there()


def test_a_processor_that_can_not_be_told_gets_the_plainest_tiles(found):
    assert not found(no_answer)
    assert indirect_kernels._machine() == (4, 4, 2, 2)


@pytest.mark.usefixtures("a_unit")
@pytest.mark.parametrize(
    ("change", "suits"),
    [({}, True), ({"groups": 2}, False), ({"channels": 40}, False), ({"maps": 40}, False), ({"channels": 16}, False),
     ({"maps": 16}, False), ({"inputs": 1 << 20}, False), ({"inputs": 1 << 20, "taps": 1}, True),
     ({"inputs": 4, "outputs": 4}, False)],
)  # fmt: skip
def test_only_layers_of_the_right_kind_take_it(change, suits):
    assert suits_halves(**(LAYER | change)) == suits


@pytest.mark.usefixtures("a_unit")
@pytest.mark.parametrize(("name", "value"), [("IS_THERE", False), ("ROWS", 6), ("COLUMNS", 16)])
def test_no_layer_takes_it_without_the_unit_or_with_other_tiles(monkeypatch, name, value):
    monkeypatch.setattr(f"operators.halves.{name}", value)
    assert not suits_halves(**LAYER)


@pytest.mark.usefixtures("a_unit")
def test_weights_are_packed_as_two_halves_by_hand():
    weight = torch.zeros(32, 32, 1, 1)
    # 1 + 2**-12 is 1 and 2**-12; the scale brings the largest weight, 3, below 2**14.
    weight[1, 0], weight[17, 3] = 1 + 2.0**-12, 3
    packed = pack_halves(weight, None)
    assert packed.clamp[2] == 2.0**12
    # Parts h and l, 16 columns and 16 more, 16 pairs of the depth, 16 columns, two values side by side.
    tiles = packed.blocks.reshape(2, 2, 16, 16, 2)
    assert tiles[0, 0, 0, 1].tolist() == [4096, 0]
    assert tiles[1, 0, 0, 1].tolist() == [1, 0]
    assert tiles[0, 1, 1, 1].tolist() == [0, 3 * 4096]
    assert np.count_nonzero(tiles) == 3


@pytest.mark.parametrize("batch", [1, 7, 256, 4096])
@pytest.mark.parametrize("size", [64, 64 * 64, 1 << 16])
def test_scratch_memory_stays_bounded_whatever_the_batch(batch, size):
    (total, *_), jobs = halves_numbers(batch, size, 1, size, 64, 64, three_bytes=True)
    # 16 MiB of split maps, and operands and sums.
    assert total < 18 << 20
    assert jobs >= 1


def of_three_bytes(packed, block=0, step=0):
    """Return a step's weights (32 values of the depth, 32 columns) as the kernel unpacks them, without its scales."""
    one = packed.blocks.reshape(-1, 3072)[block * (len(packed.blocks) // 3072 // (len(packed.bias) // 64)) + step]
    upper, lower = one[:2048].view(np.int16).reshape(2, 16, 16, 2), one[2048:].reshape(16, 32, 2)
    values = np.empty((32, 32))
    for half in range(2):
        for pair in range(16):
            for column in range(16):
                for i in range(2):
                    row = 16 * half + pair
                    word = int(upper[half, pair, column, i])
                    eight = int(lower[row // 2, 2 * column + i, row % 2])
                    low = ((word & 15) << 8) | eight
                    values[2 * pair + i, 16 * half + column] = (word >> 4) + (low - 4096 * (low >= 2048)) / 4096
    return values


@pytest.fixture
def large(a_unit, monkeypatch):
    """Let layers of any size be large enough for three bytes."""
    monkeypatch.setattr("operators.halves_weights._FEWEST_WEIGHTS", 0)


@pytest.mark.usefixtures("large")
def test_large_weights_are_packed_in_three_bytes_by_hand():
    weight = torch.zeros(32, 32, 1, 1)
    # 1 + 2**-22 is 4194305 times 2**-22 = (1024 + 1 / 4096) * 2**-10; -3 * 2**-9 has a scale of its own.
    weight[1, 0], weight[17, 3] = 1 + 2.0**-22, -3 * 2.0**-9
    packed = pack_halves(weight, None)
    assert packed.blocks.dtype == np.uint8
    assert packed.clamp[2] == 2.0**10
    values = of_three_bytes(packed)
    assert values[0, 1] == 1024 + 1 / 4096
    assert values[3, 17] == -1536
    assert np.count_nonzero(values) == 2
    factors = packed.bias[32:]
    assert factors[1] == 1
    assert factors[17] == 2.0**-8


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(
    "largest", [1.0, 1 - 2.0**-24, 1 - 2.0**-12, 1 - 2.0**-12 - 2.0**-24, 1 - 2.0**-11, 2.0**-70, 3e38]
)
def test_three_bytes_are_right_to_two_to_the_minus_23_of_the_largest_weight_of_an_output(largest):
    weight = torch.rand(32, 32, 1, 1, generator=torch.Generator().manual_seed(1)) * 2 - 1
    weight[:, 5] = 1
    weight *= torch.logspace(-6, 0, 32)[:, None, None, None] * largest
    packed = pack_halves(weight, None)
    assert packed.blocks.dtype == np.uint8
    values = of_three_bytes(packed) * packed.bias[32:].astype(float) / float(packed.clamp[2])
    apart = np.abs(values - weight[:, :, 0, 0].T.double().numpy()).max(0)
    most = weight.abs().amax((1, 2, 3)).double().numpy()
    assert (apart <= 2.0**-23 * most / (1 - 2.0**-11)).all()


def stays(weight):
    """Whether weights stay two halves."""
    return pack_halves(weight, None).blocks.dtype == np.float16


@pytest.mark.usefixtures("large")
def test_weights_stay_halves_where_three_bytes_would_lose_what_halves_keep():
    whole = torch.ones(32, 32, 1, 1)
    assert not stays(whole)
    # 24 bits hold 1 and 2**-22, not 1 and 2**-30; two halves hold both.
    whole[0, 0] = 2.0**-22
    assert not stays(whole)
    whole[0, 0] = 2.0**-30
    assert stays(whole)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("times", "kept"), [(2.0**-5, True), (2.0**-12, False)])
def test_weights_stay_halves_where_an_input_channel_has_small_ones_only(times, kept):
    weight = torch.rand(32, 32, 1, 1, generator=torch.Generator().manual_seed(2)) + 0.5
    weight[:, 7] *= times
    assert stays(weight) != kept
    weight[:, 7] = 0
    assert not stays(weight)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_weights_that_are_no_finite_numbers_stay_halves(value):
    weight = torch.ones(32, 32, 1, 1)
    weight[3, 4] = value
    assert stays(weight)


@pytest.mark.usefixtures("a_unit")
def test_only_many_weights_are_packed_in_three_bytes():
    assert stays(torch.ones(512, 512, 1, 1))
    assert not stays(torch.ones(512, 512, 2, 2))

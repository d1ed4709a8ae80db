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
    (total, *_), jobs = halves_numbers(batch, size, 1, size, 64, 64)
    # 16 MiB of split maps, and operands and sums.
    assert total < 18 << 20
    assert jobs >= 1

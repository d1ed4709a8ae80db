"""The plan: shared keys where maps meet, no needless gathers, a readable table; locking and unlocking."""

import gc
import pickle
import weakref

import pytest
import torch
from architectures import ConvNeXt, DenseNet, ResNet, UNet, VisionTransformer
from torch import Tensor, nn

from networks import ConversionError, LockedError, convert
from scrambler import Key, WrongKeyError, keyed_permutation
from scrambler.errors import ShuffleCamError

pytestmark = pytest.mark.usefixtures("one_thread")

KEY = Key.from_bytes(bytes(range(2, 34)))
SIZE = (13, 18)
NONCES = [bytes([n] * 16) for n in range(3)]


def seen(frames: Tensor) -> Tensor:
    orders = [keyed_permutation(KEY, SIZE, nonce=nonce) for nonce in NONCES]
    return torch.stack([order.shuffle(frame) for order, frame in zip(orders, frames, strict=True)])


@pytest.mark.parametrize("family", [ResNet, DenseNet, ConvNeXt])
def test_maps_that_meet_share_a_key_and_nothing_is_moved_between(family: type[nn.Module]) -> None:
    plan = convert(family().eval(), KEY, SIZE).plan
    assert {row.kind for row in plan} <= {"KeyedConv2d", "KeyedMaxPool2d", "KeyedAvgPool2d"}
    assert plan.aligned >= 1


def test_both_branches_of_a_residual_block_write_one_order() -> None:
    rows = {row.layer: row for row in convert(ResNet().eval(), KEY, SIZE).plan}
    assert rows["blocks.1.short.0"].writes == rows["blocks.1.two.0"].writes == rows["blocks.2.two.0"].writes
    assert rows["stem.0"].reads == "frame"
    assert rows["blocks.0.two.0"].writes == rows["pool"].writes
    assert rows["blocks.0.one.0"].writes == "blocks.0.one.0"


def test_pointwise_layers_move_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 2, 1)).eval()
    keyed = convert(model, KEY, SIZE)
    assert len(keyed.plan) == 0
    assert keyed.plan.free == 4


def test_a_frame_that_is_added_to_a_map_is_moved_once() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 5, padding=2)
            self.where = nn.Parameter(torch.rand(3, *SIZE))

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(x) + x
            return torch.cat([y, x * self.where, self.two(x) - x], 1)

    model = Skip().double()
    keyed = convert(model, KEY, SIZE)
    assert [row.layer for row in keyed.plan if row.kind == "KeyedReorder"] == ["rekey_x"]
    frames = torch.rand(3, 3, *SIZE, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(keyed.unshuffle(keyed(seen(frames), nonce=NONCES)), model(frames))


def test_the_table_is_readable_and_adds_up() -> None:
    plan = convert(UNet().eval(), KEY, SIZE).plan
    lines = str(plan).splitlines()
    assert lines[0].split() == ["layer", "operator", "pixels", "table", "reads", "writes", "values", "moved"]
    assert len(lines) == len(plan) + 2
    assert lines[1].split() == ["down.0", "KeyedConv2d", "13x18", "->", "13x18", *lines[1].split()[5:]]
    assert f"{sum(row.table_entries for row in plan)} table entries" in lines[-1]
    assert all(row.table_entries > 0 for row in plan)
    assert repr(plan) == str(plan)
    assert [row.layer for row in plan[:2]] == [plan[0].layer, plan[1].layer]


@torch.no_grad()
def test_locking_drops_every_table_and_unlocking_restores_the_answers() -> None:
    model = UNet().double().eval()
    keyed = convert(model, KEY, SIZE)
    frames = torch.rand(3, 3, *SIZE, dtype=torch.float64)
    before, names = keyed(seen(frames), nonce=NONCES), list(keyed.state_dict())
    table = weakref.ref(next(buffer for name, buffer in keyed.named_buffers() if name not in names))
    optimiser_holds = next(keyed.parameters())
    keyed.lock()
    gc.collect()
    assert keyed.locked
    assert table() is None
    assert not [name for name, _ in keyed.named_buffers() if name not in names]
    assert list(keyed.state_dict()) == names
    assert "locked" in repr(keyed)
    for call in (lambda: keyed(frames, nonce=NONCES), lambda: keyed.unshuffle(before)):
        with pytest.raises(LockedError, match=f"unlock.*{KEY.id}"):
            call()
    keyed.lock()
    keyed.unlock(KEY)
    assert not keyed.locked
    torch.testing.assert_close(keyed(seen(frames), nonce=NONCES), before, rtol=0, atol=0)
    torch.testing.assert_close(keyed.unshuffle(keyed(seen(frames), nonce=NONCES)), model(frames))
    assert next(keyed.parameters()) is optimiser_holds


@torch.no_grad()
def test_weights_loaded_or_moved_while_locked_are_kept() -> None:
    model, other = VisionTransformer(SIZE).eval(), VisionTransformer(SIZE).double().eval()
    keyed = convert(model, KEY, SIZE)
    keyed.lock()
    keyed.double().load_state_dict(other.state_dict())
    keyed.unlock(KEY)
    frames = torch.rand(3, 3, *SIZE, dtype=torch.float64)
    torch.testing.assert_close(keyed(seen(frames), nonce=NONCES), other(frames))


def test_another_key_does_not_unlock() -> None:
    keyed = convert(ResNet().eval(), KEY, SIZE)
    keyed.lock()
    wrong = Key.generate()
    with pytest.raises(WrongKeyError, match=f"{KEY.id}.*{wrong.id}"):
        keyed.unlock(wrong)
    assert keyed.locked


def test_a_wrong_frame_size_names_the_right_one() -> None:
    keyed = convert(ResNet().eval(), KEY, SIZE)
    with pytest.raises(ShuffleCamError, match=r"converted for \(B, 3, 13, 18\)"):
        keyed(torch.rand(1, 3, 18, 13), nonce=NONCES[:1])


def test_no_key_and_no_table_leaves_in_a_plan_a_repr_or_a_pickle() -> None:
    keyed = convert(VisionTransformer(SIZE).eval(), KEY, SIZE)
    text = str(keyed.plan) + repr(keyed) + str(keyed.plan[0])
    assert KEY.to_bytes().hex() not in text
    assert "tensor(" not in text
    with pytest.raises(ShuffleCamError):
        pickle.dumps(keyed)
    keyed.lock()
    with pytest.raises(ShuffleCamError):
        pickle.dumps(keyed)


def test_maps_of_other_sizes_do_not_join() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, (1, 18)), nn.Conv2d(3, 4, (13, 1))

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) + self.two(x)

    with pytest.raises(ConversionError, match="combines maps"):
        convert(Net(), KEY, SIZE)


def test_a_layer_may_be_called_frame_or_natural() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frame, self.natural = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.natural(self.frame(x))

    model = Net().double()
    keyed = convert(model, KEY, SIZE)
    frames = torch.rand(3, 3, *SIZE, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(keyed.unshuffle(keyed(seen(frames), nonce=NONCES)), model(frames))

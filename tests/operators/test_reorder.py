import pickle

import pytest
import torch
from torch import nn

from operators import (
    KeyedFlatten,
    KeyedReorder,
    OperatorError,
    flatten_natural,
    gather_linear_columns,
    keyed_flatten_linear,
    rekey_pixels,
    shuffle_pixels,
    stack_slots,
    unshuffle_pixels,
)
from scrambler import Permutation, ShuffleCamError


def test_shuffling_by_hand():
    # Gather form: x' = x[v]. The other reading would give [20, 40, 10, 30].
    frame = torch.tensor([10, 20, 30, 40]).reshape(1, 1, 2, 2)
    assert shuffle_pixels(frame, Permutation([2, 0, 3, 1])).flatten().tolist() == [30, 10, 40, 20]
    assert unshuffle_pixels(frame, Permutation([2, 0, 3, 1])).flatten().tolist() == [20, 40, 10, 30]


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.bool])
def test_shuffling_is_the_scramblers_and_is_undone_bit_for_bit(draw, dtype):
    x = draw.frames(3, 2, 4, 5).to(dtype)
    order = Permutation(draw.order((4, 5)).source, shape=(4, 5))
    shuffled = shuffle_pixels(x, order)
    assert (shuffled.numpy() == order.shuffle(x.numpy())).all()
    assert torch.equal(unshuffle_pixels(shuffled, order), x)


def test_every_frame_may_have_its_own_order(draw):
    x = draw.frames(3, 2, 4, 5)
    shuffled, key = draw.keyed_batch(x, own_keys=True)
    assert torch.equal(unshuffle_pixels(shuffled, slot=key["slot"]), x)
    tau = draw.order((4, 5))
    assert torch.equal(rekey_pixels(shuffled, None, tau, slot=key["slot"]), shuffle_pixels(x, tau))


def test_rekeying_moves_from_one_order_to_the_other(draw):
    x, sigma, tau = draw.frames(2, 3, 4, 5), draw.order((4, 5)), draw.order((4, 5))
    shuffled = shuffle_pixels(x, sigma)
    assert torch.equal(rekey_pixels(shuffled, sigma, tau), shuffle_pixels(x, tau))
    assert torch.equal(rekey_pixels(shuffled, sigma), x)
    assert torch.equal(rekey_pixels(x, None, tau), shuffle_pixels(x, tau))
    assert torch.equal(rekey_pixels(x), x)


@pytest.mark.parametrize("own_keys", [False, True])
def test_the_adjoint_of_shuffling_is_unshuffling(draw, own_keys):
    x = draw.frames(2, 3, 4, 5)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    slot = key.get("slot")
    order = key.get("permutation_in")
    shuffled.requires_grad_()
    cotangent = draw.frames(2, 3, 4, 5)
    unshuffle_pixels(shuffled, order, slot=slot).backward(cotangent)
    # <U x, c> = <x, U' c>, and U' is the shuffle: unshuffling the gradient gives the cotangent back.
    assert torch.equal(unshuffle_pixels(shuffled.grad, order, slot=slot), cotangent)
    assert torch.autograd.gradgradcheck(lambda t: unshuffle_pixels(t, order, slot=slot).square(), [shuffled])


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("own_keys", [False, True])
def test_a_linear_layer_reads_shuffled_maps(draw, batch, own_keys):
    x, weight, bias = draw.frames(batch, 3, 4, 5), draw.weights(7, 60), draw.weights(7)
    shuffled, key = draw.keyed_batch(x, own_keys=own_keys)
    expected = x.flatten(1) @ weight.T + bias
    assert torch.equal(keyed_flatten_linear(shuffled, weight, bias, **key), expected)
    assert torch.equal(flatten_natural(shuffled, key.get("permutation_in"), slot=key.get("slot")), x.flatten(1))


def test_gathered_columns_read_features_as_they_come(draw):
    x, weight, sigma = draw.frames(2, 3, 4, 5), draw.weights(7, 60), draw.order((4, 5))
    features = shuffle_pixels(x, sigma).flatten(1)
    assert torch.equal(features @ gather_linear_columns(weight, sigma).T, x.flatten(1) @ weight.T)


def test_layers_follow_the_common_protocol(draw):
    x, sigma, tau = draw.frames(2, 3, 4, 5), draw.order((4, 5)), draw.order((4, 5))
    own = [draw.order((4, 5)) for _ in x]
    shuffled = shuffle_pixels(x, sigma)
    by_frame = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, own, strict=True)])
    reorder = KeyedReorder(nn.Identity(), (4, 5), sigma, tau)
    assert torch.equal(reorder(shuffled), shuffle_pixels(x, tau))
    assert torch.equal(reorder(by_frame, stack_slots(own)), shuffle_pixels(x, tau))
    flatten = KeyedFlatten(nn.Flatten(), (4, 5), sigma)
    assert torch.equal(flatten(shuffled), x.flatten(1))
    assert torch.equal(flatten(by_frame, stack_slots(own)), x.flatten(1))
    for layer in (reorder, flatten):
        assert not layer.state_dict()
        assert layer.input_size == (4, 5)
        with pytest.raises(ShuffleCamError, match="never pickled"):
            pickle.dumps(layer)


def test_what_does_not_fit_is_named(draw):
    x, order = draw.frames(2, 3, 4, 5), draw.order((3, 5))
    for call, message in [
        (lambda: shuffle_pixels(x, order), "arranges 15 pixels where the operator has 20"),
        (lambda: unshuffle_pixels(x, slot=torch.zeros(3, 20, dtype=torch.int32)), r"\(20,\) or \(2, 20\)"),
        (lambda: gather_linear_columns(torch.zeros(2, 20), order), "does not come from maps of 15"),
        (lambda: KeyedFlatten(nn.Flatten(2), (4, 5)), "dimensions 1 to the last"),
        (lambda: KeyedFlatten(nn.Flatten(), (4, 5), None, order), "no pixel order"),
    ]:
        with pytest.raises(OperatorError, match=message):
            call()

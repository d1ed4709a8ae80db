import pytest
import torch
import torch.nn.functional as F

from operators import GatherTable, Window, shuffle_pixels, stack_slots
from operators.engine_ops import keyed_conv2d_op


def case(draw, dtype, *, own_keys, groups=2, batch=3):
    x, weight = draw.frames(batch, 4, 5, 7, dtype=dtype), draw.weights(6, 4 // groups, 3, 2, dtype=dtype)
    bias = draw.weights(6, dtype=dtype)
    table = GatherTable.keyed(Window.of((5, 7), (3, 2), 2, 1), None, tau := draw.order((3, 4)))
    orders = [draw.order((5, 7)) for _ in x]
    if own_keys:
        shuffled = torch.cat([shuffle_pixels(f[None], order) for f, order in zip(x, orders, strict=True)])
        slot = stack_slots(orders)
    else:
        shuffled, slot = shuffle_pixels(x, orders[0]), stack_slots(orders[:1])[0]
    expected = shuffle_pixels(F.conv2d(x, weight, bias, 2, 1, groups=groups), tau)
    return (shuffled, weight, bias, table.places, slot, 3, 4, groups), expected


@pytest.mark.parametrize("own_keys", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_operator_gives_the_shuffled_convolution_and_its_gradients(draw, dtype, own_keys):
    arguments, expected = case(draw, dtype, own_keys=own_keys)
    assert torch.equal(torch.ops.shufflecam.keyed_conv2d(*arguments), expected)
    if dtype == torch.float64:
        inputs = [tensor.requires_grad_() for tensor in arguments[:3]]
        assert torch.autograd.gradcheck(lambda *moving: keyed_conv2d_op(*moving, *arguments[3:]), inputs)


@pytest.mark.parametrize("own_keys", [False, True])
def test_the_operator_keeps_the_rules_of_custom_operators(draw, own_keys):
    arguments, _ = case(draw, torch.float32, own_keys=own_keys)
    inputs = [tensor.clone().requires_grad_() for tensor in arguments[:3]]
    torch.library.opcheck(keyed_conv2d_op, (*inputs, *arguments[3:]))


def test_a_graph_with_the_operator_is_exported_whole_with_its_tables_as_inputs(draw):
    class Layer(torch.nn.Module):
        def forward(self, x, weight, places, slot):
            return torch.ops.shufflecam.keyed_conv2d(x, weight, None, places, slot, 3, 4, 2).relu()

    (x, weight, _, places, slot, *_), _ = case(draw, torch.float32, own_keys=True)
    exported = torch.export.export(Layer(), (x, weight, places, slot))
    assert torch.equal(exported.module()(x, weight, places, slot), Layer()(x, weight, places, slot))
    assert not exported.constants
    assert not exported.state_dict

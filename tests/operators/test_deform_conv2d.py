import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from keyed_data import drawn
from naive_operators import deform

from operators import DeformConv2d, GatherTable, OperatorError, Window, deform_conv2d, deformable_offsets
from operators import deform as deform_module

DATA = Path(os.environ.get("SHUFFLECAM_DATA", Path(__file__).parents[3] / "shared" / "data"))
GOLDEN = DATA / "oracles" / "deform_conv2d_torchvision_0.29.2.npz"


def draw_case(rng, batch=2, offset_groups=2, groups=2, channels=4, maps=6, size=(5, 6), kernel=(3, 2), stride=(2, 1)):
    """Draw input, offset, weight, bias and mask for padding (1, 2) and dilation (1, 2); offsets leave the frame."""
    H, W = size
    Ho = (H + 2 - (kernel[0] - 1) - 1) // stride[0] + 1
    Wo = (W + 4 - 2 * (kernel[1] - 1) - 1) // stride[1] + 1
    taps = offset_groups * kernel[0] * kernel[1]
    shapes = [(batch, channels, H, W), (batch, 2 * taps, Ho, Wo), (maps, channels // groups, *kernel), (maps,)]
    shapes.append((batch, taps, Ho, Wo))
    return [torch.from_numpy(rng.normal(0, 2, shape)) for shape in shapes]


def run(x, offset, weight, bias, mask, stride=(2, 1)):
    return deform_conv2d(x, offset, weight, bias, stride, (1, 2), (1, 2), mask)


@pytest.mark.skipif(not GOLDEN.exists(), reason="the shared data folder is not here")
def test_the_golden_outputs_of_torchvision_are_reproduced():
    golden = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}
    y = deform_conv2d(golden["x"], golden["off"], golden["w"], golden["b"], 2, 1, 1, golden["mask"])
    torch.testing.assert_close(y, golden["y"], rtol=1e-5, atol=1e-6)


def test_half_a_pixel_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [4.0, 8.0]]]])
    offset = torch.tensor([0.5, 0.5]).reshape(1, 2, 1, 1).expand(1, 2, 2, 2)
    # Between all four: 15 / 4; then 2, 8 | 4, 8 and 8 alone with the outside, which counts 0.
    assert deform_conv2d(x, offset, torch.ones(1, 1, 1, 1)).tolist() == [[[[3.75, 2.5], [3.0, 2.0]]]]


@pytest.mark.parametrize(
    ("place", "value"), [(-1.0, 0.0), (-0.5, 0.5), (2.0, 2.0), (2.5, 1.0), (3.0, 0.0), (1e30, 0.0)]
)
def test_the_frames_edge_fades_over_one_pixel(place, value):
    x = torch.tensor([[[[1.0, 1.5, 2.0]]]], dtype=torch.float64)
    offset = torch.tensor([0, place], dtype=torch.float64).reshape(1, 2, 1, 1)
    weight = torch.tensor([[[[1.0, 0, 0]]]], dtype=torch.float64)
    offset = torch.cat([offset, torch.zeros(1, 4, 1, 1, dtype=torch.float64)], dim=1)
    assert deform_conv2d(x, offset, weight).item() == value


def test_no_offsets_make_a_plain_convolution():
    x, weight = torch.randn(2, 4, 7, 6, dtype=torch.float64), torch.randn(6, 2, 3, 3, dtype=torch.float64)
    offset = torch.zeros(2, 18, 4, 3, dtype=torch.float64)
    torch.testing.assert_close(
        deform_conv2d(x, offset, weight, stride=2, padding=1), F.conv2d(x, weight, None, 2, 1, 1, 2)
    )


@drawn(50)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([1, 2]),
    st.sampled_from([(3, 2), (1, 1), (2, 3)]),
    st.booleans(),
    st.booleans(),
)
def test_it_equals_seven_plain_loops(seed, offset_groups, groups, kernel, with_bias, with_mask):
    case = draw_case(np.random.default_rng(seed), offset_groups=offset_groups, groups=groups, kernel=kernel)
    x, offset, weight, bias, mask = case
    bias, mask = bias if with_bias else None, mask if with_mask else None
    plain = deform(*(None if t is None else t.numpy() for t in (x, offset, weight, bias)), (2, 1), (1, 2), (1, 2), mask)
    torch.testing.assert_close(run(x, offset, weight, bias, mask), torch.from_numpy(plain), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("offset_groups", [1, 2])
@pytest.mark.parametrize("with_mask", [False, True])
def test_it_equals_onnxruntime(offset_groups, with_mask):
    case = draw_case(np.random.default_rng(3), offset_groups=offset_groups, groups=1)
    x, offset, weight, bias, mask = (t.float() for t in case)
    inputs = {"X": x, "W": weight, "offset": offset, "B": bias} | ({"mask": mask} if with_mask else {})
    node = onnx.helper.make_node(
        "DeformConv", list(inputs), ["Y"], strides=[2, 1], pads=[1, 2, 1, 2], dilations=[1, 2],
        offset_group=offset_groups, kernel_shape=[3, 2], group=1,
    )  # fmt: skip
    described = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, t.shape) for n, t in inputs.items()]
    result = onnx.helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph([node], "one", described, [result])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {n: t.numpy() for n, t in inputs.items()})
    found = run(x, offset, weight, bias, mask if with_mask else None)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-4, atol=1e-4)


def test_all_five_gradients_are_those_of_finite_differences():
    case = draw_case(np.random.default_rng(5), size=(3, 4), kernel=(2, 2))
    assert torch.autograd.gradcheck(run, [t.requires_grad_() for t in case])


def test_images_done_in_turns_give_the_same_result(monkeypatch):
    case = draw_case(np.random.default_rng(6), batch=5)
    expected = run(*case)
    monkeypatch.setattr(deform_module, "_SAMPLED_VALUES", 1)
    torch.testing.assert_close(run(*case), expected)


def test_a_later_call_leaves_an_earlier_result_alone():
    # Both sample into memory that a thread keeps, and a frame of 64 channels may pass the matrix unit.
    torch.manual_seed(0)
    first, second = (torch.randn(1, 64, 6, 7), torch.randn(2, 64, 9, 8))
    weight, bias = torch.randn(32, 64, 3, 3), torch.randn(32)

    def run(x):
        return deform_conv2d(x, torch.zeros(len(x), 18, *x.shape[2:]), weight, bias, padding=1)

    with torch.inference_mode():
        result = run(first)
        kept = result.clone()
        run(second)
    assert torch.equal(result, kept)


def test_a_call_in_float64_follows_one_in_float32_of_odd_size():
    # Both use the memory that a thread keeps, which holds an odd number of float32 after the first.
    for width, dtype in ((1800, torch.float32), (2, torch.float64)):
        x = torch.arange(width, dtype=dtype).reshape(1, 1, 1, width)
        offset, weight = torch.zeros(1, 2, 1, width, dtype=dtype), torch.ones(1, 1, 1, 1, dtype=dtype)
        assert torch.equal(deform_conv2d(x, offset, weight), x)


def test_an_empty_batch_and_strided_memory_work():
    x, offset, weight, bias, mask = draw_case(np.random.default_rng(7))
    assert run(x[:0], offset[:0], weight, bias, mask[:0]).shape == (0, 6, 3, 8)
    spread = [
        torch.stack([t, t], dim=-1)[..., 0].transpose(0, 1).contiguous().transpose(0, 1) for t in (x, offset, mask)
    ]
    assert not spread[1].is_contiguous()
    torch.testing.assert_close(run(spread[0], spread[1], weight, bias, spread[2]), run(x, offset, weight, bias, mask))


def test_infinite_pixels_stay_where_they_are():
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 0, 0] = torch.inf
    outside = torch.full((1, 2, 3, 3), -9.0)
    assert not deform_conv2d(x, outside, torch.ones(1, 1, 1, 1)).any()


def test_integer_offsets_from_a_table_obey_the_law_exactly(draw):
    x, weight = draw.frames(2, 4, 5, 7), draw.weights(6, 4, 3, 2)
    sigma, window = draw.order((5, 7)), Window.of((5, 7), (3, 2), (2, 1), 1, (1, 2))
    tau = draw.order(window.output_size)
    offsets = deformable_offsets(GatherTable.keyed(window, sigma, tau)).double().expand(2, -1, -1, -1)
    keyed = deform_conv2d(torch.from_numpy(sigma.shuffle(x.flatten(2).numpy())).reshape(x.shape), offsets, weight,
                          None, (2, 1), (1, 1), (1, 2))  # fmt: skip
    plain = F.conv2d(x, weight, None, (2, 1), 1, (1, 2))
    assert torch.equal(keyed.flatten(2), plain.flatten(2)[..., torch.from_numpy(tau.source.astype(np.int64))])


def test_the_layer_holds_torchvisions_parameters():
    layer = DeformConv2d(4, 6, (3, 2), stride=2, padding=1, groups=2)
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == {"weight": (6, 2, 3, 2), "bias": (6,)}
    assert float(layer.weight.detach().abs().max()) <= 1 / np.sqrt(12)
    x, offset, mask = torch.randn(1, 4, 5, 6), torch.randn(1, 12, 3, 4), torch.rand(1, 6, 3, 4)
    expected = deform_conv2d(x, offset, layer.weight, layer.bias, (2, 2), (1, 1), (1, 1), mask)
    assert torch.equal(layer(x, offset, mask), expected)
    assert DeformConv2d(2, 2, 1, bias=False).bias is None
    assert "kernel_size=(3, 2)" in repr(layer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(4, 5, 6)}, "input must have 4 dimensions"),
        ({"x": torch.zeros(2, 4, 5, 6, dtype=torch.float32)}, "offset must be floating point, with the type"),
        ({"weight": torch.zeros(6, 3, 3, 2)}, "does not fit an input of 4 channels"),
        ({"bias": torch.zeros(5)}, "bias must have the shape"),
        ({"offset": torch.zeros(2, 13, 3, 8)}, "for each offset group"),
        ({"offset": torch.zeros(2, 6, 3, 8)}, "for each offset group"),
        ({"offset": torch.zeros(2, 36, 3, 8)}, "must divide"),
        ({"offset": torch.zeros(2, 24, 3, 7)}, "offset must have the shape"),
        ({"offset": torch.zeros(1, 24, 3, 8)}, "offset must have the shape"),
        ({"mask": torch.zeros(2, 6, 3, 8)}, "mask must have the shape"),
        ({"stride": (0, 1)}, "stride"),
    ],
)
def test_what_does_not_fit_is_named_and_is_a_runtime_error_too(change, message):
    names = ("x", "offset", "weight", "bias", "mask")
    case = dict(zip(names, draw_case(np.random.default_rng(8)), strict=True)) | {
        name: value.double() if name != "x" and torch.is_tensor(value) else value for name, value in change.items()
    }
    with pytest.raises(OperatorError, match=message) as caught:
        run(**case)
    assert isinstance(caught.value, RuntimeError)


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(OperatorError, match="multiples of 3 groups"):
        DeformConv2d(4, 6, 3, groups=3)

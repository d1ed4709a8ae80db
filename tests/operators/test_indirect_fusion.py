import operator

import pytest
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from operators import KeyedConv2d, KeyedMaxPool2d, OperatorError, shuffle_pixels, stack_slots
from operators.engine_fusion import fuse_graph
from operators.engine_runs import FusedRun
from operators.engine_steps import FusedConv2d, FusedNorm, fuse_epilogue

SIZE = (6, 5)


def trained_norm(channels, seed=0):
    norm = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(seed)
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        tensor.data = torch.rand(channels, generator=generator) + 0.5
    return norm.eval()


def keyed_layer(draw, channels=5, maps=40, groups=1):
    plain = nn.Conv2d(channels, maps, 3, padding=1, groups=groups)
    sigma, tau = draw.order(SIZE), draw.order(SIZE)
    return KeyedConv2d(plain, SIZE, sigma, tau), plain, sigma, tau


@torch.no_grad()
@pytest.mark.parametrize("activation", [None, nn.ReLU(inplace=True), nn.ReLU6(), nn.Hardtanh(-0.5, 0.25)])
@pytest.mark.parametrize("with_norm", [False, True])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize(("channels", "maps", "groups"), [(5, 40, 1), (6, 6, 6), (4, 32, 2)])
def test_one_step_gives_what_the_layers_give_one_by_one(
    draw, activation, with_norm, with_residual, channels, maps, groups
):
    keyed, plain, sigma, tau = keyed_layer(draw, channels, maps, groups)
    norm = trained_norm(maps) if with_norm else None
    x, residual = torch.randn(3, channels, *SIZE), torch.randn(3, maps, *SIZE) if with_residual else None
    expected = plain(x)
    expected = expected if norm is None else norm(expected)
    expected = expected if residual is None else expected + residual
    expected = shuffle_pixels(expected if activation is None else activation(expected), tau)
    added = None if residual is None else shuffle_pixels(residual, tau)
    fused = fuse_epilogue(keyed, norm, activation)
    torch.testing.assert_close(fused(shuffle_pixels(x, sigma), None, added), expected, rtol=1e-5, atol=1e-5)
    own = [draw.order(SIZE) for _ in x]
    each = torch.cat([shuffle_pixels(frame[None], order) for frame, order in zip(x, own, strict=True)])
    torch.testing.assert_close(fused(each, stack_slots(own), added), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_change_of_the_norm_is_seen(draw):
    keyed, plain, sigma, tau = keyed_layer(draw)
    norm, x = trained_norm(40), torch.randn(2, 5, *SIZE)
    fused = fuse_epilogue(keyed, norm)
    for change in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        before = fused(shuffle_pixels(x, sigma))
        change.mul_(1.5)
        after = fused(shuffle_pixels(x, sigma))
        assert not torch.equal(before, after)
        torch.testing.assert_close(after, shuffle_pixels(norm(plain(x)), tau), rtol=1e-5, atol=1e-5)


def test_training_runs_the_layers_one_by_one(draw):
    keyed, plain, sigma, tau = keyed_layer(draw)
    norm, activation = nn.BatchNorm2d(40), nn.ReLU()
    fused = fuse_epilogue(keyed, norm, activation)
    x = torch.randn(4, 5, *SIZE)
    y = fused(shuffle_pixels(x, sigma))
    assert norm.num_batches_tracked == 1
    twin = nn.BatchNorm2d(40)
    expected = shuffle_pixels(activation(twin(plain(x))), tau)
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(norm.running_mean, twin.running_mean)
    weights = torch.randn_like(y)
    (found,) = torch.autograd.grad((y * weights).sum(), [plain.weight], retain_graph=True)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), [plain.weight])
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    with torch.no_grad():  # Statistics of the batch cannot be folded.
        torch.testing.assert_close(fused(shuffle_pixels(x, sigma)), shuffle_pixels(activation(twin(plain(x))), tau))


def test_what_cannot_be_fused_is_named(draw):
    keyed, *_ = keyed_layer(draw)
    for call, message in [
        (lambda: fuse_epilogue(keyed, activation=nn.GELU()), "GELU is no clamp"),
        (lambda: fuse_epilogue(keyed, nn.BatchNorm2d(40, track_running_stats=False)), "without running statistics"),
        (lambda: fuse_epilogue(nn.Conv2d(16, 16, 3)), "neither keyed nor pointwise"),
    ]:
        with pytest.raises(OperatorError, match=message):
            call()


class Block(nn.Module):
    """Everything that can follow a convolution, and some of what can not be folded."""

    def __init__(self, draw):
        super().__init__()
        sigma, tau = draw.order(SIZE), draw.order(SIZE)
        self.sigma, self.tau = sigma, tau
        self.first = KeyedConv2d(nn.Conv2d(16, 32, 3, padding=1), SIZE, sigma, tau)
        self.first_norm, self.relu = trained_norm(32, 1), nn.ReLU(inplace=True)
        self.second = KeyedConv2d(nn.Conv2d(32, 32, 3, padding=1, bias=False), SIZE, tau, tau)
        self.second_norm = trained_norm(32, 2)
        self.shortcut = KeyedConv2d(nn.Conv2d(16, 32, 1), SIZE, sigma, tau)
        self.point = nn.Conv2d(32, 48, 1)
        self.point_norm, self.gelu = trained_norm(48, 3), nn.GELU()
        self.pool = KeyedMaxPool2d(nn.MaxPool2d(2), SIZE, tau, None)
        self.last = nn.Conv2d(48, 24, 1)

    def forward(self, x):
        y = self.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        y = torch.relu(self.shortcut(x) + y)
        y = self.gelu(self.point_norm(self.point(y)))
        y = self.pool(y)
        z = self.last(y)
        return z + torch.relu(z)


class Tracer(fx.Tracer):
    """Stops at keyed layers."""

    def is_leaf_module(self, m, module_qualified_name):
        return isinstance(m, KeyedConv2d | KeyedMaxPool2d) or super().is_leaf_module(m, module_qualified_name)


@torch.no_grad()
def test_a_network_keeps_its_result_and_its_names(draw):
    block = Block(draw).eval()
    names = list(block.state_dict())
    x = torch.randn(3, 16, *SIZE)
    graph = Tracer().trace(block)
    ShapeProp(fx.GraphModule(block, graph)).propagate(x)
    fused = fuse_graph(block, graph)
    torch.testing.assert_close(fused(x), block(x), rtol=1e-5, atol=1e-5)
    assert list(block.state_dict()) == names
    steps = [step for step in fused.modules() if isinstance(step, FusedConv2d)]
    # The sum is folded into the second convolution, which therefore waits for the shortcut.
    assert [step.norm is not None for step in steps] == [True, False, True, True, False]
    assert steps[2].activation is not None
    called = [fused.get_submodule(node.target) for node in fused.graph.nodes if node.op == "call_module"]
    assert [type(step) for step in called] == [FusedRun, nn.GELU, KeyedMaxPool2d, FusedConv2d]
    assert len([node for node in graph.nodes if node.target == "first_norm"]) == 1, "the given graph is not changed"


@torch.no_grad()
def test_nothing_that_others_read_is_folded_away(draw):
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.point, self.norm = nn.Conv2d(16, 16, 1), trained_norm(16)

        def forward(self, x):
            y = self.point(x)
            z = self.norm(y)
            z += y
            x += z
            return z * x

    plain = Shared().eval()
    x = torch.randn(2, 16, *SIZE)
    fused = fuse_graph(plain, fx.symbolic_trace(plain).graph)
    torch.testing.assert_close(fused(x.clone()), plain(x.clone()), rtol=1e-5, atol=1e-5)
    assert [step.norm for step in fused.modules() if isinstance(step, FusedConv2d)] == [None]


class PreActivation(nn.Module):
    """Two blocks whose batch norms come first, as in pre-activation networks, with sums of sums."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([trained_norm(16, 1), trained_norm(16, 2)])
        self.points = nn.ModuleList([nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)])
        self.last, self.relu = trained_norm(16, 3), nn.ReLU6()

    def forward(self, x):
        for norm, point in zip(self.norms, self.points, strict=True):
            x = point(torch.relu(norm(x))) + x
        return self.relu(self.last(x))


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_norms_that_come_first_are_one_step_and_every_sum_is_folded(batch):
    plain = PreActivation().eval()
    x = torch.randn(batch, 16, *SIZE)
    graph = fx.symbolic_trace(plain).graph
    ShapeProp(fx.GraphModule(plain, graph)).propagate(torch.randn(2, 16, *SIZE))
    fused = fuse_graph(plain, graph)
    steps = [type(step) for step in fused.modules() if isinstance(step, FusedConv2d | FusedNorm)]
    assert steps == [FusedNorm, FusedConv2d, FusedNorm, FusedConv2d, FusedNorm]
    assert not any(node.op == "call_function" and node.target is operator.add for node in fused.graph.nodes)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), plain(x), rtol=1e-5, atol=1e-5)
        plain.last.weight.mul_(2)
        torch.testing.assert_close(fused(x), plain(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fused(x), plain(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fused.double()(x.double()), plain.double()(x.double()))


@torch.no_grad()
def test_a_large_norm_gives_the_same_bits_on_two_threads_and_keeps_what_is_no_number():
    norm, x = FusedNorm(trained_norm(24), nn.ReLU()).eval(), torch.randn(5, 24, 33, 31)
    x[2, 3, 4, 5] = float("nan")
    one = norm(x)
    torch.set_num_threads(2)
    assert torch.equal(norm(x).nan_to_num(7.0), one.nan_to_num(7.0))
    assert one.isnan().sum() == 1


def test_a_sum_that_spreads_one_pixel_over_a_map_is_not_folded():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.point, self.pooled = nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1)

        def forward(self, x):
            return self.point(x) + self.pooled(x.mean((2, 3), keepdim=True))

    plain = Pooled().eval()
    x = torch.randn(2, 16, *SIZE)
    graph = fx.symbolic_trace(plain).graph
    ShapeProp(fx.GraphModule(plain, graph)).propagate(x)
    with torch.no_grad():
        torch.testing.assert_close(fuse_graph(plain, graph)(x), plain(x), rtol=1e-5, atol=1e-5)

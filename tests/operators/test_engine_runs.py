import copy
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import fx, nn

from operators import KeyedConv2d
from operators.engine_fusion import fuse_graph
from operators.engine_runs import FusedRun, _places
from operators.engine_steps import FusedConv2d, FusedNorm

SIZE = (9, 7)


def trained_norm(channels):
    norm = nn.BatchNorm2d(channels)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(torch.rand(channels) + 0.5)
    return norm.eval()


class Chain(nn.Module):
    """Every kind of step, between different orders; two results, one of which is read inside as well."""

    def __init__(self, draw):
        super().__init__()
        torch.manual_seed(5)
        a, b, c = (draw.order(SIZE) for _ in range(3))
        self.norm, self.relu = trained_norm(20), nn.ReLU()
        self.wide = KeyedConv2d(nn.Conv2d(20, 40, 3, padding=1), SIZE, a, b)
        self.apart = KeyedConv2d(nn.Conv2d(40, 40, 3, padding=1, groups=40, bias=False), SIZE, b, c)
        self.apart_norm = trained_norm(40)
        self.groups = KeyedConv2d(nn.Conv2d(40, 32, 3, padding=1, groups=2), SIZE, c, c)
        self.point = nn.Conv2d(40, 32, 1)
        self.last = trained_norm(32)

    def forward(self, x):
        y = self.relu(self.norm(x))
        y = self.relu(self.apart_norm(self.apart(self.wide(y))))
        z = self.groups(y) + self.point(y)
        return self.relu(self.last(z)), y


class Tracer(fx.Tracer):
    """Stops at keyed layers."""

    def is_leaf_module(self, m, module_qualified_name):
        return isinstance(m, KeyedConv2d) or super().is_leaf_module(m, module_qualified_name)


def joined(plain):
    """Return the network in runs, and its first run."""
    graph = Tracer().trace(plain)
    for node in graph.nodes:
        # Sums are folded where shapes are known to agree.
        node.meta["tensor_meta"] = fx.passes.shape_prop.TensorMetadata((1,), None, None, None, None, None, None)
    network = fuse_graph(plain, graph)
    return network, next(module for module in network.modules() if isinstance(module, FusedRun))


@torch.no_grad()
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch", [0, 1, 2, 5])
def test_a_run_gives_the_bits_of_its_steps_one_by_one(draw, batch, threads):
    plain = Chain(draw).eval()
    network, run = joined(plain)
    steps = [type(step) for step in run.steps]
    assert steps == [FusedNorm, FusedConv2d, FusedConv2d, FusedConv2d, FusedConv2d, FusedNorm]
    torch.set_num_threads(threads)
    for _ in range(2):
        x = torch.randn(batch, 20, *SIZE).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(network(x), plain(x), rtol=1e-5, atol=1e-5)
        assert all(torch.equal(*pair) for pair in zip(run(x), run._one_by_one((x,))[0], strict=True))
    assert (run._plans[(x.shape,)] is None) == (batch == 0)


@torch.no_grad()
def test_results_are_new_memory_and_inputs_of_any_layout_are_read(draw):
    network, _ = joined(Chain(draw).eval())
    x = torch.randn(2, 20, *SIZE)
    network(x)
    first, kept = network(x), [y.clone() for y in network(x)]
    network(torch.randn(2, 20, *SIZE).contiguous(memory_format=torch.channels_last))
    assert all(torch.equal(*pair) for pair in zip(first, kept, strict=True))


@torch.no_grad()
def test_every_change_is_seen(draw):
    plain = Chain(draw).eval()
    network, _ = joined(plain)
    x = torch.randn(2, 20, *SIZE)

    def data(layer, name):
        getattr(layer, name).data = torch.rand_like(getattr(layer, name)) + 0.5

    changes = [
        lambda: plain.wide.weight.mul_(1.5),
        lambda: plain.groups.bias.add_(1),
        lambda: plain.norm.running_mean.add_(1),
        lambda: plain.apart_norm.running_var.mul_(2),
        lambda: data(plain.last, "weight"),
        lambda: setattr(plain.point, "weight", nn.Parameter(plain.point.weight * 2)),
        lambda: setattr(plain.apart_norm, "eps", 1.0),
        lambda: setattr(plain.last, "bias", None),
    ]
    for change in changes:
        network(x)
        before = network(x)
        change()
        after, expected = network(x), plain(x)
        assert not torch.equal(before[0], after[0])
        torch.testing.assert_close(after, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(network(x), expected, rtol=1e-5, atol=1e-5)


def test_training_and_other_types_run_one_by_one(draw):
    plain = Chain(draw).eval()
    network, _ = joined(plain)
    x = torch.randn(2, 20, *SIZE)
    with torch.no_grad():
        network(x)
        plain.last.train()
        torch.testing.assert_close(network(x)[0], plain(x)[0], rtol=1e-4, atol=1e-4)
        assert plain.last.num_batches_tracked == 2
        plain.last.eval()
    sum(y.sum() for y in network(x)).backward()
    found = plain.wide.weight.grad.clone()
    plain.zero_grad()
    sum(y.sum() for y in plain(x)).backward()
    torch.testing.assert_close(found, plain.wide.weight.grad, rtol=1e-3, atol=1e-3)
    plain.double()
    network, _ = joined(plain)
    torch.testing.assert_close(network(x.double()), plain(x.double()))


@torch.no_grad()
def test_a_copy_has_memory_of_its_own(draw):
    plain = Chain(draw).eval()
    _, run = joined(plain)
    x = torch.randn(1, 20, *SIZE)
    run(x)
    expected = run(x)
    twin = copy.deepcopy(run)
    assert len(run._plans) == 1
    assert not twin._plans
    for _ in range(2):
        assert all(torch.equal(*pair) for pair in zip(twin(x), expected, strict=True))
    plain.wide.weight.zero_()
    assert torch.equal(twin(x)[0], expected[0])


@torch.no_grad()
def test_several_threads_can_use_one_run_at_once(draw):
    _, run = joined(Chain(draw).eval())
    frames = [torch.randn(1, 20, *SIZE) for _ in range(4)]
    expected = [run(x) for x in frames]
    wrong = []

    def work(x, y):
        with torch.no_grad():
            wrong.extend(place for place in range(50) if not torch.equal(run(x)[0], y[0]))

    workers = [threading.Thread(target=work, args=pair) for pair in zip(frames, expected, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@torch.no_grad()
def test_only_a_few_sizes_are_kept_and_large_maps_stay_one_by_one(draw, monkeypatch):
    _, run = joined(Chain(draw).eval())
    for batch in range(1, 8):
        run(torch.randn(batch, 20, *SIZE))
    assert [(shape[0][0], plan is not None) for shape, plan in run._plans.items()] == [(b, True) for b in (4, 5, 6, 7)]
    monkeypatch.setattr("operators.engine_runs._MOST_FLOATS", 1000)
    run(torch.randn(9, 20, *SIZE))
    assert run._plans[(torch.Size((9, 20, *SIZE)),)] is None


@torch.no_grad()
def test_a_layer_that_begins_two_steps_keeps_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.point, self.one, self.two = nn.Conv2d(16, 16, 1), trained_norm(16), trained_norm(16)

        def forward(self, x):
            return self.two(self.point(self.one(self.point(x)).sigmoid()))

    plain, x = Twice().eval(), torch.randn(2, 16, *SIZE)
    torch.testing.assert_close(fuse_graph(plain, fx.symbolic_trace(plain).graph)(x), plain(x), rtol=1e-5, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_values_that_live_at_the_same_time_never_share_memory(data):
    steps, first = data.draw(st.integers(1, 12)), 2
    last = [data.draw(st.integers(s, steps - 1)) for s in range(steps)]
    inner = [s for s in range(steps) if data.draw(st.booleans())]
    lengths = {first + s: data.draw(st.integers(1, 50)) for s in inner}
    dies = [[first + s for s in range(steps) if last[s] == when] for when in range(steps)]
    places, floats = _places(lengths, dies, first)
    assert set(places) == set(lengths)
    assert all(start % 16 == 0 and start + lengths[value] <= floats for value, start in places.items())
    for a in inner:
        for b in inner:
            if a < b <= last[a]:
                one, other = places[first + a], places[first + b]
                assert one + lengths[first + a] <= other or other + lengths[first + b] <= one

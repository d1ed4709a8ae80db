"""Runs of steps: what the engine "indirect" does for many layers in a row, done in one call.

In small networks a call from Python takes as long as a layer. A run is therefore carried out step by step once for
every size of its inputs, and what the steps read is noted; from then on all of them are one call of a kernel.
"""

import operator
from collections.abc import Sequence
from itertools import count
from math import prod
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, fx, nn

from operators.engine_calls import JOBS, OUT, PIXELS, RESIDUAL, SCRATCH
from operators.engine_indirect import is_plain_inference
from operators.engine_steps import FusedConv2d, FusedNorm, Job
from operators.indirect import call_steps, step_of
from operators.rows import from_rows, to_rows

# Maps within a run share memory of at most so many floats. Larger ones take long enough to be called one by one.
_MOST_FLOATS = 1 << 21
# Sizes of inputs whose plans are kept.
_MOST_PLANS = 4
# Floats of a cache line, where a map starts.
_LINE = 16

Shapes = tuple[torch.Size, ...]


class _Plan:
    """A run for inputs of given shapes.

    Parameters
    ----------
    jobs : sequence of Job
    reads : sequence of (int, int or None)
        Of each step: the values it reads and adds. Values are the run's inputs and then the steps' results.
    results : sequence of int
        Values that others read.
    dies : sequence of lists of int
        Values that nobody reads after each step.
    given : int
        Number of inputs.
    """

    def __init__(
        self, jobs: Sequence[Job], reads: Sequence[tuple[int, int | None]], results: Sequence[int],
        dies: Sequence[Sequence[int]], given: int,
    ) -> None:  # fmt: skip
        self._jobs = jobs
        self._shapes = [jobs[value - given].shape for value in results]
        self._watched = [entry for job in jobs for entry in job.watched]
        self._norms = [(norm, norm.eps) for job in jobs for norm in job.norms]
        outer = {value: place for place, value in enumerate([*range(given), *results])}
        lengths = {given + s: prod(job.shape) for s, job in enumerate(jobs) if given + s not in outer}
        self._places, self.floats = _places(lengths, dies, given)
        self._clamps = np.stack([job.packed.clamp for job in jobs])
        self._steps = np.stack(
            [
                step_of(job.rows, job.table, job.packed, job.outputs, job.unit, added is not None)
                for job, (_, added) in zip(jobs, reads, strict=True)
            ]
        )
        self._most_jobs = int(self._steps[:, JOBS].max()) if self._steps[:, JOBS + 1].any() else 1
        self._needed = int(self._steps[:, SCRATCH + 1].max())
        # Where addresses go that change with every call, and those in the memory that maps share.
        self._open: list[tuple[int, int, int]] = []
        self._inside: list[tuple[int, int, int]] = []
        for s, (read, added) in enumerate(reads):
            for column, value in ((PIXELS, read), (RESIDUAL, added), (OUT, given + s)):
                if value in outer:
                    self._open.append((s, column, outer[value]))
                elif value is not None:
                    self._inside.append((s, column, 4 * self._places[value]))
        # Taken and put back whole, so that several threads can run one network.
        self._idle: list[tuple[Any, Tensor]] = []

    def is_current(self) -> bool:
        """Whether every parameter, statistic and table is still the one that the plan was made with."""
        return all(
            home.get(name) is tensor
            and (tensor is None or (tensor.data_ptr() == address and (version < 0 or tensor._version == version)))
            for home, name, tensor, version, address in self._watched
        ) and not any(norm.training or norm.eps != eps for norm, eps in self._norms)

    def _workspace(self) -> tuple[Any, Tensor]:
        """Return steps of one's own, and the memory that maps share."""
        steps, memory = self._steps.copy(), torch.empty(self.floats)
        for s, column, offset in self._inside:
            steps[s, column] = memory.data_ptr() + offset
        return steps, memory

    def run(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the run's results."""
        rows = [to_rows(x) for x in inputs]
        made = [torch.empty((B, Ho * Wo, D)) for B, D, Ho, Wo in self._shapes]
        try:
            steps, memory = self._idle.pop()
        except IndexError:
            steps, memory = self._workspace()
        addresses = [tensor.data_ptr() for tensor in (*rows, *made)]
        for s, column, place in self._open:
            steps[s, column] = addresses[place]
        call_steps(steps, self._clamps, self._most_jobs, self._needed)
        self._idle.append((steps, memory))
        return tuple(from_rows(out, shape[2:]) for out, shape in zip(made, self._shapes, strict=True))


def _places(lengths: dict[int, int], dies: Sequence[Sequence[int]], given: int) -> tuple[dict[int, int], int]:
    """Return where each value lies in the memory that they share, in floats, and how much of it there is.

    A value takes the first gap that is long enough; it is free again after the last step that reads it.
    """
    places: dict[int, int] = {}
    alive: dict[int, int] = {}
    end = 0
    for s, dead in enumerate(dies):
        value = given + s
        if value in lengths:
            start = 0
            for other in sorted(alive, key=alive.__getitem__):
                if alive[other] - start >= lengths[value]:
                    break
                start = alive[other] + -(-lengths[other] // _LINE) * _LINE
            places[value] = alive[value] = start
            end = max(end, start + lengths[value])
        for other in dead:
            alive.pop(other, None)
    return places, end


class _Plans(dict[Shapes, _Plan | None]):
    """Plans by the inputs' shapes; None where one by one is as good. Addresses are not for copies."""

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return type(self)()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


class FusedRun(nn.Module):
    """Steps that follow one another.

    Parameters
    ----------
    steps : sequence of FusedConv2d or FusedNorm
    reads : sequence of (int, int or None)
        Of each step: the value that it reads, and the one that it adds. Values are the inputs and then the steps'
        results, numbered in one row.
    results : sequence of int
        The values that the run returns; results of steps.
    given : int
        Number of inputs.
    """

    def __init__(
        self, steps: Sequence[FusedConv2d | FusedNorm], reads: Sequence[tuple[int, int | None]],
        results: Sequence[int], given: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self._reads, self._results, self._given = list(reads), list(results), given
        last = {value: s for s, pair in enumerate(reads) for value in pair if value is not None}
        last = {given + s: s for s in range(len(steps))} | last
        kept = set(results)
        self._dies = [[v for v, when in last.items() if when == s and v not in kept] for s in range(len(steps))]
        self._plans = _Plans()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the results for inputs (B, C, H, W)."""
        if not is_plain_inference(*inputs):
            return self._one_by_one(inputs)[0]
        shapes = tuple([x.shape for x in inputs])
        plan = self._plans.get(shapes)
        if plan is not None and plan.is_current():
            return plan.run(inputs)
        results, shapes_read = self._one_by_one(inputs)
        if plan is not None or shapes not in self._plans:
            # In one piece, as other threads may be reading.
            kept = list(self._plans.items())[1 - _MOST_PLANS :]
            self._plans = _Plans([*kept, (shapes, self._planned(shapes_read))])
        return results

    def _one_by_one(self, inputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], list[torch.Size]]:
        """Return the results, and the shape that each step read."""
        values, shapes = dict(enumerate(inputs)), []
        for s, (step, (read, added)) in enumerate(zip(self.steps, self._reads, strict=True)):
            x = values[read]
            shapes.append(x.shape)
            values[self._given + s] = step(x) if added is None else step(x, None, values[added])
            for dead in self._dies[s]:
                del values[dead]
        return tuple(values[value] for value in self._results), shapes

    def _planned(self, shapes: list[torch.Size]) -> _Plan | None:
        """Return a plan, or None where a step did not run on the engine or maps are large."""
        jobs = []
        for step, shape in zip(self.steps, shapes, strict=True):
            assert isinstance(step, FusedConv2d | FusedNorm)
            job = step.job(shape)
            if job is None or not prod(job.shape):
                return None
            jobs.append(job)
        plan = _Plan(jobs, self._reads, self._results, self._dies, self._given)
        return plan if plan.floats <= _MOST_FLOATS else None


def join_steps(network: fx.GraphModule) -> fx.GraphModule:
    """Return a network in which steps that follow one another are runs; the steps stay the same modules."""
    graph, parts = network.graph, dict(network.named_modules())
    for node in list(graph.nodes):
        # An identity would part what it joins.
        if node.op == "call_module" and type(parts[str(node.target)]) is nn.Identity and len(node.all_input_nodes) == 1:
            node.replace_all_uses_with(node.all_input_nodes[0])
            graph.erase_node(node)
    nodes: list[fx.Node] = []
    for node in list(graph.nodes):
        if _can_join(node, parts):
            nodes.append(node)
            continue
        _join(network, nodes)
        nodes = []
    graph.lint()
    return fx.GraphModule(network, graph)


def _can_join(node: fx.Node, parts: dict[str, nn.Module]) -> bool:
    """Whether a node is a step that reads maps only, in the order that it was made for."""
    step = parts.get(str(node.target)) if node.op == "call_module" else None
    if isinstance(step, FusedNorm):
        return True
    own_slot = len(node.args) > 1 and node.args[1] is not None
    return isinstance(step, FusedConv2d) and not own_slot and step.way != "squares"


def _join(network: fx.GraphModule, nodes: list[fx.Node]) -> None:
    """Put one run in the place of nodes that follow one another."""
    if len(nodes) < 2:
        return
    graph, inside = network.graph, set(nodes)
    inputs = list(dict.fromkeys(n for node in nodes for n in node.all_input_nodes if n not in inside))
    number = {node: value for value, node in enumerate([*inputs, *nodes])}
    outer = [node for node in nodes if any(user not in inside for user in node.users)]
    steps, reads = [], []
    for node in nodes:
        step = network.get_submodule(str(node.target))
        assert isinstance(step, FusedConv2d | FusedNorm)
        added = node.args[2] if len(node.args) > 2 else None
        steps.append(step)
        reads.append((number[node.all_input_nodes[0]], number[added] if isinstance(added, fx.Node) else None))
    # At the top: below a step, the run would hold itself.
    name = next(name for name in map("run_{}".format, count()) if not hasattr(network, name))
    network.add_submodule(name, FusedRun(steps, reads, [number[node] for node in outer], len(inputs)))
    with graph.inserting_after(nodes[-1]):
        run = graph.call_module(name, tuple(inputs))
    with graph.inserting_after(run):
        for place, node in enumerate(outer):
            node.replace_all_uses_with(graph.call_function(operator.getitem, (run, place)))
    for node in reversed(nodes):
        graph.erase_node(node)

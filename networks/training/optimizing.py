"""Optimisers and schedules of the recipes."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from networks.training.recipes import Recipe

_MOMENTUM = 0.85
# Jordan's learning rate and weight decay are quoted per 1,024 examples of an infinitely remembered gradient.
_KILOSTEP = 1024 * (1 + 1 / (1 - _MOMENTUM))
_WHITEN_BIAS_EPOCHS = 3
_LOOKAHEAD_STEPS = 5


class Optimizing:
    """One recipe's steps: learning rates by schedule, the optimiser, and Jordan's look-ahead average.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    model : torch.nn.Module
        Whose trainable parameters are stepped.
    steps_per_epoch : int
        Steps of one pass.
    """

    def __init__(self, recipe: Recipe, model: nn.Module, steps_per_epoch: int) -> None:
        self.recipe, self.model = recipe, model
        self.steps_per_epoch, self.total_steps = steps_per_epoch, steps_per_epoch * recipe.epochs
        self.average: dict[str, Tensor] = {}
        if recipe.optimizer == "jordan":
            self.average = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self.optimizer = _optimizer(recipe, model)

    def step(self, number: int) -> None:
        """Take step ``number`` of the run with the gradients that the parameters hold."""
        factor = _FACTORS[self.recipe.schedule](number, self.total_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * factor
        jordan = self.recipe.optimizer == "jordan"
        # The whitening bias is only trained while the first colours settle.
        if jordan and number >= _WHITEN_BIAS_EPOCHS * self.steps_per_epoch:
            self.optimizer.param_groups[0]["lr"] = 0.0
        self.optimizer.step()
        done = number + 1
        if jordan and done == self.total_steps:
            self._look_ahead(1.0)
        elif jordan and done % _LOOKAHEAD_STEPS == 0:
            self._look_ahead(0.95**_LOOKAHEAD_STEPS * (done / self.total_steps) ** 3)

    @torch.no_grad()
    def _look_ahead(self, keep: float) -> None:
        """Move the average towards the weights, then set the weights to it; at the end (keep 1) just take it."""
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - keep)
                tensor.copy_(self.average[name])

    @property
    def parameters(self) -> list[Tensor]:
        """The trained parameters, in the optimiser's order."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def state(self) -> dict[str, Tensor]:
        """Return everything that a later run needs to go on, by name."""
        tensors = {f"average.{name}": tensor for name, tensor in self.average.items()}
        for number, parameter in enumerate(self.parameters):
            for name, value in self.optimizer.state[parameter].items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer.{number}.{name}"] = value
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        parameters = self.parameters
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "average":
                self.average[rest] = tensor.to(self.average[rest].device)
            elif kind == "optimizer":
                number, entry = rest.split(".")
                parameter = parameters[int(number)]
                # Made like the parameter, so that its memory format, and with it the order of sums, is the same.
                like = torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor
                self.optimizer.state[parameter][entry] = like


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "jordan":
        rate, decay = rate / _KILOSTEP, decay * recipe.batch_size / _KILOSTEP
        groups = [
            ([p for n, p in trained if n == "whiten.bias"], rate),
            ([p for n, p in trained if n.endswith("bias") and n != "whiten.bias"], 64 * rate),
            ([p for n, p in trained if not n.endswith("bias")], rate),
        ]
        return torch.optim.SGD(
            # SGD multiplies its weight decay by the rate; dividing here keeps the two apart.
            [{"params": ps, "rate": own, "lr": own, "weight_decay": decay / own} for ps, own in groups],
            lr=rate,
            momentum=_MOMENTUM,
            nesterov=True,
        )
    group = [{"params": [p for _, p in trained], "rate": rate}]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(group, lr=rate, momentum=0.9, nesterov=True, weight_decay=decay)
    return torch.optim.AdamW(group, lr=rate, weight_decay=decay)


def _triangle(step: int, total: int, start: float = 0.2, peak: float = 0.23, end: float = 0.07) -> float:
    """Learning-rate factor: from ``start`` up to 1 at ``peak`` of the run, then down to ``end``."""
    at = step / total
    return start + (1 - start) * at / peak if at < peak else 1 + (end - 1) * (at - peak) / (1 - peak)


def _cosine(step: int, total: int, warm: float = 0.05) -> float:
    """Learning-rate factor: up to 1 within ``warm`` of the run, then down to 0 along half a cosine."""
    at = (step + 1) / (total + 1)
    return at / warm if at < warm else 0.5 * (1 + math.cos(math.pi * (at - warm) / (1 - warm)))


_FACTORS: dict[str, Callable[[int, int], float]] = {"triangle": _triangle, "cosine": _cosine}

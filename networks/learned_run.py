"""What the trainings of both learned schemes share: recipe, checked data, randomness, loop and files."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from networks.airbench import AirBench, whiten_from_images
from networks.augment import alternating_flip, translate
from networks.errors import TrainingError
from networks.evaluation import image_tensor
from networks.learned_schemes import save_transformation
from networks.pretrained import save_network
from networks.registry import build, model_entry
from networks.training.precision import check_precision, uses_bfloat16
from networks.transformation_network import TransformationNetwork

_TRANSLATION_PX = 2
_LEAST_SIDE_PX = 8  # for the discriminator's patches

_Network = TypeVar("_Network", bound=nn.Module)
Step = Callable[[Tensor, Tensor], dict[str, Tensor]]
OnStep = Callable[[int, int], None]
OnEpoch = Callable[[Mapping[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class LearnedRecipe:
    """How to train a learned scheme.

    Attributes
    ----------
    classifier : str
        An architecture of :func:`networks.list_models` that takes pictures of this size and returns classes.
    epochs : int
        Passes over the images.
    batch_size : int
        Images a step.
    learning_rate : float
        Highest rate of Adam, reached after 30 % of the steps.
    seed : int
        Fixes initial weights, order and augmentation; on one machine and number of threads, all bits of the result.
    device : str
        A torch device.
    precision : str
        As for :class:`networks.TrainConfig`.
    """

    classifier: str = "airbench94_half"
    epochs: int = 10
    batch_size: int = 250
    learning_rate: float = 3e-3
    seed: int = 0
    device: str = "cpu"
    precision: str = "auto"

    def __post_init__(self) -> None:
        entry = model_entry(self.classifier)
        if entry.num_classes is None or entry.channels != 3:
            raise TrainingError(f"classifier must read RGB and return classes, and {self.classifier} does not")
        for name, least in (("epochs", 1), ("batch_size", 2)):
            if getattr(self, name) < least:
                raise TrainingError(f"{name} must be {least} or more, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise TrainingError(f"learning_rate must be above zero, got {self.learning_rate}")
        check_precision(self.precision)


@dataclass(frozen=True)
class LearnedNetworks:
    """What training left.

    Attributes
    ----------
    weights : Path
        For ``scheme(..., weights=...)``.
    classifier : Path
        The classifier of protected pictures, for :func:`networks.load_pretrained`.
    history : tuple of dict
        The mean of each loss over an epoch, and its seconds.
    """

    weights: Path
    classifier: Path
    history: tuple[Mapping[str, float], ...]


class Descent:
    """Adam with one rise and fall of its rate."""

    def __init__(self, parameters: list[nn.Parameter], rate: float, steps: int) -> None:
        self.optimiser = torch.optim.Adam(parameters, lr=rate, betas=(0.8, 0.98))
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, rate, total_steps=steps)

    def step(self, total: Tensor) -> None:
        """Go one step down on a scalar."""
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
        self.optimiser.step()
        self.schedule.step()


class LearnedRun:
    """What both trainings share: checked data, classifier, randomness, loop and files."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        recipe: LearnedRecipe,
        classes: tuple[str, ...] | None,
    ) -> None:
        self.recipe, self.device = recipe, torch.device(recipe.device)
        self.classes = _check_data(images, labels, recipe, classes)
        self.images = image_tensor(images).to(self.device)
        self.labels = torch.from_numpy(np.asarray(labels, np.int64)).to(self.device)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.steps_per_epoch = len(images) // recipe.batch_size
        self.total_steps = self.steps_per_epoch * recipe.epochs
        self.classifier = build(recipe.classifier, len(self.classes), seed=recipe.seed)
        if isinstance(self.classifier, AirBench):
            whiten_from_images(self.classifier, self.images[:5000].cpu())
        self.classifier = self.classifier.to(self.device)
        self._check_classifier()

    def _check_classifier(self) -> None:
        try:
            with torch.inference_mode():
                shape = self.classifier.eval()(self.images[:1]).shape
        except RuntimeError:
            shape = None
        if shape != (1, len(self.classes)):
            raise TrainingError(
                f"classifier {self.recipe.classifier} does not tell classes of {self.images.shape[2]} x "
                f"{self.images.shape[3]} pictures: choose preresnet20, which takes any size"
            )

    def initial(self, make: Callable[[], _Network]) -> _Network:
        """Return a new network whose weights the seed fixes."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            return make().to(self.device)

    def optimiser(self, *networks: nn.Module) -> Descent:
        """Return what goes down on the parameters of some networks."""
        parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
        return Descent(parameters, self.recipe.learning_rate, self.total_steps)

    def train(
        self,
        step: Step,
        networks: tuple[nn.Module, ...],
        on_step: OnStep | None,
        on_epoch: OnEpoch | None,
    ) -> tuple[Mapping[str, float], ...]:
        """Run all epochs; return the mean losses of each."""
        for network in networks:
            network.train()
        history: list[Mapping[str, float]] = []
        # Dropout in a classifier draws from the global generator, which is given back as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.recipe.seed)
            for epoch in range(self.recipe.epochs):
                started, means = time.perf_counter(), self._epoch(epoch, step, on_step)
                history.append({**means, "seconds": time.perf_counter() - started})
                if on_epoch is not None:
                    on_epoch(history[-1])
        return tuple(history)

    def _epoch(
        self,
        epoch: int,
        step: Step,
        on_step: OnStep | None,
    ) -> dict[str, float]:
        size, sums = self.recipe.batch_size, dict[str, float]()
        bf16 = uses_bfloat16(self.recipe.precision, self.device)
        flipped = alternating_flip(self.images, epoch, self.recipe.seed)
        order = torch.randperm(len(self.images), generator=self.generator)
        for number in range(self.steps_per_epoch):
            index = order[number * size : (number + 1) * size].to(self.device)
            batch = translate(flipped[index], _TRANSLATION_PX, self.generator)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
                losses = step(batch, self.labels[index])
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss.detach())
            if not np.isfinite(list(sums.values())).all():
                rate = self.recipe.learning_rate
                raise TrainingError(f"a loss is no number in epoch {epoch + 1}: choose a learning_rate below {rate:g}")
            if on_step is not None:
                on_step(epoch * self.steps_per_epoch + number + 1, self.total_steps)
        return {name: total / self.steps_per_epoch for name, total in sums.items()}

    def save(
        self, folder: Path, network: TransformationNetwork, name: str, history: tuple[Mapping[str, float], ...]
    ) -> LearnedNetworks:
        """Write both networks and say where."""
        folder.mkdir(parents=True, exist_ok=True)
        weights, classifier = folder / f"{name}.safetensors", folder / "classifier.safetensors"
        save_transformation(weights, network, name)
        save_network(classifier, self.classifier, self.recipe.classifier, self.classes)
        return LearnedNetworks(weights, classifier, history)


def _check_data(
    images: NDArray[np.uint8], labels: NDArray[Any], recipe: LearnedRecipe, classes: tuple[str, ...] | None
) -> tuple[str, ...]:
    """Check the training data; return the class names."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < _LEAST_SIDE_PX:
        raise TrainingError(
            f"images must be uint8 of shape (N, H, W, 3), {_LEAST_SIDE_PX} x {_LEAST_SIDE_PX} pixels or more, "
            f"got {images.dtype} of shape {images.shape}"
        )
    if np.shape(labels) != images.shape[:1] or labels.dtype.kind not in "iu" or (labels.size and labels.min() < 0):
        raise TrainingError(f"labels must hold {len(images)} class numbers from 0 on, one for each image")
    if len(images) < recipe.batch_size:
        raise TrainingError(f"{len(images)} images do not fill one batch of {recipe.batch_size}: lower batch_size")
    needed = int(labels.max()) + 1
    names = tuple(map(str, range(needed))) if classes is None else tuple(classes)
    if len(names) < needed:
        raise TrainingError(f"classes names {len(names)} classes, and labels go up to {needed - 1}")
    return names

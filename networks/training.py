"""Training of the fast CIFAR network on plain images, on CPU or GPU, resumable after every epoch.

The recipe is Jordan's (2024, arXiv 2404.00498): Nesterov SGD on the summed loss with weight decay decoupled from
the learning rate, triangular schedule, biases 64 times faster, label smoothing, frozen whitening layer whose bias
trains for three epochs, and a look-ahead average of the weights every five steps.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.airbench import AirBench94, whiten_from_images
from networks.augment import alternating_flip, translate
from networks.checkpoint import read_tensors, write_tensors
from networks.datasets import LabelledImages, load_cifar10
from networks.evaluation import accuracy, image_tensor
from networks.pretrained import save_network
from networks.registry import build
from scrambler.errors import ShuffleCamError
from scrambler.files import write_atomically

_MOMENTUM = 0.85
# Learning rate and weight decay are quoted per 1,024 examples of an infinitely remembered gradient.
_KILOSTEP = 1024 * (1 + 1 / (1 - _MOMENTUM))
_WHITEN_BIAS_EPOCHS = 3
_LOOKAHEAD_STEPS = 5


class TrainingError(ShuffleCamError):
    """A training configuration or checkpoint cannot be used."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What to train and how.

    Attributes
    ----------
    model : str
        Architecture; ``airbench94``.
    epochs : int
        Passes over the training set.
    batch_size : int
        Images a step.
    learning_rate, weight_decay : float
        Per 1,024 examples, as the recipe quotes them.
    label_smoothing : float
        In [0, 1).
    translation_px : int
        Largest random shift.
    seed : int
        Fixes initial weights, order and augmentation.
    device : str
        A torch device; ``"auto"`` takes a GPU where there is one.
    precision : str
        ``"bfloat16"`` (autocast) or ``"float32"``.
    """

    model: str = "airbench94"
    epochs: int = 24
    batch_size: int = 1024
    learning_rate: float = 11.5
    weight_decay: float = 0.0153
    label_smoothing: float = 0.2
    translation_px: int = 2
    seed: int = 0
    device: str = "auto"
    precision: str = "bfloat16"

    def __post_init__(self) -> None:
        if self.model != "airbench94":
            raise TrainingError(f"this recipe trains airbench94, not {self.model!r}")
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.precision not in ("bfloat16", "float32"):
            raise TrainingError(f"precision must be bfloat16 or float32, got {self.precision!r}")
        if not 0 <= self.seed < 1 << 32:
            raise TrainingError(f"seed must be from 0 to 2**32 - 1, got {self.seed}")
        try:
            torch.empty(0, device=self.torch_device)
        except (RuntimeError, AssertionError):  # a build without CUDA raises the latter
            raise TrainingError(
                f"device must be auto, cpu or another device torch finds here, got {self.device!r}"
            ) from None

    @property
    def torch_device(self) -> torch.device:
        """The device that ``device`` names."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


@dataclass(frozen=True)
class EpochLog:
    """One line of the training log."""

    epoch: int
    loss: float
    test_accuracy: float
    seconds: float


def train(
    config: TrainConfig | None = None,
    *,
    out: Path | str,
    train_set: LabelledImages | None = None,
    test_set: LabelledImages | None = None,
    on_epoch: Callable[[EpochLog], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Train a network and write its weights, log and checkpoint into a folder.

    A run that was stopped goes on from its last finished epoch when called again with the same configuration and
    folder, with the same result as an uninterrupted one.

    Parameters
    ----------
    config : TrainConfig, optional
        Default: the recipe of the shipped weights.
    out : path
        Folder; gets ``checkpoint.safetensors``, ``log.jsonl`` and, at the end, ``weights.safetensors``.
    train_set, test_set : LabelledImages, optional
        Default: CIFAR-10.
    on_epoch : callable, optional
        Called with an :class:`EpochLog` after each epoch.
    on_step : callable, optional
        Called with (steps done, steps in all) after each step.

    Returns
    -------
    torch.nn.Module
        The trained network, in evaluation mode, on the configured device.

    Raises
    ------
    TrainingError
        If the folder holds a checkpoint of another configuration.
    """
    config = config or TrainConfig()
    train_set = train_set or load_cifar10("train")
    test_set = test_set or load_cifar10("test")
    folder = Path(out)
    run = _Run(config, train_set)
    first_epoch = run.resume(folder / "checkpoint.safetensors")
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / "log.jsonl"
    # A run stopped between checkpoint and log, or one without a checkpoint, leaves lines that are not this run's.
    lines = log_path.read_text().splitlines(keepends=True)[:first_epoch] if log_path.exists() else []
    write_atomically(log_path, "".join(lines).encode())
    for epoch in range(first_epoch, config.epochs):
        started = time.perf_counter()
        loss = run.epoch(epoch, on_step)
        seconds = time.perf_counter() - started
        log = EpochLog(epoch, loss, accuracy(run.model, test_set), seconds)
        lines.append(json.dumps(asdict(log)) + "\n")
        write_atomically(log_path, "".join(lines).encode())
        run.save(folder / "checkpoint.safetensors", epoch + 1)
        if on_epoch is not None:
            on_epoch(log)
    save_network(folder / "weights.safetensors", run.model, config.model, train_set.classes)
    trained: nn.Module = run.model.eval()
    return trained


class _Run:
    """The state of one training run: network, optimiser, look-ahead average, data."""

    def __init__(self, config: TrainConfig, train_set: LabelledImages) -> None:
        self.config = config
        self.device = config.torch_device
        self.labels = torch.from_numpy(train_set.labels).to(self.device)
        self.images = image_tensor(train_set.images).to(self.device)
        num_classes = len(train_set.classes)
        model = build(config.model, num_classes, seed=config.seed)
        assert isinstance(model, AirBench94)
        whiten_from_images(model, self.images[:5000].cpu())
        self.model = model.to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.average = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        rate, decay = config.learning_rate / _KILOSTEP, config.weight_decay * config.batch_size / _KILOSTEP
        trained = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
        groups = [
            ([p for n, p in trained if n == "whiten.bias"], rate),
            ([p for n, p in trained if n.endswith("bias") and n != "whiten.bias"], 64 * rate),
            ([p for n, p in trained if not n.endswith("bias")], rate),
        ]
        self.optimizer = torch.optim.SGD(
            # SGD multiplies its weight decay by the rate; dividing here keeps the two apart.
            [{"params": ps, "rate": own, "lr": own, "weight_decay": decay / own} for ps, own in groups],
            lr=rate,
            momentum=_MOMENTUM,
            nesterov=True,
        )
        self.steps_per_epoch = len(self.labels) // config.batch_size
        if self.steps_per_epoch == 0:
            raise TrainingError(f"{len(self.labels)} training images do not fill one batch of {config.batch_size}")
        self.total_steps = self.steps_per_epoch * config.epochs

    def epoch(self, epoch: int, on_step: Callable[[int, int], None] | None) -> float:
        """Train one epoch; return its mean loss per image."""
        config = self.config
        generator = torch.Generator().manual_seed((config.seed << 20) + epoch)
        order = torch.randperm(len(self.labels), generator=generator)
        flipped = alternating_flip(self.images, epoch, config.seed)
        self.model.train()
        total = 0.0
        for step in range(self.steps_per_epoch):
            index = order[step * config.batch_size : (step + 1) * config.batch_size].to(self.device)
            batch = translate(flipped[index], config.translation_px, generator)
            total += self._step(batch, self.labels[index], epoch * self.steps_per_epoch + step)
            if on_step is not None:
                on_step(epoch * self.steps_per_epoch + step + 1, self.total_steps)
        return total / (self.steps_per_epoch * config.batch_size)

    def _step(self, batch: Tensor, labels: Tensor, step: int) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = group["rate"] * _triangle(step, self.total_steps)
        # The whitening bias is only trained while the first colours settle.
        if step >= _WHITEN_BIAS_EPOCHS * self.steps_per_epoch:
            self.optimizer.param_groups[0]["lr"] = 0.0
        bf16 = self.config.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bf16):
            logits = self.model(batch.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits.float(), labels, reduction="sum", label_smoothing=self.config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves backward untyped
        self.optimizer.step()
        done = step + 1
        if done == self.total_steps:
            self._look_ahead(1.0)
        elif done % _LOOKAHEAD_STEPS == 0:
            self._look_ahead(0.95**_LOOKAHEAD_STEPS * (done / self.total_steps) ** 3)
        return float(loss.detach())

    @torch.no_grad()
    def _look_ahead(self, keep: float) -> None:
        """Move the average towards the weights, then set the weights to it; at the end (keep 1) just take it."""
        for name, tensor in self.model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - keep)
                tensor.copy_(self.average[name])

    def save(self, path: Path, epochs_done: int) -> None:
        """Write everything that a later call needs to go on."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for number, parameter in enumerate(self._parameters()):
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                tensors[f"momentum.{number}"] = momentum
        write_tensors(path, tensors, {"config": json.dumps(asdict(self.config)), "epochs_done": str(epochs_done)})

    def resume(self, path: Path) -> int:
        """Load a checkpoint if there is one; return the number of finished epochs."""
        if not path.exists():
            return 0
        tensors, metadata = read_tensors(path)
        if metadata.get("config") != json.dumps(asdict(self.config)):
            raise TrainingError(f"{path} belongs to a run with another configuration: choose another folder")
        try:
            epochs_done = int(metadata["epochs_done"])
            self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        except (KeyError, ValueError, RuntimeError):
            raise TrainingError(f"{path} is damaged: delete it to start again, or choose another folder") from None
        self.average = {k[8:]: v.to(self.device) for k, v in tensors.items() if k.startswith("average.")}
        for number, parameter in enumerate(self._parameters()):
            if f"momentum.{number}" in tensors:
                momentum = torch.empty_like(parameter).copy_(tensors[f"momentum.{number}"])
                self.optimizer.state[parameter]["momentum_buffer"] = momentum
        return epochs_done

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.optimizer.param_groups for p in group["params"]]


def _triangle(step: int, total: int, start: float = 0.2, peak: float = 0.23, end: float = 0.07) -> float:
    """Learning-rate factor: from ``start`` up to 1 at ``peak`` of the run, then down to ``end``."""
    at = step / total
    return start + (1 - start) * at / peak if at < peak else 1 + (end - 1) * (at - peak) / (1 - peak)

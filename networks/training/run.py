"""Training, resumable after every epoch: on CPU or GPU, in one process or several, on plain or protected pictures."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.airbench import AirBench, whiten_from_images
from networks.checkpoint import read_tensors, write_tensors
from networks.convert import convert
from networks.datasets import SegmentedImages
from networks.errors import TrainingError
from networks.evaluation import image_tensor
from networks.pretrained import load_network, save_network
from networks.registry import build, model_entry
from networks.training.config import TrainConfig
from networks.training.log import EpochLog, read_log, write_log
from networks.training.losses import overlap_loss
from networks.training.optimizing import Optimizing
from networks.training.parallel import join_workers, synchronise_batch_norms
from networks.training.protection import Protection
from networks.training.samples import Batch, DataSet, Samples, load_data
from networks.training.score import metric_of, score_on
from scrambler import Key, scheme
from scrambler.errors import MissingKeyError


def train(
    config: TrainConfig | None = None,
    *,
    out: Path | str,
    key: Key | None = None,
    train_set: DataSet | None = None,
    test_set: DataSet | None = None,
    on_epoch: Callable[[EpochLog], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """Train a network and write its weights, log, curve and checkpoint into a folder.

    A run that was stopped goes on from its last finished epoch when called again with the same configuration and
    folder, with the same result as an uninterrupted one. Started by ``torchrun``, all processes share the work.

    Parameters
    ----------
    config : TrainConfig, optional
        Default: the recipe of the shipped CIFAR-10 weights.
    out : path
        Folder; gets ``checkpoint.safetensors``, ``log.jsonl``, ``curve.png`` and, at the end, ``weights.safetensors``:
        always the plain architecture's, whatever the pictures were protected with.
    key : Key, optional
        For keyed schemes.
    train_set, test_set : LabelledImages or SegmentedImages, optional
        Default: the data set that the configuration names.
    on_epoch : callable, optional
        Called with an :class:`EpochLog` after each epoch.
    on_step : callable, optional
        Called with (steps done, steps in all) after each step.

    Returns
    -------
    torch.nn.Module
        The trained network, in evaluation mode, on the configured device; a converted one where the configuration
        asks for a keyed network.

    Raises
    ------
    TrainingError
        If the folder holds a checkpoint of another configuration or key, or the loss is no number any more.
    MissingKeyError
        If the scheme needs a key and none is given.
    """
    config = config or TrainConfig()
    if train_set is None or test_set is None:
        train_set, test_set = load_data(config)
    folder = Path(out)
    run = _Run(config, train_set, key)
    first_epoch = run.resume(folder / "checkpoint.safetensors")
    # Nobody writes before all have read.
    run.workers.wait()
    logs = read_log(folder / "log.jsonl", first_epoch)
    if run.workers.leads:
        folder.mkdir(parents=True, exist_ok=True)
        write_log(folder, logs)
    for epoch in range(first_epoch, config.settings.epochs):
        started = time.perf_counter()
        loss = run.epoch(epoch, on_step)
        seconds = time.perf_counter() - started
        metric, score = metric_of(test_set), None
        if (epoch + 1) % config.test_every == 0 or epoch + 1 == config.settings.epochs:
            # In the run's precision: float32 would take as long as the training where bfloat16 is fast.
            with run.autocast():
                score = score_on(run.model, test_set, run.protection, epoch)[1]
        logs.append(EpochLog(epoch, loss, metric, score, seconds, config.computed_in))
        if run.workers.leads:
            write_log(folder, logs)
            run.save(folder / "checkpoint.safetensors", epoch + 1)
            if on_epoch is not None:
                on_epoch(logs[-1])
    if run.workers.leads:
        save_network(folder / "weights.safetensors", run.model, config.model, train_set.classes)
    run.workers.wait()
    return run.model.eval()


class _Run:
    """The state of one training run: network, optimiser, data."""

    def __init__(self, config: TrainConfig, train_set: DataSet, key: Key | None) -> None:
        self.config, self.recipe, self.device = config, config.settings, config.torch_device
        self.key_id, self.protection = "", None
        protect = config.protect
        if protect is not None:
            if scheme(protect.scheme).card.keyed:
                if key is None:
                    raise MissingKeyError(f"training on {protect.scheme!r} pictures needs a key: Key.load reads one.")
                self.key_id = key.id
            self.protection = Protection(protect, key, config.seed)
        self.keyed = self.protection is not None and self.protection.keyed
        if config.images is not None:
            train_set = train_set.subset(config.images)
        self.samples = Samples(train_set, self.recipe, config.seed, self.device, self.protection)
        weights = self.samples.class_weights(len(train_set.classes))
        self._class_weights = weights if weights is None else weights.to(self.device)
        self._void = train_set.void if isinstance(train_set, SegmentedImages) else -100
        self.workers = join_workers(self.device)
        self.model = self._network(train_set, key)
        self.optimizing = Optimizing(self.recipe, self.model, self.samples.steps_per_epoch)
        # A method with a loss of its own brings it along.
        self._own_loss: Callable[..., Tensor] | None = getattr(self.model, "training_loss", None)
        self._stepped: Callable[..., Tensor] = torch.compile(self.model) if config.compile else self.model

    def _network(self, train_set: DataSet, key: Key | None) -> nn.Module:
        """Build the network, whiten it where it is of that kind, convert it where the frames are shuffled."""
        channels = model_entry(self.config.model).channels
        if self.protection is None and channels != train_set.images.shape[3]:
            raise TrainingError(
                f"{self.config.model} takes pictures of {channels} channels, these have {train_set.images.shape[3]}:"
                " choose another model or data set"
            )
        model = build(self.config.model, len(train_set.classes), seed=self.config.seed)
        if self.config.start is not None:
            self._go_on_from(self.config.start, model, train_set)
        elif isinstance(model, AirBench):
            if self.protection is not None and not self.keyed:
                first = train_set.images[:5000]
                sight = self.protection.apply(first, torch.arange(len(first)), 0, "first sight").inputs
            else:
                sight = image_tensor(train_set.images[:5000])
            whiten_from_images(model, sight)
        if self.keyed:
            assert key is not None
            height, width = train_set.images.shape[1:3]
            model = convert(model, key, (height, width), channels=train_set.images.shape[3])
        if self.workers.count > 1:
            synchronise_batch_norms(model)
        model = model.to(self.device)
        return model if self.keyed else model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it

    def _go_on_from(self, start: str, model: nn.Module, train_set: DataSet) -> None:
        """Load the weights of another training."""
        found = load_network(start)
        if found.model != self.config.model or found.classes != train_set.classes:
            theirs, ours = ", ".join(found.classes), ", ".join(train_set.classes)
            raise TrainingError(
                f"{start} holds {found.model} for {theirs}, and this run trains {self.config.model} for {ours}:"
                " choose weights of the same"
            )
        model.load_state_dict(found.network.state_dict())

    def autocast(self) -> torch.autocast:
        """Return the context that the network runs in."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.computed_in == "bfloat16")

    def epoch(self, epoch: int, on_step: Callable[[int, int], None] | None) -> float:
        """Train one epoch; return its mean loss per image."""
        self.model.train()
        total, first = 0.0, epoch * self.samples.steps_per_epoch
        # Dropout and its kin draw from torch's own generator: seeded an epoch at a time, a resumed run draws the same.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed((self.config.seed << 20) + epoch)
            for step, batch in enumerate(self.samples.epoch(epoch)):
                loss = self._step(batch, first + step)
                if not math.isfinite(loss):
                    raise TrainingError(
                        f"the loss is {loss} at step {step + 1} of epoch {epoch + 1}: lower learning_rate"
                        f" (now {self.recipe.learning_rate:g}) and start again in another folder"
                    )
                total += loss
                if on_step is not None and self.workers.leads:
                    on_step(first + step + 1, self.optimizing.total_steps)
        return total / self.samples.steps_per_epoch

    def _step(self, batch: Batch, number: int) -> float:
        """Take one step; return the mean loss of the batch."""
        mine, targets = self.workers.own(batch.inputs), self.workers.own(batch.targets)
        nonces = batch.nonces[self.workers.rank :: self.workers.count]

        def summed(logits: Tensor) -> Tensor:
            return F.cross_entropy(
                logits.float(), targets, weight=self._class_weights, ignore_index=self._void, reduction="sum",
                label_smoothing=self.recipe.label_smoothing,
            )  # fmt: skip

        total = self._total_weight(batch.targets)
        with self.autocast():
            if self._own_loss is not None:
                # Its terms are means over this process's part of the batch.
                part = len(targets) / len(batch.targets)
                loss = self._own_loss(mine, lambda logits: summed(logits) / (total * part)) * (total * part)
            elif self.keyed:
                loss = summed(self._stepped(mine, nonce=list(nonces)))
            else:
                logits = self._stepped(mine.contiguous(memory_format=torch.channels_last))
                loss = summed(logits)
                if self.recipe.overlap and targets.ndim == 3:
                    lost = overlap_loss(logits, targets, void=self._void, total=self.workers.total)
                    loss = loss + self.recipe.overlap * lost * total / self.workers.count
        mean = loss / total
        self.optimizing.optimizer.zero_grad(set_to_none=True)
        # Jordan's recipe is stated for the sum over the batch.
        (loss if self.recipe.optimizer == "jordan" else mean).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.workers.sum([p.grad for p in self.optimizing.parameters if p.grad is not None])
        self.optimizing.step(number)
        shown = mean.detach()
        self.workers.sum([shown])
        return float(shown)

    def _total_weight(self, targets: Tensor) -> float:
        """Return what divides a batch's summed loss: its images, or its pixels by the weight of their class."""
        if targets.ndim == 1 and self._class_weights is None:
            return float(len(targets))
        counted = targets[targets != self._void]
        weight = counted.numel() if self._class_weights is None else float(self._class_weights[counted].sum())
        return max(weight, 1e-12)

    def _owner(self) -> dict[str, str]:
        """Return what says whose checkpoint it is; no secret."""
        return {"config": json.dumps(asdict(self.config), default=_digest), "key_id": self.key_id}

    def save(self, path: Path, epochs_done: int) -> None:
        """Write everything that a later call needs to go on."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        write_tensors(path, tensors | self.optimizing.state(), self._owner() | {"epochs_done": str(epochs_done)})

    def resume(self, path: Path) -> int:
        """Load a checkpoint if there is one; return the number of finished epochs."""
        if not path.exists():
            return 0
        tensors, metadata = read_tensors(path)
        owner = self._owner()
        if metadata.get("config") != owner["config"]:
            raise TrainingError(f"{path} belongs to a run with another configuration: choose another folder")
        if metadata.get("key_id", "") != owner["key_id"]:
            raise TrainingError(f"{path} belongs to a run with key {metadata.get('key_id')}: choose another folder")
        try:
            epochs_done = int(metadata["epochs_done"])
            self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
            self.optimizing.load_state(tensors)
        except (KeyError, ValueError, IndexError, RuntimeError):
            raise TrainingError(f"{path} is damaged: delete it to start again, or choose another folder") from None
        return epochs_done


def _digest(parameter: Any) -> str:
    """Return what stands for a parameter that is no plain value, such as public images."""
    return sha256(np.ascontiguousarray(parameter).tobytes()).hexdigest()

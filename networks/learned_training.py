r"""Training of the learned schemes `transform-net` and `gan`, together with the classifier that reads their pictures.

What the papers leave open is defined here, and said so on the cards. With h the U-Net, :math:`\psi` the classifier:

`transform-net` minimises :math:`\mathrm{CE}(\psi(h(x)), y) - \alpha \min(\|\phi(x) - \phi(h(x))\|^2 / d, m)`, where
:math:`\phi` is the frozen beginning of the shipped CIFAR-10 network and d its number of values.

`gan` plays h against a discriminator D that knows pixel-wise encrypted pictures (`negative-positive+color` under a
key that is thrown away): h minimises :math:`(D(h(x)) - 1)^2 + \lambda \|F(h(x)) - x\|_1 + \mu\,\mathrm{CE}`, D
minimises :math:`\tfrac12 (D(z) - 1)^2 + \tfrac12 D(h(x))^2`, and F is the way back of a CycleGAN; with
:math:`\lambda = 0` there is none, and the pictures need not hold what it would want.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from networks.airbench import AirBench
from networks.cyclegan import CycleGAN
from networks.evaluation import image_tensor
from networks.learned_run import LearnedNetworks, LearnedRecipe, LearnedRun, OnEpoch, OnStep
from networks.pretrained import load_pretrained
from networks.transformation_network import TransformationNetwork
from scrambler import Key, scheme

_FEATURES_OF = "cifar10-airbench94"


def push_apart(plain: Tensor, protected: Tensor, limit: float) -> Tensor:
    r"""Return :math:`\min(\|a - b\|^2 / d, m)`, the mean square difference of features up to a limit.

    Parameters
    ----------
    plain, protected : Tensor
        Features of one shape.
    limit : float
        m: beyond it there is nothing to gain.

    Examples
    --------
    >>> push_apart(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 3.0]), limit=9.0).item()
    2.5
    """
    return _mean_square(plain, protected).clamp(max=limit)


def train_transform_net(
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    out: Path | str,
    recipe: LearnedRecipe | None = None,
    classes: tuple[str, ...] | None = None,
    push: float = 0.1,
    limit: float = 9.0,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> LearnedNetworks:
    """Train `transform-net` and its classifier.

    Parameters
    ----------
    images : uint8 array, shape (N, H, W, 3)
        RGB.
    labels : integer array, shape (N,)
        Class numbers.
    out : path
        Folder; gets ``transform-net.safetensors`` and ``classifier.safetensors``, each replaced in one step.
    recipe : LearnedRecipe, optional
        Default: minutes on two cores for CIFAR-10.
    classes : tuple of str, optional
        Class names; default: their numbers.
    push, limit : float
        The factor of the feature term, and where it ends.
    on_step : callable, optional
        Called with (steps done, steps in all) after each step.
    on_epoch : callable, optional
        Called with the epoch's mean losses.

    Raises
    ------
    TrainingError
        If images, labels or recipe do not fit together, or a loss is no number.
    """
    run = LearnedRun(images, labels, recipe or LearnedRecipe(), classes)
    network = run.initial(TransformationNetwork)
    features = _frozen_features().to(run.device)
    optimiser = run.optimiser(network, run.classifier)

    def step(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        protected = network(x)
        losses = {
            "class": F.cross_entropy(run.classifier(protected), y),
            "push": push_apart(features(x), features(protected), limit),
        }
        optimiser.step(losses["class"] - push * losses["push"])
        return losses

    history = run.train(step, (network, run.classifier), on_step, on_epoch)
    return run.save(Path(out), network, "transform-net", history)


def train_gan(
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    out: Path | str,
    recipe: LearnedRecipe | None = None,
    classes: tuple[str, ...] | None = None,
    cycle: float = 1.0,
    class_weight: float = 1.0,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> LearnedNetworks:
    """Train `gan` and its classifier.

    Parameters
    ----------
    images, labels, out, recipe, classes, on_step, on_epoch
        As for :func:`train_transform_net`; the folder gets ``gan.safetensors`` and ``classifier.safetensors``.
    cycle : float
        Factor of the way back's loss; 0 leaves the way back out.
    class_weight : float
        Factor of the classifier's loss.

    Raises
    ------
    TrainingError
        If images, labels or recipe do not fit together, or a loss is no number.
    """
    run = LearnedRun(images, labels, recipe or LearnedRecipe(), classes)
    gan = run.initial(CycleGAN)
    encrypted = _encrypted(images, run.recipe.seed)
    makers = run.optimiser(gan.generator, gan.back, run.classifier)
    judge = run.optimiser(gan.discriminator)

    def step(x: Tensor, y: Tensor) -> dict[str, Tensor]:
        made = gan.generator(x)
        real = encrypted[torch.randint(len(encrypted), (len(x),), generator=run.generator)].to(run.device)
        judged = (_mean_square(gan.discriminator(real), 1) + _mean_square(gan.discriminator(made.detach()), 0)) / 2
        judge.step(judged)
        losses = {
            "judge": judged,
            "likeness": _mean_square(gan.discriminator(made), 1),
            "class": F.cross_entropy(run.classifier(made), y),
        }
        total = losses["likeness"] + class_weight * losses["class"]
        if cycle:
            losses["cycle"] = (gan.back(made) - x).abs().mean()
            total = total + cycle * losses["cycle"]
        makers.step(total)
        return losses

    history = run.train(step, (gan, run.classifier), on_step, on_epoch)
    return run.save(Path(out), gan.generator, "gan", history)


def _mean_square(values: Tensor, target: Tensor | float) -> Tensor:
    """Return the mean square difference; in single precision, which a mean over many values needs."""
    return (values.float() - target).square().mean()


def _frozen_features() -> nn.Module:
    """Return the first five convolutions of the shipped network: it takes pictures of any size from 3x3 on."""
    network = load_pretrained(_FEATURES_OF)
    assert isinstance(network, AirBench)
    features = nn.Sequential(network.normalize, network.whiten, network.stem_act, network.groups[0])
    return features.requires_grad_(False)


def _encrypted(images: NDArray[np.uint8], seed: int) -> Tensor:
    """Return images under pixel-wise encryption, each with secrets of its own, as float32 (N, 3, H, W) in [0, 1]."""
    rng = np.random.default_rng(seed)
    encryption = scheme("negative-positive+color", key=Key.from_bytes(rng.bytes(32)))
    nonces = [rng.bytes(16) for _ in images]
    return image_tensor(np.asarray(encryption.protect(images, nonce=nonces)))

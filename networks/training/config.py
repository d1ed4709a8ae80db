"""What to train: network, data, what the run changes of its recipe, and how its pictures are protected."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from networks.errors import TrainingError
from networks.registry import model_entry
from networks.training.precision import check_precision, uses_bfloat16
from networks.training.recipes import RECIPES, Recipe, usual_recipe


def data_by_size(input_size: tuple[int, int]) -> str:
    """Return the data set whose pictures have that height and width, in pixels; ``"cifar10"`` for any other."""
    return {(28, 28): "mnist", (180, 240): "camvid", (112, 92): "faces"}.get(input_size, "cifar10")


def usual_data(model: str) -> str:
    """Return the data set that an architecture is usually trained on, by the size of its input."""
    return data_by_size(model_entry(model).input_size)


@dataclass(frozen=True, kw_only=True)
class Protect:
    """Training on protected pictures instead of plain ones.

    Attributes
    ----------
    scheme : str
        One of :func:`scrambler.list_schemes`.
    parameters : mapping
        Of the scheme.
    augment : str
        ``"client"``: pictures are augmented, then protected, afresh in every epoch; ``"protected"``: they are
        protected once and augmented as they are.
    network : str
        ``"plain"``: the architecture reads the protected values as a picture; ``"keyed"``: it is converted with the
        key and reads shuffled frames exactly (scheme ``pixel-shuffle`` only).
    """

    scheme: str = "pixel-shuffle"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    augment: str = "client"
    network: str = "plain"

    def __post_init__(self) -> None:
        if self.augment not in ("client", "protected"):
            raise TrainingError(f"protect.augment must be client or protected, got {self.augment!r}")
        if self.network not in ("plain", "keyed"):
            raise TrainingError(f"protect.network must be plain or keyed, got {self.network!r}")
        if self.network == "keyed" and self.scheme != "pixel-shuffle":
            raise TrainingError(f"a keyed network trains on pixel-shuffle frames, not on {self.scheme!r}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What to train and how.

    Attributes
    ----------
    model : str
        One of :func:`networks.list_models`.
    data : str, optional
        ``"cifar10"``, ``"mnist"``, ``"faces"``, ``"camvid"``, ``"camvid-trainval"`` (with the validation scenes), or a
        folder with ``train`` and ``test``, each with one subfolder of pictures a class; default: what the model is
        usually trained on.
    recipe : str, optional
        One of :data:`RECIPES`; default: the usual one for model and data.
    epochs, batch_size, learning_rate, weight_decay, label_smoothing, flips, translation_px, cutout_px, zoom,
    crop, colour_jitter, class_weights, overlap : optional
        What this run does unlike its recipe; see :class:`Recipe`.
    test_every : int
        Epochs from one look at the test set to the next; the last epoch is always looked at.
    images : int, optional
        Only the first so many training images.
    seed : int
        Fixes initial weights, order, augmentation and, where pictures are protected, the nonces (for studies only).
    start : str, optional
        A weights file of the same model and classes to go on from, or the name of shipped weights; default: weights
        drawn from the seed.
    device : str
        A torch device; ``"auto"`` takes a GPU where there is one.
    precision : str
        ``"bfloat16"`` (autocast), ``"float32"``, or ``"auto"``: bfloat16 on a GPU and on processors with matrix units
        for it (AMX), where it is up to five times as fast; see ``networks.training.uses_bfloat16``.
    compile : bool
        Whether the network runs under ``torch.compile``; those with a loss of their own never do.
    protect : Protect, optional
        Default: plain pictures.
    """

    model: str = "airbench94"
    data: str | None = None
    recipe: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    label_smoothing: float | None = None
    flips: bool | None = None
    translation_px: int | None = None
    cutout_px: int | None = None
    zoom: float | None = None
    crop: float | None = None
    colour_jitter: float | None = None
    class_weights: bool | None = None
    overlap: float | None = None
    test_every: int = 1
    images: int | None = None
    seed: int = 0
    start: str | None = None
    device: str = "auto"
    precision: str = "auto"
    compile: bool = False
    protect: Protect | None = None

    def __post_init__(self) -> None:
        model_entry(self.model)
        if self.recipe is not None and self.recipe not in RECIPES:
            raise TrainingError(f"there is no recipe called {self.recipe!r}; choose one of {', '.join(RECIPES)}")
        if self.settings.optimizer == "jordan" and not self.model.startswith("airbench"):
            raise TrainingError(f"the recipe jordan trains the airbench networks, not {self.model!r}")
        if self.images is not None and self.images < 1:
            raise TrainingError(f"images must be 1 or more, got {self.images}")
        if self.test_every < 1:
            raise TrainingError(f"test_every must be 1 or more, got {self.test_every}")
        check_precision(self.precision)
        if not 0 <= self.seed < 1 << 32:
            raise TrainingError(f"seed must be from 0 to 2**32 - 1, got {self.seed}")
        try:
            torch.empty(0, device=self.torch_device)
        except (RuntimeError, AssertionError):  # a build without CUDA raises the latter
            raise TrainingError(
                f"device must be auto, cpu or another device torch finds here, got {self.device!r}"
            ) from None

    @property
    def data_set(self) -> str:
        """The data set's name or folder."""
        return self.data or usual_data(self.model)

    @property
    def recipe_name(self) -> str:
        """The name of the recipe."""
        return self.recipe or usual_recipe(self.model, self.data_set)

    @property
    def settings(self) -> Recipe:
        """The recipe with what this run changes of it."""
        recipe = RECIPES[self.recipe_name]
        own = {f.name: getattr(self, f.name, None) for f in dataclasses.fields(Recipe)}
        return dataclasses.replace(recipe, **{name: value for name, value in own.items() if value is not None})

    @property
    def torch_device(self) -> torch.device:
        """The device that ``device`` names."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    @property
    def computed_in(self) -> str:
        """What ``precision`` comes to on this machine: ``"bfloat16"`` or ``"float32"``."""
        return "bfloat16" if uses_bfloat16(self.precision, self.torch_device) else "float32"

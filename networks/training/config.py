"""What to train and how: recipes, what a run changes of them, and the file that says so."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch

from networks.registry import model_entry
from scrambler.errors import ShuffleCamError


class TrainingError(ShuffleCamError):
    """A training configuration, its data or a checkpoint cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a kind of network is trained.

    Attributes
    ----------
    optimizer : str
        ``"jordan"`` (Nesterov SGD on the summed loss, decoupled weight decay, fast biases, look-ahead), ``"sgd"``
        (Nesterov SGD with momentum 0.9) or ``"adamw"``.
    schedule : str
        ``"triangle"`` or ``"cosine"`` (the first twentieth of the steps warms up).
    epochs, batch_size : int
        Passes over the training set, images a step.
    learning_rate, weight_decay : float
        Peak rate; for ``"jordan"`` both are per 1,024 examples, as its paper quotes them.
    label_smoothing : float
        In [0, 1).
    flips : bool
        Mirror half of the images, the other half in the next epoch.
    translation_px, cutout_px : int
        Largest random shift; side of the square that is blanked. 0 for none.
    zoom : float
        Largest random enlargement of pictures and their masks, 1 for none; reductions go down to ``1 / zoom``.
    class_weights : bool
        Weigh classes by 1 / ln(1.1 + share), as ENet's paper does (Paszke and others 2016, arXiv 1606.02147, 5.2).
    """

    optimizer: str
    schedule: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float = 0.0
    flips: bool = True
    translation_px: int = 0
    cutout_px: int = 0
    zoom: float = 1.0
    class_weights: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for name in ("translation_px", "cutout_px", "weight_decay"):
            if getattr(self, name) < 0:
                raise TrainingError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise TrainingError(f"learning_rate must be above 0, got {self.learning_rate}")
        if not 0 <= self.label_smoothing < 1:
            raise TrainingError(f"label_smoothing must be from 0 to below 1, got {self.label_smoothing}")
        if self.zoom < 1:
            raise TrainingError(f"zoom must be 1 or more, got {self.zoom}")


RECIPES = {
    # Jordan 2024 (arXiv 2404.00498), with more epochs than its 9.9.
    "jordan": Recipe(
        optimizer="jordan", schedule="triangle", epochs=24, batch_size=1024, learning_rate=11.5, weight_decay=0.0153,
        label_smoothing=0.2, translation_px=2,
    ),
    # The usual one for CIFAR-10: Nesterov SGD, 200 epochs, pad-4 crops and flips.
    "sgd": Recipe(
        optimizer="sgd", schedule="cosine", epochs=200, batch_size=128, learning_rate=0.1, weight_decay=5e-4,
        translation_px=4,
    ),
    "digits": Recipe(
        optimizer="adamw", schedule="cosine", epochs=12, batch_size=128, learning_rate=3e-3, weight_decay=1e-2,
        flips=False, translation_px=2,
    ),
    "segmentation": Recipe(
        optimizer="adamw", schedule="cosine", epochs=60, batch_size=8, learning_rate=3e-3, weight_decay=1e-2, zoom=1.6,
        class_weights=True,
    ),
}  # fmt: skip


def data_by_size(input_size: tuple[int, int]) -> str:
    """Return the data set whose pictures have that height and width, in pixels; ``"cifar10"`` for any other."""
    return {(28, 28): "mnist", (180, 240): "camvid", (112, 92): "faces"}.get(input_size, "cifar10")


def usual_data(model: str) -> str:
    """Return the data set that an architecture is usually trained on, by the size of its input."""
    return data_by_size(model_entry(model).input_size)


def usual_recipe(model: str, data: str) -> str:
    """Return the name of the recipe that fits a model and a data set."""
    if model.startswith("airbench"):
        return "jordan"
    return {"mnist": "digits", "camvid": "segmentation"}.get(data, "sgd")


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
        ``"cifar10"``, ``"mnist"``, ``"faces"``, ``"camvid"``, or a folder with ``train`` and ``test``, each with one
        subfolder of pictures a class; default: what the model is usually trained on.
    recipe : str, optional
        One of :data:`RECIPES`; default: the usual one for model and data.
    epochs, batch_size, learning_rate, weight_decay, label_smoothing, flips, translation_px, cutout_px, zoom,
    class_weights : optional
        What this run does unlike its recipe; see :class:`Recipe`.
    images : int, optional
        Only the first so many training images.
    seed : int
        Fixes initial weights, order, augmentation and, where pictures are protected, the nonces (for studies only).
    device : str
        A torch device; ``"auto"`` takes a GPU where there is one.
    precision : str
        ``"bfloat16"`` (autocast) or ``"float32"``.
    compile : bool
        Whether the network runs under ``torch.compile``.
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
    class_weights: bool | None = None
    images: int | None = None
    seed: int = 0
    device: str = "auto"
    precision: str = "bfloat16"
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
    def data_set(self) -> str:
        """The data set's name or folder."""
        return self.data or usual_data(self.model)

    @property
    def settings(self) -> Recipe:
        """The recipe with what this run changes of it."""
        recipe = RECIPES[self.recipe or usual_recipe(self.model, self.data_set)]
        own = {f.name: getattr(self, f.name, None) for f in dataclasses.fields(Recipe)}
        return dataclasses.replace(recipe, **{name: value for name, value in own.items() if value is not None})

    @property
    def torch_device(self) -> torch.device:
        """The device that ``device`` names."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)


def read_train_config(path: Path | str) -> TrainConfig:
    """Read a TOML file whose entries are the fields of :class:`TrainConfig`, and a table ``[protect]`` if there is one.

    Raises
    ------
    TrainingError
        If the file is missing, no TOML, or an entry is unknown or of the wrong type.
    """
    path = Path(path)
    try:
        entries = tomllib.loads(path.read_text())
    except OSError:
        raise TrainingError(f"no configuration file at {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is no TOML file: {error}") from None
    protect = entries.pop("protect", None)
    values = _typed(entries, TrainConfig, path)
    if protect is not None:
        if not isinstance(protect, dict):
            raise TrainingError(f"{path}: protect must be a table, [protect]")
        parameters = protect.pop("parameters", {})
        values["protect"] = Protect(parameters=parameters, **_typed(protect, Protect, path))
    return TrainConfig(**values)


def _typed(entries: dict[str, Any], kind: type, path: Path) -> dict[str, Any]:
    """Return ``entries`` when all of them are fields of ``kind``, with values of their types."""
    # A field of type "int | None" has int as its first part; a whole number will do for a float.
    known = {f.name: (get_args(f.type) or (f.type,))[0] for f in dataclasses.fields(kind)}
    for name, value in entries.items():
        if name not in known:
            raise TrainingError(f"{path}: there is no entry {name!r}; choose among {', '.join(sorted(known))}")
        wanted = known[name]
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise TrainingError(f"{path}: {name} must be of type {wanted.__name__}, got {value!r}")
    return entries

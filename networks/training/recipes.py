"""How each kind of network is trained: optimiser, schedule, augmentation, loss."""

from dataclasses import dataclass

from networks.errors import TrainingError


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
    crop : float
        Share of each side of pictures and masks that a step sees, at a random place; 1 for all of it.
    colour_jitter : float
        Largest change of brightness, contrast and saturation of plain pictures, each a factor from 1 - j to 1 + j.
    class_weights : bool
        Weigh classes by 1 / ln(1.1 + share), as ENet's paper does (Paszke and others 2016, arXiv 1606.02147, 5.2).
    overlap : float
        Factor of the soft overlap loss (Rahman and Wang, ISVC 2016), added to the cross-entropy of masks.
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
    crop: float = 1.0
    colour_jitter: float = 0.0
    class_weights: bool = False
    overlap: float = 0.0

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
        if not 0 <= self.colour_jitter <= 1:
            raise TrainingError(f"colour_jitter must be from 0 to 1, got {self.colour_jitter}")
        if self.overlap < 0:
            raise TrainingError(f"overlap must be 0 or more, got {self.overlap}")
        if not 0 < self.crop <= 1:
            raise TrainingError(f"crop must be above 0 and at most 1, got {self.crop}")
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
        optimizer="adamw", schedule="cosine", epochs=200, batch_size=8, learning_rate=3e-3, weight_decay=1e-2, zoom=1.6,
        crop=2 / 3, colour_jitter=0.3, class_weights=True, overlap=1.0,
    ),
    # Goes on from the one above, on whole scenes, as Jegou and others 2017 (arXiv 1611.09326, section 4.1) do.
    "segmentation-whole": Recipe(
        optimizer="adamw", schedule="cosine", epochs=30, batch_size=8, learning_rate=1e-3, weight_decay=1e-2, zoom=1.4,
        colour_jitter=0.3, class_weights=True, overlap=1.0,
    ),
}  # fmt: skip


def usual_recipe(model: str, data: str) -> str:
    """Return the name of the recipe that fits a model and a data set."""
    if model.startswith("airbench"):
        return "jordan"
    return {"mnist": "digits", "camvid": "segmentation", "camvid-trainval": "segmentation"}.get(data, "sgd")

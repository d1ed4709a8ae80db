"""Training data as tensors, and the batches that one epoch makes of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from networks.augment import colour_jitter, cutout, mirror, mirrored_images, translate, zoom
from networks.datasets import (
    LabelledImages,
    SegmentedImages,
    load_camvid,
    load_cifar10,
    load_faces,
    load_image_folder,
    load_mnist,
)
from networks.errors import TrainingError
from networks.training.config import TrainConfig
from networks.training.protection import Protection
from networks.training.recipes import Recipe

DataSet = LabelledImages | SegmentedImages
_KNOWN: dict[str, Callable[[str, Path | None], DataSet]] = {
    "cifar10": load_cifar10,
    "mnist": load_mnist,
    "faces": load_faces,
    "camvid": load_camvid,
    "camvid-trainval": lambda split, folder: load_camvid("trainval" if split == "train" else split, folder),
}


def load_data(config: TrainConfig, folder: Path | None = None) -> tuple[DataSet, DataSet]:
    """Return training and test set that a configuration names.

    Parameters
    ----------
    config : TrainConfig
        Names the data.
    folder : Path, optional
        Where a known data set lies; default: in the data folder.

    Raises
    ------
    DatasetError, TrainingError
        If the data are missing or damaged, or two folders have different classes.
    """
    train: DataSet
    test: DataSet
    name = config.data_set
    if name in _KNOWN:
        train, test = _KNOWN[name]("train", folder), _KNOWN[name]("test", folder)
    else:
        place = Path(name)
        if not place.is_dir():
            raise TrainingError(f"data must be a folder or one of {', '.join(_KNOWN)}, got {name!r}")
        train = load_image_folder(place / "train")
        test = load_image_folder(place / "test", (train.images.shape[1], train.images.shape[2]))
        if train.classes != test.classes:
            raise TrainingError(f"{place / 'train'} and {place / 'test'} hold different classes")
    return train, test


def load_test_data(config: TrainConfig, folder: Path | None = None) -> DataSet:
    """Return the test set alone; as :func:`load_data` otherwise."""
    if config.data_set in _KNOWN:
        return _KNOWN[config.data_set]("test", folder)
    return load_data(config)[1]


def targets_of(data: DataSet) -> Tensor:
    """Return labels, or masks."""
    return torch.from_numpy(data.masks if isinstance(data, SegmentedImages) else data.labels)


@dataclass(frozen=True)
class Batch:
    """What one step reads.

    Attributes
    ----------
    inputs : Tensor of float32, shape (B, C, H, W)
        In [0, 1].
    targets : Tensor of int64, shape (B,) or (B, H, W)
        Labels, or masks.
    nonces : tuple of bytes
        One an image for a keyed network; empty otherwise.
    """

    inputs: Tensor
    targets: Tensor
    nonces: tuple[bytes, ...] = ()


class Samples:
    """A training set with its augmentation and protection.

    Parameters
    ----------
    data : LabelledImages or SegmentedImages
        Plain pictures.
    recipe : Recipe
        Batch size and augmentation.
    seed : int
        Fixes order and augmentation of every epoch.
    device : torch.device
        Where the pictures are kept.
    protection : Protection, optional
        What is done to them before the network reads them.
    """

    def __init__(
        self, data: DataSet, recipe: Recipe, seed: int, device: torch.device, protection: Protection | None = None
    ) -> None:
        self._recipe, self._seed, self._device, self._protection = recipe, seed, device, protection
        self._void = data.void if isinstance(data, SegmentedImages) else -1
        self._masks = isinstance(data, SegmentedImages)
        if self._masks and protection is not None:
            raise TrainingError("segmentation trains on plain pictures: convert the trained network with the key")
        if self._masks and (recipe.translation_px or recipe.cutout_px):
            raise TrainingError("translation_px and cutout_px would move pictures off their masks: use crop and zoom")
        if not self._masks and (recipe.crop, recipe.zoom, recipe.overlap) != (1, 1, 0):
            raise TrainingError(
                "crop, zoom and overlap are for pictures with masks: set crop = 1, zoom = 1, overlap = 0"
            )
        # Protected once, the pictures are augmented as they are; as a client would, they are protected batch by batch.
        self._once = protection is not None and protection.once
        self._nonces: tuple[bytes, ...] = ()
        if recipe.colour_jitter and self._once:
            raise TrainingError('colour_jitter is for plain pictures: set augment = "client", or colour_jitter = 0')
        if protection is not None and self._once:
            protected = protection.apply(data.images, torch.arange(len(data.images)), epoch=0)
            self._images, self._nonces = protected.inputs.to(device), protected.nonces
            if protection.keyed and recipe.cutout_px:
                raise TrainingError("cutout changes values, not places: a keyed network trains with cutout_px = 0 here")
        else:
            self._images = torch.from_numpy(data.images).permute(0, 3, 1, 2).to(device)
        self._targets = targets_of(data).to(device)
        self.steps_per_epoch = len(self._targets) // recipe.batch_size
        if self.steps_per_epoch == 0:
            raise TrainingError(f"{len(self._targets)} training images do not fill one batch of {recipe.batch_size}")

    def class_weights(self, classes: int) -> Tensor | None:
        """Return the weight of each class, or None when the recipe has none."""
        if not self._recipe.class_weights:
            return None
        counts = torch.bincount(self._targets.flatten().long(), minlength=classes)[:classes].double()
        return (1 / torch.log(1.1 + counts / counts.sum())).float()

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch; the same ones whenever seed and epoch are the same."""
        recipe, count = self._recipe, len(self._targets)
        generator = torch.Generator().manual_seed((self._seed << 20) + epoch)
        order = torch.randperm(count, generator=generator)
        flipped = mirrored_images(count, epoch, self._seed) if recipe.flips else None
        for step in range(self.steps_per_epoch):
            numbers = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            index = numbers.to(self._device)
            images, targets = self._images[index], self._targets[index]
            if self._protection is not None and self._once and self._protection.keyed:
                flip = torch.zeros(len(numbers), dtype=torch.bool) if flipped is None else flipped[numbers]
                nonces = tuple(self._nonces[int(number)] for number in numbers)
                yield Batch(self._moved(self._protection, images, flip, nonces, generator), targets.long(), nonces)
                continue
            if flipped is not None:
                images = mirror(images, flipped[numbers])
                targets = mirror(targets, flipped[numbers]) if self._masks else targets
            images = cutout(translate(images, recipe.translation_px, generator), recipe.cutout_px, generator)
            images = colour_jitter(images, recipe.colour_jitter, generator)
            if self._masks:
                images, targets = zoom(images, targets, recipe.zoom, self._void, generator, crop=recipe.crop)
            if self._protection is not None and not self._once:
                plain = images.permute(0, 2, 3, 1).cpu().contiguous().numpy()
                protected = self._protection.apply(plain, numbers, epoch)
                yield Batch(protected.inputs.to(self._device), targets.long(), protected.nonces)
            else:
                yield Batch(scaled(images), targets.long())

    def _moved(
        self,
        protection: Protection,
        frames: Tensor,
        flip: Tensor,
        nonces: tuple[bytes, ...],
        generator: torch.Generator,
    ) -> Tensor:
        """Mirror and shift shuffled frames without laying them out: the same steps on pixel numbers make the gather."""
        count, channels, height, width = frames.shape
        numbers = torch.arange(height * width).view(1, 1, height, width).expand(count, 1, height, width)
        natural = translate(mirror(numbers, flip), self._recipe.translation_px, generator).reshape(count, -1)
        table = protection.gathers(natural, nonces, (height, width)).to(frames.device)
        return frames.flatten(2).gather(2, table.unsqueeze(1).expand(-1, channels, -1)).view_as(frames)


def scaled(images: Tensor) -> Tensor:
    """Return pictures as float32: bytes are brought to [0, 1]."""
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()

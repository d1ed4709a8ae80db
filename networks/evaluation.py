"""Accuracy of plain and keyed networks on labelled images, and mean IoU on scenes with masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from networks.convert import convert
from networks.datasets import DatasetError, LabelledImages, SegmentedImages
from scrambler import Key, keyed_permutation, new_nonces


def image_tensor(images: NDArray[np.uint8]) -> Tensor:
    """Return uint8 images (N, H, W, 3) as float32 (N, 3, H, W) in [0, 1], channels last in memory.

    >>> image_tensor(np.full((1, 2, 4, 3), 255, np.uint8)).shape
    torch.Size([1, 3, 2, 4])
    """
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return tensor.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def predict(model: nn.Module, images: NDArray[np.uint8], batch_size: int = 500, flips: bool = False) -> Tensor:
    """Return logits of a plain network.

    Parameters
    ----------
    model : torch.nn.Module
        Put into evaluation mode and left so.
    images : uint8 array, shape (N, H, W, 3)
        RGB.
    batch_size : int
        Images at a time.
    flips : bool
        Average the logits of each image and its mirror image (test-time augmentation).

    Returns
    -------
    Tensor of float32, shape (N, classes)
        On the CPU.
    """
    _check_not_empty(images)
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for start in range(0, len(images), batch_size):
        batch = image_tensor(images[start : start + batch_size]).to(device)
        logits = model(batch)
        if flips:
            logits = (logits + model(batch.flip(-1))) / 2
        parts.append(logits.float().cpu())
    return torch.cat(parts)


def accuracy(model: nn.Module, data: LabelledImages, flips: bool = False) -> float:
    """Return the share of images whose largest logit is the label, in [0, 1]."""
    return _share(predict(model, data.images, flips=flips), torch.from_numpy(data.labels))


def confusion(predicted: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Count pairs of true and predicted class.

    Parameters
    ----------
    predicted, targets : Tensor of integers, same shape
        Class numbers; targets outside [0, classes) belong to no class and are left out.
    classes : int
        Their number.

    Returns
    -------
    Tensor of int64, shape (classes, classes)
        ``[t, p]``: how often class t was taken for p.

    >>> confusion(torch.tensor([0, 1, 1]), torch.tensor([0, 0, 255]), 2).tolist()
    [[1, 1], [0, 0]]
    """
    targets = targets.long()
    counted = (targets >= 0) & (targets < classes)
    pairs = targets[counted] * classes + predicted[counted].long()
    return torch.bincount(pairs, minlength=classes * classes).view(classes, classes)


def class_ious_of(counts: Tensor) -> Tensor:
    """Return each class's intersection over union, in [0, 1], from what `confusion` counted; NaN where none occurs.

    >>> class_ious_of(torch.tensor([[1, 1], [0, 2]])).tolist()
    [0.5, 0.6666666666666666]
    """
    return counts.diagonal().double() / (counts.sum(0) + counts.sum(1) - counts.diagonal())


def mean_iou_of(counts: Tensor) -> float:
    """Return the mean intersection over union, in [0, 1], of the classes that occur, from what `confusion` counted."""
    return float(class_ious_of(counts).nanmean())


@dataclass(frozen=True)
class KeyedEvaluation:
    """What a network makes of shuffled frames, beside what the plain one makes of the plain images.

    Attributes
    ----------
    images : int
        Number of images, each shuffled under a fresh nonce.
    plain_accuracy, keyed_accuracy, wrong_key_accuracy, no_key_accuracy : float
        In [0, 1]: the plain network on plain images; the converted one with the key; converted with a wrong key; the
        plain network on the shuffled frames.
    different_predictions : int
        Images where the plain and the keyed network disagree.
    tied_predictions : int
        Images whose two largest plain logits are the same float, so that either label is right.
    max_logit_difference : float
        Largest absolute difference between plain and keyed logits.
    """

    images: int
    plain_accuracy: float
    keyed_accuracy: float
    wrong_key_accuracy: float
    no_key_accuracy: float
    different_predictions: int
    tied_predictions: int
    max_logit_difference: float


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    data: LabelledImages,
    *,
    key: Key,
    wrong_key: Key,
    nonces: Sequence[bytes] | None = None,
    batch_size: int = 500,
    on_batch: Callable[[int, int], None] | None = None,
) -> KeyedEvaluation:
    """Compare a plain network with its keyed twin on frames that are each shuffled under a nonce of their own.

    Parameters
    ----------
    model : torch.nn.Module
        Plain network; takes RGB in [0, 1].
    data : LabelledImages
        Test images.
    key, wrong_key : Key
        The camera's key, and another one.
    nonces : sequence of bytes, optional
        One a frame; default: fresh ones.
    batch_size : int
        Images at a time.
    on_batch : callable, optional
        Called with (images done, images in all).

    Returns
    -------
    KeyedEvaluation
        Accuracies and the agreement of the two networks.
    """
    _check_not_empty(data.images)
    device = next(model.parameters()).device
    model.eval()
    size = (data.images.shape[1], data.images.shape[2])
    channels = data.images.shape[3]
    keyed, wrong = (convert(model, one, size, channels=channels) for one in (key, wrong_key))
    nonces = new_nonces(len(data.images)) if nonces is None else nonces
    parts: list[list[Tensor]] = [[], [], [], []]
    for start in range(0, len(data.images), batch_size):
        images, used = data.images[start : start + batch_size], nonces[start : start + batch_size]
        plain = image_tensor(images).to(device)
        shuffled = _shuffled(plain, key, used)
        logits = model(plain), keyed(shuffled, nonce=used), wrong(shuffled, nonce=used), model(shuffled)
        for part, one in zip(parts, logits, strict=True):
            part.append(one.float().cpu())
        if on_batch is not None:
            on_batch(start + len(images), len(data.images))
    plain_logits, keyed_logits, wrong_logits, no_key_logits = (torch.cat(part) for part in parts)
    labels = torch.from_numpy(data.labels)
    top = plain_logits.topk(2, dim=1).values
    return KeyedEvaluation(
        images=len(labels),
        plain_accuracy=_share(plain_logits, labels),
        keyed_accuracy=_share(keyed_logits, labels),
        wrong_key_accuracy=_share(wrong_logits, labels),
        no_key_accuracy=_share(no_key_logits, labels),
        different_predictions=int((plain_logits.argmax(1) != keyed_logits.argmax(1)).sum()),
        tied_predictions=int((top[:, 0] == top[:, 1]).sum()),
        max_logit_difference=float((plain_logits - keyed_logits).abs().max()),
    )


@dataclass(frozen=True)
class SegmentationEvaluation:
    """What a segmentation network makes of shuffled scenes, beside what the plain one makes of the plain ones.

    Attributes
    ----------
    images : int
        Number of scenes, each shuffled under a fresh nonce.
    plain_mean_iou, keyed_mean_iou, delivered_mean_iou, wrong_key_mean_iou, no_key_mean_iou : float
        In [0, 1]: the plain network on plain scenes; the converted one, its masks laid out with the key; the same
        masks as they are delivered, shuffled; converted and laid out with a wrong key; the plain network on the
        shuffled scenes.
    class_ious : tuple of float
        Of the plain network, by class; not a number for classes that occur nowhere.
    different_pixels : int
        Pixels where the plain mask and the keyed one, laid out, disagree.
    max_logit_difference : float
        Largest absolute difference between plain and keyed logits.
    """

    images: int
    plain_mean_iou: float
    keyed_mean_iou: float
    delivered_mean_iou: float
    wrong_key_mean_iou: float
    no_key_mean_iou: float
    class_ious: tuple[float, ...]
    different_pixels: int
    max_logit_difference: float


@torch.inference_mode()
def evaluate_segmentation(
    model: nn.Module,
    data: SegmentedImages,
    *,
    key: Key,
    wrong_key: Key,
    nonces: Sequence[bytes] | None = None,
    batch_size: int = 8,
    on_batch: Callable[[int, int], None] | None = None,
) -> SegmentationEvaluation:
    """Compare a plain segmentation network with its keyed twin, as :func:`evaluate` does for labels.

    Parameters
    ----------
    model : torch.nn.Module
        Plain network; takes RGB in [0, 1] and returns (B, classes, H, W).
    data : SegmentedImages
        Test scenes.
    key, wrong_key, nonces, batch_size, on_batch
        As for :func:`evaluate`.
    """
    _check_not_empty(data.images)
    device = next(model.parameters()).device
    model.eval()
    size, classes = (data.images.shape[1], data.images.shape[2]), len(data.classes)
    keyed, wrong = convert(model, key, size), convert(model, wrong_key, size)
    nonces = new_nonces(len(data.images)) if nonces is None else nonces
    counts = torch.zeros(5, classes, classes, dtype=torch.int64)
    different, largest = 0, 0.0
    for start in range(0, len(data.images), batch_size):
        used = nonces[start : start + batch_size]
        plain = image_tensor(data.images[start : start + batch_size]).to(device)
        shuffled = _shuffled(plain, key, used)
        natural, delivered = model(plain), keyed(shuffled, nonce=used)
        laid_out = keyed.unshuffle(delivered, used)
        elsewhere = wrong.unshuffle(wrong(shuffled, nonce=used), used)
        targets = torch.from_numpy(data.masks[start : start + batch_size])
        for total, logits in zip(counts, (natural, laid_out, delivered, elsewhere, model(shuffled)), strict=True):
            total += confusion(logits.argmax(1).cpu(), targets, classes)
        different += int((natural.argmax(1) != laid_out.argmax(1)).sum())
        largest = max(largest, float((natural - laid_out).abs().max()))
        if on_batch is not None:
            on_batch(start + len(used), len(data.images))
    plain_iou, keyed_iou, delivered_iou, wrong_iou, no_key_iou = (mean_iou_of(count) for count in counts)
    return SegmentationEvaluation(
        images=len(data.images),
        plain_mean_iou=plain_iou,
        keyed_mean_iou=keyed_iou,
        delivered_mean_iou=delivered_iou,
        wrong_key_mean_iou=wrong_iou,
        no_key_mean_iou=no_key_iou,
        class_ious=tuple(class_ious_of(counts[0]).tolist()),
        different_pixels=different,
        max_logit_difference=largest,
    )


def _shuffled(frames: Tensor, key: Key, nonces: Sequence[bytes]) -> Tensor:
    """Return frames (B, C, H, W) as a camera with that key delivers them, a nonce each."""
    shuffled = torch.empty_like(frames)
    size = (frames.shape[2], frames.shape[3])
    for out, frame, nonce in zip(shuffled, frames, nonces, strict=True):
        out.copy_(keyed_permutation(key, size, nonce=nonce).shuffle(frame))
    return shuffled


def _check_not_empty(images: NDArray[np.uint8]) -> None:
    if len(images) == 0:
        raise DatasetError("there are no images to predict")


def _share(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).double().mean())

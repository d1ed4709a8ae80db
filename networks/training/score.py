"""How good a network in training is on the test set."""

import torch
from torch import Tensor, nn

from networks.datasets import SegmentedImages
from networks.evaluation import confusion, image_tensor, mean_iou_of
from networks.training.protection import Protection
from networks.training.samples import DataSet

_PIXELS = 500 * 32 * 32  # a batch's worth


def metric_of(data: DataSet) -> str:
    """Return the name of what :func:`score_on` measures: accuracy, or mean IoU of masks."""
    return "mean IoU" if isinstance(data, SegmentedImages) else "accuracy"


@torch.inference_mode()
def score_on(model: nn.Module, data: DataSet, protection: Protection | None, epoch: int) -> tuple[str, float]:
    """Return the name of the metric and its value in [0, 1]: accuracy, or mean IoU of masks.

    Parameters
    ----------
    model : torch.nn.Module
        Put into evaluation mode and left so.
    data : LabelledImages or SegmentedImages
        Plain test pictures.
    protection : Protection or None
        What is done to them first.
    epoch : int
        Makes the nonces of protected pictures, together with the run's seed.
    """
    model.eval()
    device = next(model.parameters()).device
    height, width = data.images.shape[1:3]
    batch = max(1, _PIXELS // (height * width))
    counts = torch.zeros(len(data.classes), len(data.classes), dtype=torch.int64)
    targets = torch.from_numpy(data.masks if isinstance(data, SegmentedImages) else data.labels)
    for start in range(0, len(data.images), batch):
        images = data.images[start : start + batch]
        nonces: tuple[bytes, ...] = ()
        if protection is None:
            inputs = image_tensor(images)
        else:
            protected = protection.apply_to_test(images, start, epoch)
            inputs, nonces = protected.inputs, protected.nonces
        inputs = inputs.to(device)
        answer: Tensor = (
            model(inputs, nonce=list(nonces)) if protection is not None and protection.keyed else model(inputs)
        )
        counts += confusion(answer.argmax(1).cpu(), targets[start : start + batch], len(data.classes))
    if isinstance(data, SegmentedImages):
        return metric_of(data), mean_iou_of(counts)
    return metric_of(data), float(counts.diagonal().sum() / counts.sum())

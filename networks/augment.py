"""Training augmentation for small images: alternating flips and translations.

Both follow Jordan 2024 (arXiv 2404.00498, sections 3.1 and 3.6): the flip of an image is drawn once and then
alternates from epoch to epoch, so that every two epochs show both mirror images; translation pads by reflection
and crops at a random place.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def alternating_flip(images: Tensor, epoch: int, seed: int) -> Tensor:
    """Mirror half of the images, the other half in the next epoch.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        The whole training set, in its own order.
    epoch : int
        Number of the epoch, from 0.
    seed : int
        Fixes which images are mirrored in epoch 0.

    Returns
    -------
    Tensor
        A new tensor.
    """
    first = torch.rand(len(images), generator=torch.Generator().manual_seed(seed)) < 0.5
    mirrored = first if epoch % 2 == 0 else ~first
    return torch.where(mirrored.view(-1, 1, 1, 1).to(images.device), images.flip(-1), images)


def translate(images: Tensor, distance: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``distance`` pixels each way, reflecting at the border.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        Floating point.
    distance : int
        Largest shift, in pixels, 0 or more.
    generator : torch.Generator
        Source of the shifts.

    Returns
    -------
    Tensor
        Same shape, a new tensor unless ``distance`` is 0.
    """
    if distance == 0:
        return images
    height, width = images.shape[-2:]
    padded = F.pad(images, (distance,) * 4, mode="reflect")
    shifts = torch.randint(2 * distance + 1, (len(images), 2), generator=generator)
    out = torch.empty_like(images)
    for dy in range(2 * distance + 1):
        for dx in range(2 * distance + 1):
            chosen = ((shifts[:, 0] == dy) & (shifts[:, 1] == dx)).nonzero().flatten().to(images.device)
            out[chosen] = padded[chosen, :, dy : dy + height, dx : dx + width]
    return out

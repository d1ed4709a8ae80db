"""Training augmentation: alternating flips, translations, cutout, colours, and zoom of pictures with their masks.

Flips and translations follow Jordan 2024 (arXiv 2404.00498, sections 3.1 and 3.6): the flip of an image is drawn once
and then alternates from epoch to epoch, so that every two epochs show both mirror images; translation pads by
reflection and crops at a random place. Cutout is that of DeVries and Taylor 2017 (arXiv 1708.04552).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from scrambler.errors import ShuffleCamError


class TransformError(ShuffleCamError):
    """An augmentation does not fit the images."""


def mirrored_images(count: int, epoch: int, seed: int) -> Tensor:
    """Return which of ``count`` images are mirrored in an epoch: a drawn half, the other half in the next epoch."""
    first = torch.rand(count, generator=torch.Generator().manual_seed(seed)) < 0.5
    return first if epoch % 2 == 0 else ~first


def mirror(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the images (N, ..., W) where ``chosen``, shape (N,), is true; returns a new tensor."""
    return torch.where(chosen.view(-1, *(1,) * (images.ndim - 1)).to(images.device), images.flip(-1), images)


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
    return mirror(images, mirrored_images(len(images), epoch, seed))


def translate(images: Tensor, distance: int, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``distance`` pixels each way, reflecting at the border.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        Any type.
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
    shifts = torch.randint(2 * distance + 1, (len(images), 2), generator=generator)
    rows, columns = (_reflected(length, distance).to(images.device) for length in (height, width))
    padded = images[:, :, rows][:, :, :, columns]
    out = torch.empty_like(images)
    for dy in range(2 * distance + 1):
        for dx in range(2 * distance + 1):
            chosen = ((shifts[:, 0] == dy) & (shifts[:, 1] == dx)).nonzero().flatten().to(images.device)
            out[chosen] = padded[chosen, :, dy : dy + height, dx : dx + width]
    return out


def _reflected(length: int, border: int) -> Tensor:
    """Return the places that an axis reads when it is padded by reflection."""
    if border >= length:
        raise TransformError(f"images of {length} pixels can't be shifted by {border}: choose a smaller translation_px")
    places = torch.arange(-border, length + border).abs()
    return torch.where(places >= length, 2 * (length - 1) - places, places)


def cutout(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Set a square of ``side`` pixels to 0, at a random place in each image.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W)
        Any type.
    side : int
        0 for none; at most the smaller side of the image.
    generator : torch.Generator
        Source of the places.

    Returns
    -------
    Tensor
        Same shape, a new tensor unless ``side`` is 0.
    """
    if side == 0:
        return images
    inside = torch.ones(len(images), *images.shape[-2:], dtype=torch.bool)
    for axis, length in ((1, images.shape[-2]), (2, images.shape[-1])):
        if side > length:
            raise TransformError(f"a square of {side} pixels does not fit into images of {length}: lower cutout_px")
        first = torch.randint(length - side + 1, (len(images), 1), generator=generator)
        along = torch.arange(length)
        hit = (along >= first) & (along < first + side)
        inside &= hit.unsqueeze(3 - axis)
    return images.masked_fill(inside.unsqueeze(1).to(images.device), 0)


def colour_jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Change brightness, contrast and saturation of each picture, in that order.

    Each by a factor of its own, uniform in [1 - j, 1 + j]: all values are multiplied, then their distances from the
    picture's mean, then their distances from the pixel's mean. What leaves the range is cut off.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, C, H, W)
        Pictures.
    strength : float
        j, from 0 (none) to 1.
    generator : torch.Generator
        Source of the factors.

    Returns
    -------
    Tensor of uint8
        Same shape, a new tensor unless ``strength`` is 0.
    """
    if strength == 0:
        return images
    factors = 1 + strength * (2 * torch.rand((3, len(images), 1, 1, 1), generator=generator) - 1)
    brightness, contrast, saturation = factors.to(images.device)
    values = images.float() * brightness
    mean = values.mean((1, 2, 3), keepdim=True)
    values = mean + (values - mean) * contrast
    grey = values.mean(1, keepdim=True)
    changed: Tensor = (grey + (values - grey) * saturation).round().clamp(0, 255).to(images.dtype)
    return changed


def zoom(
    images: Tensor, masks: Tensor, factor: float, void: int, generator: torch.Generator, *, crop: float = 1.0
) -> tuple[Tensor, Tensor]:
    r"""Enlarge or reduce each picture and its mask about a random place, and keep a window of it.

    The scale s is drawn log-uniformly from :math:`[1/f, f]`. Pictures are interpolated linearly, as sharp as the ones
    that the network will see; masks take the nearest number. What lies outside is grey, and ``void`` in the mask.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, C, H, W)
        Pictures.
    masks : Tensor of uint8, shape (N, H, W)
        Their class numbers.
    factor : float
        f, 1 for none.
    void : int
        Number of no class.
    generator : torch.Generator
        Source of scales and places.
    crop : float
        Share of each side that the window has, above 0 to 1: what leaves has round(crop H) x round(crop W) pixels.
    """
    if factor == 1 and crop == 1:
        return images, masks
    count, channels, height, width = images.shape
    size = max(1, round(crop * height)), max(1, round(crop * width))
    out = images.new_full((count, channels, *size), 128)
    labels = masks.new_full((count, *size), void)
    draws = torch.rand((count, 3), generator=generator, dtype=torch.float64)
    for n, (enlarged, down, right) in enumerate(draws.tolist()):
        scale = math.exp((2 * enlarged - 1) * math.log(factor))
        rows, columns = (
            _Places(*(part.to(images.device) for part in _zoomed(length, kept, scale, place)))
            for length, kept, place in ((height, size[0], down), (width, size[1], right))
        )
        inside = rows.inside[:, None] & columns.inside[None, :]
        picture = _interpolated(_interpolated(images[n].float(), rows, 1), columns, 2).round().to(images.dtype)
        mask = masks[n][rows.nearest][:, columns.nearest]
        out[n] = torch.where(inside, picture, out[n])
        labels[n] = torch.where(inside, mask, labels[n])
    return out, labels


class _Places(NamedTuple):
    """Where each kept place of an axis reads: between two neighbours, at the nearest; whether it lies within."""

    before: Tensor
    after: Tensor
    share: Tensor
    nearest: Tensor
    inside: Tensor


def _zoomed(length: int, kept: int, scale: float, place: float) -> _Places:
    """Return the places of an axis that a window of ``kept`` reads; ``place`` in [0, 1)."""
    # A whole number, so that nothing is interpolated at scale 1.
    start = math.floor((length - kept / scale) * place + 0.5)
    at = start + (torch.arange(kept, dtype=torch.float64) + 0.5) / scale - 0.5
    below = torch.floor(at)
    nearest = torch.floor(at + 0.5).long()
    return _Places(
        below.long().clamp(0, length - 1),
        (below.long() + 1).clamp(0, length - 1),
        (at - below).float(),
        nearest.clamp(0, length - 1),
        (nearest >= 0) & (nearest < length),
    )


def _interpolated(picture: Tensor, places: _Places, axis: int) -> Tensor:
    """Read one axis of a picture (C, H, W)."""
    share = places.share.view(-1, *(1,) * (2 - axis))
    return torch.lerp(picture.index_select(axis, places.before), picture.index_select(axis, places.after), share)

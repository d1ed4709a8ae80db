"""Augmentation does what it says."""

import numpy as np
import pytest
import torch

from networks.augment import TransformError, alternating_flip, colour_jitter, cutout, translate, zoom


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_two_epochs_show_both_mirror_images() -> None:
    images = torch.arange(4 * 3 * 2 * 5.0).view(4, 3, 2, 5)
    first, second = alternating_flip(images, 0, seed=1), alternating_flip(images, 1, seed=1)
    for plain, a, b in zip(images, first, second, strict=True):
        assert torch.equal(a, plain) != torch.equal(b, plain)
        assert torch.equal(a.flip(-1), b)


def test_translation_is_a_crop_of_the_reflected_image() -> None:
    images = torch.rand(50, 2, 6, 7)
    moved = translate(images, 2, generator())
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="reflect")
    shifts = set()
    for plain, got in zip(padded, moved.numpy(), strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if np.array_equal(plain[:, y : y + 6, x : x + 7], got)]
        assert len(found) == 1
        shifts.add(found[0])
    assert len(shifts) > 10
    assert translate(images, 0, torch.Generator()) is images
    with pytest.raises(TransformError, match="can't be shifted by 6"):
        translate(images, 6, generator())


def test_cutout_blanks_one_square_wherever_it_fits() -> None:
    images = torch.ones(200, 2, 6, 9, dtype=torch.uint8)
    cut = cutout(images, 4, generator())
    corners = set()
    for one in cut:
        assert torch.equal(one[0], one[1])
        rows, columns = (one[0] == 0).nonzero(as_tuple=True)
        assert len(rows) == 16
        assert (int(rows.max() - rows.min()), int(columns.max() - columns.min())) == (3, 3)
        corners.add((int(rows.min()), int(columns.min())))
    assert corners == {(y, x) for y in range(3) for x in range(6)}
    assert cutout(images, 0, generator()) is images
    with pytest.raises(TransformError, match="does not fit"):
        cutout(images, 7, generator())


def test_zoom_interpolates_pictures_and_takes_the_nearest_number_of_masks() -> None:
    masks = torch.randint(3, (40, 12, 15), generator=generator(), dtype=torch.uint8)
    images = (masks * 50).unsqueeze(1).repeat(1, 3, 1, 1)
    zoomed, labels = zoom(images, masks, 1.7, 255, generator(1))
    draws = torch.rand((40, 3), generator=generator(1), dtype=torch.float64).numpy()
    reduced = 0
    for n, (size, *places) in enumerate(draws):
        scale = 1.7 ** (2 * size - 1)
        read = [
            np.floor((length - length / scale) * place + 0.5) + (np.arange(length) + 0.5) / scale - 0.5
            for length, place in zip((12, 15), places, strict=True)
        ]
        nearest = [np.floor(axis + 0.5).astype(int) for axis in read]
        inside = np.outer((nearest[0] >= 0) & (nearest[0] < 12), (nearest[1] >= 0) & (nearest[1] < 15))
        along = np.array([np.interp(read[0], np.arange(12), column) for column in images[n, 0].double().numpy().T]).T
        wanted = np.array([np.interp(read[1], np.arange(15), row) for row in along])
        np.testing.assert_allclose(zoomed[n, 1].numpy()[inside], wanted[inside], atol=0.51)
        assert (zoomed[n].numpy()[:, ~inside] == 128).all()
        rows, columns = nearest[0].clip(0, 11), nearest[1].clip(0, 14)
        np.testing.assert_array_equal(labels[n], np.where(inside, masks[n].numpy()[np.ix_(rows, columns)], 255))
        reduced += not inside.all()
    assert 8 < reduced < 32
    same, kept = zoom(images, masks, 1.0, 255, generator())
    assert same is images
    assert kept is masks


def test_a_window_of_a_zoomed_picture_lies_within_it() -> None:
    masks = torch.arange(12, dtype=torch.uint8)[:, None] * 20 + torch.arange(16, dtype=torch.uint8)
    images = masks.expand(30, 1, 12, 16)
    cut, labels = zoom(images, images[:, 0], 1.0, 255, generator(), crop=0.5)
    assert cut.shape == (30, 1, 6, 8)
    corners = set()
    for one, label in zip(cut[:, 0], labels, strict=True):
        y, x = divmod(int(one[0, 0]), 20)
        assert torch.equal(one, masks[y : y + 6, x : x + 8])
        assert torch.equal(one, label)
        corners.add((y, x))
    assert len(corners) > 15


def test_colours_change_by_hand() -> None:
    # Two pixels of three channels, the second grey: their mean is 60.
    picture = torch.tensor([[[[30, 50]], [[60, 50]], [[120, 50]]]], dtype=torch.uint8)
    changed = colour_jitter(picture.repeat(100, 1, 1, 1), 0.5, generator()).double()
    factors = (1 + 0.5 * (2 * torch.rand((3, 100), generator=generator()) - 1)).double()
    for got, (brightness, contrast, saturation) in zip(changed, factors.T.tolist(), strict=True):
        mean = 60 * brightness
        for x, values in enumerate([(30, 60, 120), (50, 50, 50)]):
            spread = [mean + (value * brightness - mean) * contrast for value in values]
            grey = sum(spread) / 3
            wanted = [min(255, max(0, grey + (value - grey) * saturation)) for value in spread]
            np.testing.assert_allclose(got[:, 0, x], wanted, atol=0.51)
    assert colour_jitter(picture, 0.0, generator()) is picture


def test_an_enlarged_number_becomes_a_block() -> None:
    masks = torch.zeros(64, 8, 8, dtype=torch.uint8)
    masks[:, 3, 4] = 9
    _, labels = zoom(masks.unsqueeze(1), masks, 2.0, 255, generator())
    sizes = (labels == 9).flatten(1).sum(1)
    assert set(sizes.tolist()) <= {0, 1, 2, 4}
    assert (sizes == 4).any()

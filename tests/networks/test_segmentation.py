"""Masks: counted by hand, and the keyed network's, laid out with the key, are the plain network's."""

import math

import numpy as np
import pytest
import torch

from networks import DatasetError, SegmentedImages, build, evaluate_segmentation
from networks.evaluation import class_ious_of, confusion, mean_iou_of
from scrambler import Key

pytestmark = pytest.mark.usefixtures("one_thread")


def test_intersection_over_union_by_hand() -> None:
    #            void           class 0 twice, once missed; class 1 once; class 2 never
    truth = torch.tensor([[255, 0], [0, 1]])
    found = torch.tensor([[2, 0], [1, 1]])
    counts = confusion(found, truth, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    ious = class_ious_of(counts).tolist()
    assert ious[:2] == [0.5, 0.5]
    assert math.isnan(ious[2])
    assert mean_iou_of(counts) == 0.5


def scenes(count: int) -> SegmentedImages:
    """Scenes whose bright half is class 1 and whose first column is void."""
    rng = np.random.default_rng(0)
    masks = (np.arange(20)[:, None] + np.arange(28) > rng.integers(10, 30, (count, 1, 1))).astype(np.uint8)
    images = np.repeat(60 + 120 * masks[..., None], 3, axis=3).astype(np.uint8)
    masks[:, :, 0] = 255
    return SegmentedImages(images, masks, ("dark", "bright"))


def test_keyed_masks_are_the_plain_ones_for_the_key_holder_alone() -> None:
    data, network = scenes(3), build("unet", 2, seed=3)
    seen: list[int] = []
    result = evaluate_segmentation(
        network, data, key=Key.from_bytes(bytes(range(32))), wrong_key=Key.from_bytes(bytes(range(1, 33))),
        batch_size=2, on_batch=lambda done, total: seen.append(done),
    )  # fmt: skip
    assert seen == [2, 3]
    assert (result.images, result.different_pixels) == (3, 0)
    assert result.keyed_mean_iou == result.plain_mean_iou
    assert result.plain_mean_iou == pytest.approx(np.nanmean(result.class_ious))
    assert result.max_logit_difference < 1e-3
    others = {result.delivered_mean_iou, result.wrong_key_mean_iou, result.no_key_mean_iou}
    assert result.plain_mean_iou not in others


def test_no_scenes_are_named() -> None:
    with pytest.raises(DatasetError, match="no images"):
        evaluate_segmentation(build("unet", 2, seed=3), scenes(0), key=Key.generate(), wrong_key=Key.generate())

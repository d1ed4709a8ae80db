"""Masks: counted by hand, and the keyed network's, laid out with the key, are the plain network's."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from networks import DatasetError, SegmentedImages, build, evaluate_segmentation
from networks.evaluation import class_ious_of, confusion, mean_iou_of
from scrambler import Key

KEY, WRONG_KEY = Key.from_bytes(bytes(range(32))), Key.from_bytes(bytes(range(1, 33)))

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


class BrightHalf(nn.Module):
    """Tells bright from dark, smoothed over three pixels, with weights set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, padding=1)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[1] = 1 / 27
            self.conv.bias.copy_(torch.tensor([0.47, 0.0]))  # type: ignore[union-attr]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.conv(x)
        return logits


def scenes(count: int) -> SegmentedImages:
    """Scenes whose bright part is class 1 and whose first column is void."""
    rng = np.random.default_rng(0)
    masks = (np.arange(20)[:, None] + np.arange(28) > rng.integers(15, 30, (count, 1, 1))).astype(np.uint8)
    images = np.repeat(60 + 120 * masks[..., None], 3, axis=3).astype(np.uint8)
    masks[:, :, 0] = 255
    return SegmentedImages(images, masks, ("dark", "bright"))


def test_keyed_masks_are_the_plain_ones_for_the_key_holder_alone() -> None:
    seen: list[int] = []
    result = evaluate_segmentation(
        BrightHalf(), scenes(3), key=KEY, wrong_key=WRONG_KEY,
        batch_size=2, on_batch=lambda done, total: seen.append(done),
    )  # fmt: skip
    assert seen == [2, 3]
    assert (result.images, result.different_pixels) == (3, 0)
    assert result.keyed_mean_iou == result.plain_mean_iou > 0.7
    assert result.plain_mean_iou == pytest.approx(np.mean(result.class_ious))
    assert result.max_logit_difference < 1e-5
    # Whatever is laid out wrongly meets the masks by chance: two classes, half and half, give about a third.
    for others in (result.delivered_mean_iou, result.wrong_key_mean_iou, result.no_key_mean_iou):
        assert others < 0.5


def test_keyed_masks_of_a_u_net_are_the_plain_ones() -> None:
    result = evaluate_segmentation(build("unet", 2, seed=3), scenes(2), key=KEY, wrong_key=WRONG_KEY)
    assert result.different_pixels == 0
    assert result.keyed_mean_iou == result.plain_mean_iou


def test_no_scenes_are_named() -> None:
    with pytest.raises(DatasetError, match="no images"):
        evaluate_segmentation(BrightHalf(), scenes(0), key=KEY, wrong_key=WRONG_KEY)

"""What training minimises beside the cross-entropy."""

from collections.abc import Callable

import torch
from torch import Tensor


def overlap_loss(
    logits: Tensor, targets: Tensor, *, void: int, total: Callable[[Tensor], Tensor] = lambda own: own
) -> Tensor:
    r"""Return one minus the mean soft intersection over union of the classes that occur.

    With p the softmax of the logits and [y = c] the truth, over all pixels of the batch that are not void,

    .. math:: 1 - \frac1{|C|} \sum_{c \in C} \frac{\sum p_c [y = c]}{\sum p_c + \sum [y = c] - \sum p_c [y = c]}

    (M. A. Rahman and Y. Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image Segmentation",
    ISVC 2016): what the score counts, in a form that has a gradient.

    Parameters
    ----------
    logits : Tensor, shape (B, C, H, W)
        Any floating type.
    targets : Tensor of int64, shape (B, H, W)
        Class numbers, or `void`.
    void : int
        The number that is left out.
    total : callable
        Sums a tensor over the processes that share the batch; default: there is one.

    Examples
    --------
    >>> sure = torch.tensor([[[[50.0, 0.0]], [[0.0, 50.0]]]])
    >>> overlap_loss(sure, torch.tensor([[[0, 1]]]), void=9).item()
    0.0
    >>> overlap_loss(sure, torch.tensor([[[0, 0]]]), void=9).item()
    0.5
    """
    classes = logits.shape[1]
    shares = logits.float().softmax(1)
    counted = targets != void
    truth = targets[counted]
    hit = shares.gather(1, targets.where(counted, 0).unsqueeze(1)).squeeze(1)[counted]
    inside = torch.zeros(classes, device=logits.device).index_add(0, truth, hit)
    claimed = (shares * counted.unsqueeze(1)).sum((0, 2, 3))
    annotated = torch.bincount(truth, minlength=classes).to(inside)
    inside, claimed, annotated = total(torch.stack([inside, claimed, annotated])).unbind()
    occurs = annotated > 0
    union = claimed + annotated - inside
    return 1 - (inside[occurs] / union[occurs]).sum() / occurs.sum().clamp(min=1)

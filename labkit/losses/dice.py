"""Dice loss: overlap per class, so that a small class weighs as much as the road (loda2025, §2.3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from labkit.labels import IGNORE

DICE_WEIGHT = 0.3
"""λ_Dice of loda2025, §2.3.1: L_seg = (1 − λ) · L_CE + λ · L_Dice."""


def dice_loss(logits: Tensor, labels: Tensor, smooth: float = 1.0, ignore: int = IGNORE) -> Tensor:
    r"""One minus the mean over classes of the soft overlap between probabilities and labels.

    .. math:: L = 1 - \frac{1}{C} \sum_{c=1}^{C} \frac{2 \sum_i p_{i,c} \, \delta_{y_i,c} + \epsilon}
              {\sum_i p_{i,c} + \sum_i \delta_{y_i,c} + \epsilon}

    The sums run over the valid pixels of the whole batch. loda2025 prints p_i without a class index, which would
    compare every class with the same probability; we give it one. ε has no printed value: 1 is ours. A class that does
    not occur costs what probability it is given, so the loss also speaks of absent classes.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least.
        labels: int64 ``(N, H, W)``, 0 … C−1 or ``ignore``.
        smooth: ε > 0, in pixels.
        ignore: the label of pixels that do not count.

    Returns:
        A scalar between 0 and 1, of at least float32; 0 with zero gradient if every pixel is ignored.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    valid = (labels != ignore)[:, None]
    probabilities = logits.to(wide).softmax(dim=1) * valid
    truth = torch.zeros_like(probabilities).scatter_(1, torch.where(valid, labels[:, None], 0), 1.0) * valid
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = probabilities.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    return 1 - ((2 * overlap + smooth) / (total + smooth)).mean()

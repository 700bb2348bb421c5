"""Focal loss: cross-entropy that takes less notice of what is already right (baitan2025, §4.6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.errors import LabError
from labkit.labels import IGNORE

_SMALLEST_DOUBT = 1e-7  # of 1 − p: below 1 the power γ has an infinite slope at p = 1


def focal_loss(logits: Tensor, labels: Tensor, gamma: float, ignore: int = IGNORE) -> Tensor:
    r"""Mean focal loss over the pixels that are not ignored.

    .. math:: L = -\frac{1}{|V|} \sum_{i \in V} (1 - p_i)^\gamma \log p_i, \quad p_i = \mathrm{softmax}(x_i)_{y_i}

    baitan2025, §4.6, prints the sum over pixels; we take the mean, as in
    :func:`labkit.losses.cross_entropy.cross_entropy`, which it is for γ = 0. There is no class weight α. The gradient
    passes through the factor as well. Note what γ does to the *size* of the loss: at p = 0.5 and γ = 2 it is a quarter
    of cross-entropy. (The gradient shrinks much less: pixels that are badly wrong keep theirs.)

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least, under autocast too.
        labels: int64 ``(N, H, W)``, 0 … C−1 or ``ignore``.
        gamma: γ ≥ 0.
        ignore: the label of pixels that do not count.

    Returns:
        A scalar of at least float32; 0 with zero gradient if every pixel is ignored.

    Raises:
        LabError: a negative γ.
    """
    if gamma < 0:
        raise LabError(f"gamma = {gamma}: the focal loss is defined from 0, where it is cross-entropy")
    wide = torch.promote_types(logits.dtype, torch.float32)
    surprise = F.cross_entropy(logits.to(wide), labels, ignore_index=ignore, reduction="none")  # −log p, 0 if ignored
    if gamma:
        surprise = (-torch.expm1(-surprise)).clamp(min=_SMALLEST_DOUBT) ** gamma * surprise
    return surprise.sum() / (labels != ignore).sum().clamp(min=1)

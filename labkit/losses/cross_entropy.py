"""Pixel-wise cross-entropy, for the main and for the auxiliary heads (baitan2025, §3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.labels import IGNORE

AUXILIARY_WEIGHT = 0.4
"""β of baitan2025, §3.1: L_total = L_main + β · Σ_m L_aux_m."""


def cross_entropy(logits: Tensor, labels: Tensor, ignore: int = IGNORE) -> Tensor:
    r"""Mean cross-entropy over the pixels that are not ignored.

    .. math:: L = -\frac{1}{|V|} \sum_{i \in V} \log \mathrm{softmax}(x_i)_{y_i},
              \quad V = \{i : y_i \ne 255\}

    baitan2025, §3.1, prints the sum over pixels; we take the mean, so that a learning rate does not depend on
    the image's size. V spans the whole batch: a picture with few valid pixels weighs less than one with many.
    Without any valid pixel the loss is 0 with zero gradient, where a plain mean would be NaN.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least, under autocast too.
        labels: int64 ``(N, H, W)``, 0 … C−1 or ``ignore``.
        ignore: the label of pixels that do not count.

    Returns:
        A scalar of at least float32. The device is never waited for.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    total = F.cross_entropy(logits.to(wide), labels, ignore_index=ignore, reduction="sum")
    return total / (labels != ignore).sum().clamp(min=1)


def auxiliary_cross_entropy(auxiliary: Sequence[Tensor], labels: Tensor, ignore: int = IGNORE) -> Tensor:
    """Sum of the auxiliary heads' :func:`cross_entropy`, Σ_m L_aux_m of baitan2025, §3.1 (without β).

    Args:
        auxiliary: logits ``(N, C, H, W)`` of each head; of a network without such heads, nothing.
        labels: int64 ``(N, H, W)``.
        ignore: the label of pixels that do not count.

    Returns:
        A scalar; a constant 0 if there are no heads. It belongs into the objective with weight
        :data:`AUXILIARY_WEIGHT`.
    """
    if not auxiliary:
        return torch.zeros((), device=labels.device)
    return torch.stack([cross_entropy(logits, labels, ignore) for logits in auxiliary]).sum()

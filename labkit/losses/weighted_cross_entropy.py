"""Cross-entropy with a weight for every pixel, for pictures that are mixed from two domains."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from labkit.labels import IGNORE


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, ignore: int = IGNORE) -> Tensor:
    r"""Sum of the weighted cross-entropies, over the number of pixels that are not ignored.

    .. math:: L = -\frac{1}{|V|} \sum_{i \in V} W_i \log \mathrm{softmax}(x_i)_{y_i}, \quad V = \{i : y_i \ne 255\}

    Not over the sum of the weights: with W_m of yan2022, eq. (11), a longer boundary makes the loss larger, and the
    weights of DACS, which are at most 1, make it smaller. Weights of 1 everywhere are
    :func:`labkit.losses.cross_entropy.cross_entropy`. V spans the whole batch; where it is empty, the loss is 0 with
    zero gradient.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least.
        labels: int64 ``(N, H, W)``, 0 … C−1 or ``ignore``.
        weights: float ``(N, H, W)``, 0 or more; without gradient.
        ignore: the label of pixels that do not count.

    Returns:
        A scalar of at least float32. The device is never waited for.
    """
    wide = torch.promote_types(logits.dtype, torch.float32)
    losses = F.cross_entropy(logits.to(wide), labels, ignore_index=ignore, reduction="none")
    return (weights.to(wide) * losses).sum() / (labels != ignore).sum().clamp(min=1)

"""What a domain discriminator minimises, and the segmenter against it (baitan2025, §4.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SOURCE_DOMAIN, TARGET_DOMAIN = 0.0, 1.0
"""The discriminator's labels."""


def domain_loss(logits: Tensor, domain: float) -> Tensor:
    r"""Mean binary cross-entropy between a discriminator's answers and one domain.

    .. math:: L = -\frac{1}{N} \sum_i \bigl[ y \log \sigma(z_i) + (1 - y) \log (1 - \sigma(z_i)) \bigr]

    One sigmoid, inside: the discriminator ends with logits. A second one would leave the answers between 0.5 and
    0.73, and the loss without most of its gradient.

    Args:
        logits: any shape, any float type; computed in float32 at least.
        domain: y, :data:`SOURCE_DOMAIN` or :data:`TARGET_DOMAIN`.

    Returns:
        A scalar of at least float32; log 2 for a discriminator that guesses.
    """
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return F.binary_cross_entropy_with_logits(wide, torch.full_like(wide, domain))
